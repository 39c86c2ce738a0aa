"""Logs for Inspect, opened by Inspect itself: `inspect log dump` and `inspect log list` read ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent.render.document import UNSAFE
from evals.reports import inspect_log
from evals.rundir import RunDir
from tests.evals.samples import asked, result, stored
from tests.repo.test_house_style import ROOT
from tools import fields
from tools.types import JsonObject

PROGRAM = Path(os.environ.get("PLUMBLINE_TEST_INSPECT") or ROOT / ".venv-inspect" / "bin" / "inspect")
opened = pytest.mark.skipif(not PROGRAM.exists(), reason="no Inspect here: `make inspect` installs it")


@pytest.fixture
async def run(tmp_path: Path) -> RunDir:
    return await asked(tmp_path / "run", "hostile-text", "hpa-cpu")


def read(text: str) -> JsonObject:
    made = json.loads(text)
    assert isinstance(made, dict)
    return made


def inspect(*words: str, home: Path) -> str:
    done = subprocess.run(
        [str(PROGRAM), *words], capture_output=True, text=True, timeout=120, check=False,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "INSPECT_LOG_DIR": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@opened
def test_inspect_opens_a_log(run: RunDir, tmp_path: Path) -> None:
    (path,) = inspect_log.write(run, tmp_path / "logs")
    seen = read(inspect("log", "dump", str(path), home=tmp_path))
    assert seen["status"] == "success"
    assert fields.mapping(seen, "results")["completed_samples"] == 2
    samples = {str(one["id"]): one for one in fields.items(seen, "samples")}
    for item in run.items():
        sample = samples[item.scenario]
        assert sample["target"] == item.expected
        assert fields.text(fields.mapping(sample, "scores"), "passed", "value") == "C"
        assert set(fields.mapping(sample, "scores")) == {"passed", *(grade.grader for grade in item.grades)}
        answers = [one for one in fields.items(sample, "messages") if one["role"] == "tool"]
        assert len(answers) == item.calls
    assert str(path.name) in inspect("log", "list", "--log-dir", str(path.parent), home=tmp_path)


@opened
def test_inspect_reads_failures_and_errors(tmp_path: Path) -> None:
    place = stored(
        tmp_path / "run", result("pending-taint", passed=False), result("pending-gated", infrastructure=True)
    )
    (path,) = inspect_log.write(place, tmp_path / "logs")
    samples = {
        str(one["id"]): one for one in fields.items(read(inspect("log", "dump", str(path), home=tmp_path)), "samples")
    }
    assert fields.text(fields.mapping(samples["pending-taint"], "scores"), "cause", "value") == "I"
    assert fields.text(fields.mapping(samples["pending-gated"], "error"), "message") == "no room"


def test_a_run_of_errors_is_no_success(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("pending-gated", infrastructure=True))
    (path,) = inspect_log.write(place, tmp_path / "logs")
    assert read(path.read_text(encoding="utf-8"))["status"] == "error"


def test_a_log_is_the_same_twice_whole_and_without_control_characters(run: RunDir, tmp_path: Path) -> None:
    (one,) = inspect_log.write(run, tmp_path / "one")
    (two,) = inspect_log.write(run, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in one.parent.iterdir()] == [one.name], "nothing is left beside it"

    def texts(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [text for part in inner for text in texts(part)]

    for text in texts(read(one.read_text(encoding="utf-8"))):
        assert not UNSAFE.search(text.replace("\n", "")), text[:80]
