"""A world on its servers, and an App that looks at it: what every session test stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from agent.app import App
from agent.settings import Settings
from evals.once import Served, serving
from evals.world.load import load
from evals.world.model import World

Opened = tuple[App, Served]
Opener = Callable[..., AbstractAsyncContextManager[Opened]]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Open an App on a world: `async with opened("fleet") as (app, served)`. `change` alters the world first."""

    @asynccontextmanager
    async def opener(
        name: str = "hpa-cpu", *, change: Callable[[World], None] | None = None, state: str = "state"
    ) -> AsyncIterator[Opened]:
        world = load(name)
        if change is not None:
            change(world)
        settings = Settings(state_dir=tmp_path / state)
        async with serving(world) as served, App.open(settings, served.target) as app:
            yield app, served

    return opener
