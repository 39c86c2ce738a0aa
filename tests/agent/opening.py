"""A world on its servers, and an App that looks at it, with the playbook or with a scripted model behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from agent.app import App, Target
from agent.settings import Settings
from agent.types import Diagnosis
from evals.once import Served, serving
from evals.servers.model.script import Script
from evals.servers.model.server import MODEL, ModelServer
from evals.world.load import load
from evals.world.model import World

JUDGED = ("status", "findings", "ruled_out", "checked", "shown", "missing", "narrative", "asked", "scope")
"""What a model may never change of an answer."""
NOWHERE = "http://127.0.0.1:9/v1"
"""The discard port, where nothing listens."""
Opened = tuple[App, Served]
Opener = Callable[..., AbstractAsyncContextManager[Opened]]


@asynccontextmanager
async def serving_model(script: Script, *, key: str = "") -> AsyncIterator[ModelServer]:
    """A scripted model while it is served."""
    server = ModelServer(script, key=key)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def named(server: ModelServer, **more: object) -> dict[str, object]:
    """The settings that name a served model, and further ones."""
    return {"model": MODEL, "model_url": server.url, **more}


@asynccontextmanager
async def opening(
    name: str,
    state_dir: Path,
    *,
    overlays: Sequence[str] = (),
    change: Callable[[World], None] | None = None,
    alter: Callable[[Target], Target] | None = None,
    settings: Mapping[str, object] | None = None,
    judging: bool = True,
) -> AsyncIterator[Opened]:
    """An App on a world. `change` alters the world first, `alter` the target; `settings` are further settings."""
    world = load(name, overlays=overlays)
    if change is not None:
        change(world)
    made = Settings.model_validate({"state_dir": state_dir, **(settings or {})})
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(world))
        target = alter(served.target) if alter is not None else served.target
        app = await stack.enter_async_context(App.open(made, target, judging=judging))
        yield app, served


def same(found: Diagnosis, expected: Diagnosis) -> bool:
    """True where two answers judge alike, word for word."""
    return all(getattr(found, name) == getattr(expected, name) for name in JUDGED)


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
        async with AsyncExitStack() as stack:
            settings: dict[str, object] = {}
            if script is not None:
                settings = named(await stack.enter_async_context(serving_model(script())))
            yield await stack.enter_async_context(
                opening(name, folder / state, change=change, alter=alter, settings=settings)
            )

    return opener
