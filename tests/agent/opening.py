"""A world on its servers, and an App that looks at it, with the playbook or with a scripted model behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from agent.app import App, Target
from agent.settings import Settings
from evals.once import Served, serving
from evals.servers.model.script import Script
from evals.servers.model.server import MODEL, ModelServer
from evals.world.load import load
from evals.world.model import World

Opened = tuple[App, Served]
Opener = Callable[..., AbstractAsyncContextManager[Opened]]


@asynccontextmanager
async def serving_model(script: Script | None) -> AsyncIterator[dict[str, str]]:
    """The settings that name a scripted model while it is served; none without a script."""
    if script is None:
        yield {}
        return
    server = ModelServer(script)
    try:
        yield {"model": MODEL, "model_url": await server.start()}
    finally:
        await server.stop()


@asynccontextmanager
async def opening(
    name: str,
    state_dir: Path,
    *,
    change: Callable[[World], None] | None = None,
    alter: Callable[[Target], Target] | None = None,
    settings: dict[str, str] | None = None,
    judging: bool = True,
) -> AsyncIterator[Opened]:
    """An App on a world. `change` alters the world first, `alter` the target; `settings` are further settings."""
    world = load(name)
    if change is not None:
        change(world)
    made = Settings.model_validate({"state_dir": state_dir, **(settings or {})})
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(world))
        target = alter(served.target) if alter is not None else served.target
        app = await stack.enter_async_context(App.open(made, target, judging=judging))
        yield app, served


def opener_in(folder: Path, script: Callable[[], Script] | None = None) -> Opener:
    """`async with opened("fleet") as (app, served)`, the state kept in `folder`; `script` puts a model behind it."""

    @asynccontextmanager
    async def opener(
        name: str = "hpa-cpu",
        *,
        change: Callable[[World], None] | None = None,
        alter: Callable[[Target], Target] | None = None,
        state: str = "state",
    ) -> AsyncIterator[Opened]:
        async with (
            serving_model(script() if script is not None else None) as settings,
            opening(name, folder / state, change=change, alter=alter, settings=settings) as opened,
        ):
            yield opened

    return opener
