"""The score of a run, and the card it is held to: what is lost is named, what is new is named, nothing else counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.score import scored
from evals.scorecard import card_of, held, keep, read
from tests.evals.samples import item
from tools.errors import DocumentError, SettingsError

RUN = (
    item("a"),
    item("b", "FAIL", roots=("U05",), wrong=("U05",)),
    item("c", expected="U13", roots=("U13",)),
    item("calm", expected="healthy", roots=(), status="healthy"),
    item("alarmed", "FAIL", expected="healthy", roots=("U01",), wrong=("U01",)),
    item("dark", expected="inconclusive", roots=(), status="inconclusive"),
    item("broken", "error", roots=(), status=""),
    item("unheard", "fallback"),
)


def test_a_score_counts_roots_alarms_and_wrong_claims() -> None:
    score = scored(RUN)
    assert (score.caused, score.right, score.wrong) == (3, 2, 2)
    assert (score.healthy, score.alarms) == (2, 1)
    assert (score.recall, score.precision) == (2 / 3, 0.5)
    assert score.families == {"U01": (1, 2), "U13": (1, 1), "healthy": (1, 2), "inconclusive": (1, 1)}
    assert score.confusion["U01"] == {"U01": 1, "U05": 1}
    assert score.confusion["healthy"] == {"U01": 1, "healthy": 1}


def test_a_ranking_says_how_far_down_the_right_cause_stands() -> None:
    ranking = scored(
        [
            item("first", ranked=("U01", "U16")),
            item("second", ranked=("U16", "U01")),
            item("after wrong ones", ranked=("U05", "U06", "U07", "U01"), wrong=("U05", "U06", "U07")),
            item("not at all", "FAIL", roots=("U05",), wrong=("U05",)),
            item("calm", expected="healthy", roots=(), status="healthy"),
        ]
    ).ranking
    assert ranking is not None
    assert (ranking.first, ranking.near) == (1 / 4, 2 / 4)
    assert ranking.precision == (1 + 1 + 1 / 4 + 0) / 4
    assert scored([item("calm", expected="healthy", roots=(), status="healthy")]).ranking is None


def test_answers_without_looking_are_scored_by_what_is_expected() -> None:
    assert scored(RUN).baselines == (("always healthy", 2 / 6), ("always U01", 2 / 6))
    assert scored([]).baselines == ()


def test_several_runs_of_a_scenario_are_told_apart_from_one() -> None:
    assert scored(RUN).several is None
    twice = [item("a"), item("a", "FAIL", epoch=2), item("b"), item("b", epoch=2)]
    several = scored(twice).several
    assert several is not None
    assert (several.k, several.some, several.all) == (2, 1.0, 0.5)


def test_a_card_names_what_was_lost() -> None:
    card = card_of([item("a"), item("b"), item("c", "FAIL"), item("d")])
    lost, news = held(card, [item("a", "FAIL"), item("b"), item("c"), item("new")], whole=True)
    assert lost == ["regression: a passed, and is now FAIL", "regression: d is gone"]
    assert news == ["not on the scorecard yet: c (pass)", "not on the scorecard yet: new (pass)"]
    assert held(card, [item("b")], whole=False) == ([], [])


def test_one_epoch_that_fails_is_a_regression() -> None:
    lost, _ = held(card_of([item("a")]), [item("a"), item("a", "FAIL", epoch=2)], whole=True)
    assert lost == ["regression: a passed, and is now FAIL"]


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    card = card_of(RUN)
    keep(card, tmp_path / "card.json")
    assert read(tmp_path / "card.json") == card


def test_a_card_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        read(tmp_path / "none.json")
    (tmp_path / "card.json").write_text('{"scenarios": []}')
    with pytest.raises(DocumentError, match="scenarios"):
        read(tmp_path / "card.json")
