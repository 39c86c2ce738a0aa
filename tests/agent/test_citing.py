"""What a citation names: a row by its key, its short form, its number, or nothing at all."""

from __future__ import annotations

import pytest

from agent.citing import find, locate
from tests.render.build import evidence
from tools.types import Evidence, Row


def listing(*keys: str) -> Evidence:
    """Rows of the namespaces that their keys begin with."""
    rows = tuple(Row(key=key, namespace=key.partition("/")[0], data={"status": {"phase": "Running"}}) for key in keys)
    return evidence().model_copy(update={"rows": rows})


@pytest.mark.parametrize(
    ("rest", "key", "below"),
    [
        ("ml/web/status/phase", "ml/web", "/status/phase"),
        ("web/status/phase", "ml/web", "/status/phase"),
        ("ml~1web/status/phase", "ml/web", "/status/phase"),
        ("#2", "ml/db", ""),
        ("#2/status", "ml/db", "/status"),
        ("/ml/web", "ml/web", ""),
    ],
)
def test_every_form_that_tables_show_is_read(rest: str, key: str, below: str) -> None:
    located = locate(listing("ml/web", "ml/db"), rest)
    assert located is not None
    assert (located[0].key, located[1]) == (key, below)


@pytest.mark.parametrize(
    "rest", ["web", "web/status/phase", "#0", "#4", "#-1", "#²", "", "w", "ml", "ml/we", "other/web"]
)
def test_what_is_not_one_row_names_nothing(rest: str) -> None:
    assert locate(listing("ml/web", "search/web", "ml/db"), rest) is None


def test_a_row_of_that_very_key_wins_over_a_short_form() -> None:
    found = find(listing("ml/web", "web"), "web")
    assert found is not None
    assert found.key == "web"
