"""The committed scorecard: what the playbook has been seen to get right. A change that loses any of it is named.

Rules: a scenario that passed must pass; one the card does not know is no failure, and is named until it is written
down; the card is written by a run of every scenario and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from evals.items import Item
from evals.rundir import write
from evals.score import Score, scored
from tools.errors import DocumentError, SettingsError
from tools.types import Frozen

FILE = Path(__file__).parent / "scorecard.json"
MAX_BYTES = 4 << 20


class Scorecard(Frozen):
    """Verdicts of one run of every scenario, and their score."""

    scenarios: dict[str, str]
    score: Score


def card_of(done: Sequence[Item]) -> Scorecard:
    """The scorecard of a run: of several epochs, the worst verdict."""
    verdicts: dict[str, str] = {}
    for item in done:
        if verdicts.get(item.scenario, "pass") == "pass":
            verdicts[item.scenario] = item.verdict
    return Scorecard(scenarios=dict(sorted(verdicts.items())), score=scored(done))


def read(path: Path) -> Scorecard:
    """The card of a file. Raises SettingsError, DocumentError."""
    try:
        with path.open("rb") as file:
            return Scorecard.model_validate_json(file.read(MAX_BYTES))
    except OSError as error:
        hint = "write one with --write-scorecard"
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(token) for token in first["loc"])
        raise DocumentError(path.name, None, where, "no scorecard of `eval run --write-scorecard`") from None


def keep(card: Scorecard, path: Path) -> None:
    """Write a card. Raises OSError."""
    write(path, card.model_dump_json(indent=1) + "\n")


def held(card: Scorecard, done: Sequence[Item], *, whole: bool) -> tuple[list[str], list[str]]:
    """(regressions, what the card should be told) of a run, a line each; `whole` where every scenario was run."""
    now = card_of(done)
    lost = [
        f"regression: {name} passed, and is now {now.scenarios[name]}"
        for name, verdict in card.scenarios.items()
        if verdict == "pass" and now.scenarios.get(name, "pass") != "pass"
    ]
    if whole:
        lost += [f"regression: {name} is gone" for name in card.scenarios if name not in now.scenarios]
    news = [
        f"not on the scorecard yet: {name} ({verdict})"
        for name, verdict in now.scenarios.items()
        if card.scenarios.get(name) not in (verdict, "pass")
    ]
    return lost, news
