"""What every session test stands on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.opening import Opened as Opened
from tests.agent.opening import Opener as Opener
from tests.agent.opening import opener_in


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Open an App on a world: `async with opened("fleet") as (app, served)`. `change` alters the world first."""
    return opener_in(tmp_path)
