"""A run's folder: whole samples or none, the same run or none, and names that find what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.engine import Engine
from evals.rundir import INFO, Sample, create, info_of, open_run
from tests.evals.samples import item, result, scenario, stored
from tools.errors import DocumentError, SettingsError, UnknownName


def test_a_sample_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    kept = stored(tmp_path / "run", result("one"), result("one", epoch=2, passed=False), result("two"), epochs=2)
    again = open_run(kept.folder)
    assert again.info == kept.info
    assert [one.item.sample for one in again.samples()] == ["one", "one #2", "two"]
    assert again.find("one #2").result == result("one", epoch=2, passed=False)
    assert [one.verdict for one in again.items()] == ["pass", "FAIL", "pass"]


@pytest.mark.parametrize("cut", [0, 1, 40, -1, -2])
def test_a_sample_that_was_cut_off_is_not_there(tmp_path: Path, cut: int) -> None:
    place = stored(tmp_path / "run", result("one"), result("two"))
    path = place.path("one", 1)
    path.write_bytes(path.read_bytes()[:cut])
    assert [one.scenario for one in place.items()] == ["two"]
    assert place.broken() == ["0.one@1.jsonl"]
    with pytest.raises(DocumentError, match="no sample that can be read"):
        place.find("one")


def test_what_is_no_sample_of_the_run_is_left_alone(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("one"))
    samples = place.path("one", 1).parent
    (samples / "0.other@1.jsonl").write_text("{}\n{}\n")
    (samples / ".0.one@1.jsonl.77").write_text("half")
    (samples / "notes.txt").write_text("mine")
    (samples / "0.one@2.jsonl").symlink_to(place.path("one", 1))
    assert [one.sample for one in place.items()] == ["one"]


def test_a_sample_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("one"))
    gone = place.folder / "samples"
    gone.rename(place.folder / "elsewhere")
    with pytest.raises(OSError, match="No such file"):
        place.keep(Sample(item=item("one", "FAIL"), result=result("one", passed=False)))
    (place.folder / "elsewhere").rename(gone)
    assert place.items()[0].verdict == "pass"


def test_another_run_does_not_go_into_the_same_folder(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("one"))
    other = info_of([scenario("one")], [Engine()], epochs=3, seed=1)
    with pytest.raises(SettingsError, match="its epochs and seed are others"):
        create(place.folder, other)
    assert create(place.folder, place.info) == place


def test_a_scenario_that_was_edited_makes_another_run(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("one"))
    edited = scenario("one").model_copy(update={"question": "what else?"})
    with pytest.raises(SettingsError, match="its scenarios are others"):
        create(place.folder, info_of([edited], [Engine()], epochs=1, seed=0))


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*run\.json"):
        open_run(tmp_path)
    (tmp_path / INFO).write_text('{"engines": 3}')
    with pytest.raises(DocumentError, match="no run of"):
        open_run(tmp_path)
    (tmp_path / INFO).unlink()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "0.one@1.jsonl").write_text("half")
    with pytest.raises(SettingsError, match="holds samples but no run"):
        create(tmp_path, info_of([scenario("one")], [Engine()], epochs=1, seed=0))


def test_a_name_that_is_no_sample_gets_near_ones(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("idle-server"))
    with pytest.raises(UnknownName, match="idle-server"):
        place.find("idle-sever")
    with pytest.raises(UnknownName):
        place.find("../run")
