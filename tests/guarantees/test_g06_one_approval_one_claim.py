"""G6, the store's part: however many approve and claim a proposal at once, it is approved once and claimed once.

Size: 16 processes × 10 proposals in `make test` (Postgres: 4 × 10), 16 × 1,000 in `make prove`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.store.postgres import binaries, running
from tests.store.races import race


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a running Postgres without tables. Skips where there is none."""
    programs = binaries()
    if programs is None or find_spec("psycopg") is None:
        pytest.skip("no Postgres of the distribution, or no extra `postgres`")
    with running(programs) as address:
        yield address


def test_in_sqlite(tmp_path: Path) -> None:
    race(tmp_path, "", processes=16, trials=10)


def test_in_postgres(tmp_path: Path, postgres: str) -> None:
    race(tmp_path, postgres, processes=4, trials=10)


@pytest.mark.prove
def test_in_sqlite_a_thousand_times(tmp_path: Path) -> None:
    race(tmp_path, "", processes=16, trials=1_000)


@pytest.mark.prove
def test_in_postgres_a_thousand_times(tmp_path: Path, postgres: str) -> None:
    race(tmp_path, postgres, processes=16, trials=1_000)
