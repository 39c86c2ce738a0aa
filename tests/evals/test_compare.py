"""Two runs side by side: what flipped is named, and whether it may be chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import report
from evals.compare import lines
from evals.engine import Engine
from tests.evals.samples import result, stored
from tools.errors import DocumentError, SettingsError

NAMES = [f"case-{n}" for n in range(8)]


def two(folder: Path, worse: int) -> list[str]:
    stored(folder / "a", *(result(name) for name in NAMES))
    stored(folder / "b", *(result(name, passed=n >= worse) for n, name in enumerate(NAMES)))
    return [str(folder / "a"), str(folder / "b")]


def test_flips_are_named_with_their_reason(tmp_path: Path) -> None:
    text = "\n".join(lines(two(tmp_path, 2)))
    assert "B against A over 8 samples of both:" in text
    assert "  worse   case-1  cause: found U05" in text
    assert "0 better, 2 worse: within chance (exact McNemar test, p = 0.5)" in text
    assert "6 of 8 scenarios have the same verdict everywhere" in text


def test_more_than_chance_is_said(tmp_path: Path) -> None:
    assert "0 better, 8 worse: more than chance" in "\n".join(lines(two(tmp_path, 8)))


def test_a_sample_that_the_machine_broke_is_no_flip(tmp_path: Path) -> None:
    stored(tmp_path / "a", result("one"), result("two"))
    stored(tmp_path / "b", result("one", infrastructure=True), result("two"))
    text = "\n".join(lines([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert "over 1 samples of both" in text
    assert "worse  " not in text


def test_epochs_that_all_pass_are_no_difference(tmp_path: Path) -> None:
    stored(tmp_path / "a", result("one"), result("two"))
    epochs = [result(name, epoch=n, passed=(name, n) != ("two", 2)) for name in ("one", "two") for n in (1, 2)]
    stored(tmp_path / "b", *epochs, epochs=2)
    text = "\n".join(lines([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert "two                                           pass      1/2 pass" in text
    assert "1 of 2 scenarios have the same verdict everywhere" in text


def test_a_folder_and_its_json_are_the_same_run(tmp_path: Path) -> None:
    place = stored(tmp_path / "a", *(result(name) for name in NAMES))
    with (tmp_path / "a.json").open("w") as file:
        report.as_json(place.samples(), 4.0, Engine(), file)
    text = "\n".join(lines([str(tmp_path / "a"), str(tmp_path / "a.json")]))
    assert "8 of 8 scenarios have the same verdict everywhere" in text


def test_what_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no sample yet"):
        lines([str(stored(tmp_path / "empty").folder)])
    (tmp_path / "half.json").write_text('{"items": [{"scenario"')
    with pytest.raises(DocumentError, match=r"half\.json"):
        lines([str(tmp_path / "half.json")])
    with pytest.raises(SettingsError, match="cannot read"):
        lines([str(tmp_path / "none")])
    with pytest.raises(SettingsError, match="too many"):
        lines([str(tmp_path)] * 9)
