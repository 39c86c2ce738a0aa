"""`plumbline eval` with its folder: it goes on, shards add up, a card is held, and bad words are one line."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from evals import scorecard
from evals.personas import load as persona
from evals.rundir import open_run
from evals.servers.model.script import ChatRequest, ScriptedReply, Wire
from tests.cli.conftest import Command
from tests.cli.models import Endpoint, flags, model_at
from tests.evals.samples import item, result, stored

__all__ = ["model_at"]
PAIR = ("pending-ta*", "--workers", "1")
"""Two quick scenarios."""


def test_a_run_goes_on_and_its_shards_add_up(plumbline: Command, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    first = plumbline("eval", *PAIR, "--out", out, "--shard", "1/2")
    assert "1 of 1 scenarios passed" in first.out
    place = open_run(tmp_path / "run")
    path = next((place.folder / "samples").iterdir())
    before = path.stat().st_mtime_ns
    whole = plumbline("eval", *PAIR, "--out", out)
    assert "1 of 2 samples are there already" in whole.err
    assert path.stat().st_mtime_ns == before, "a finished sample is not run twice"
    assert [one.verdict for one in place.items()] == ["pass", "pass"]
    path.write_bytes(path.read_bytes()[:-20])
    mended = plumbline("eval", *PAIR, "--out", out)
    assert f"{path.name} holds no whole sample: it is run again" in mended.err
    assert mended.code == 0
    assert "2 of 2 scenarios passed, all of them there already" in plumbline("eval", *PAIR, "--out", out).out
    assert "2 of 2" in plumbline("eval", "regrade", out).out
    assert "2 of 2 scenarios have the same verdict" in plumbline("eval", "compare", out, out).out


class Flaky:
    """An honest model whose server fails for three requests of six, so longer than one call is tried again."""

    def __init__(self) -> None:
        self._honest = persona("honest")
        self._asked = 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """The next one."""
        self._asked += 1
        failing = (self._asked - 1) % 6 >= 3
        return ScriptedReply(wire=Wire(status=500)) if failing else self._honest.reply(request)


def test_an_endpoint_that_fails_half_the_time_gives_an_honest_report(
    plumbline: Command, model_at: Endpoint, tmp_path: Path
) -> None:
    server = model_at(Flaky())
    out = str(tmp_path / "run")
    done = plumbline("eval", "hpa-cpu", *flags(server.url), "--epochs", "4", "--workers", "1", "--out", out)
    verdicts = [one.verdict for one in open_run(tmp_path / "run").items()]
    answered, lost = verdicts.count("pass"), verdicts.count("fallback")
    assert answered + lost == len(verdicts) == 4
    assert answered
    assert lost
    assert f"{answered} of 4 runs passed" in done.out
    assert f"in {lost} the model could not be used" in done.out


def test_stored_samples_are_told_to_a_pipeline(plumbline: Command, tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("pending-taint"), result("pending-gated", infrastructure=True))
    done = plumbline("eval", "regrade", str(place.folder), "-o", "junit")
    assert done.code == 1
    suite = ET.fromstring(done.out)
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")


def test_the_card_names_what_was_lost(plumbline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorecard, "FILE", tmp_path / "card.json")
    quick = ("eval", "pending-taint", "--workers", "1")
    assert "cannot read" in plumbline(*quick, "--scorecard").line
    assert "leave the pattern out" in plumbline(*quick, "--write-scorecard").line
    scorecard.keep(scorecard.card_of([item("pending-taint")]), tmp_path / "card.json")
    assert plumbline(*quick, "--scorecard").code == 0
    lost = plumbline(*quick, "--scorecard", "--max-calls", "1")
    assert lost.code == 1
    assert "regression: pending-taint passed, and is now FAIL" in lost.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shard", "0/2"), "--shard 0/2 is no part"),
        (("--shard", "2"), "--shard 2 is no part"),
        (("--epochs", "0"), "--epochs 0 is out of range"),
        (("--also", "playbook"), "the same engine is named twice"),
        (("--scenarios", "nowhere"), "nowhere is no folder"),
        (("--out", "/proc/run"), "cannot write /proc/run"),
        (("no-such-scenario",), "no-such-scenario"),
    ],
)
def test_bad_words_are_one_line(plumbline: Command, words: tuple[str, ...], said: str) -> None:
    done = plumbline("eval", *words)
    assert done.code == 2
    assert said in done.line
