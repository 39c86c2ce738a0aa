"""A stored sample, walked through: every call and grade is there, and nothing hostile reaches the terminal."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.render import terminal
from agent.render.document import UNSAFE, Document
from evals import once
from evals.items import item_of
from evals.replay import steps
from evals.rundir import RunDir, Sample
from evals.scenario import load_all
from plumbline import replaying
from plumbline.cli import main
from tests.evals.samples import asked, result, stored


async def sample_of(name: str) -> Sample:
    scenario = load_all(name)[0]
    done = await once.run(scenario)
    return Sample(item=item_of(done, scenario), result=done)


@pytest.fixture
async def run(tmp_path: Path) -> RunDir:
    return await asked(tmp_path / "run", "hostile-text")


async def test_every_call_and_every_grade_is_a_step_or_in_one() -> None:
    sample = await sample_of("pending-taint")
    texts = [terminal.draw(step, width=100, color=False) for step in steps(sample)]
    calls = [text for text in texts if text.startswith("call ")]
    assert len(calls) == sample.result.record.calls
    assert "why is my job distill pending?" in texts[0]
    assert "U08" in texts[0]
    assert "waits for GPUs that are free but closed to it" in texts[-2]
    assert all(f"  {grade.grader}" in texts[-1] for grade in sample.item.grades)
    assert any(re.search(r"(?m)^  cited  ", text) for text in calls), "what the answer quotes is shown whole"


async def test_hostile_text_reaches_no_terminal(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "replay", str(run.folder), "hostile-text"]) == 0
    assert not UNSAFE.search(capsys.readouterr().out.replace("\n", ""))


def test_a_sample_without_an_answer_is_shown_as_such(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("one", infrastructure=True))
    texts = [terminal.draw(step, width=100, color=False) for step in steps(place.find("one"))]
    assert len(texts) == 2
    assert "error" in texts[-1]
    assert "no room" in texts[-1]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["", "b", "", "q"], [1, 2, 1, 2]),
        (["q"], [1]),
        (["3", "a"], [1, 3, 4]),
        (["999", "q"], [1, 2]),
        ([], [1]),
    ],
)
def test_the_keyboard_walks(
    words: list[str], shown: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Document() for _ in range(4)]
    left: Iterator[str] = iter(words)

    def typed(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", typed)
    replaying.walk(found, color=False)
    numbers = [int(number) for number in re.findall(r"(?m)^── (\d+) of ", capsys.readouterr().out)]
    assert numbers == shown


def test_without_a_keyboard_all_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = stored(tmp_path / "run", result("one"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert main(["eval", "replay", str(place.folder), "one"]) == 0
    assert "── 2 of 2 ──" in capsys.readouterr().out
    assert main(["eval", "replay", str(place.folder), "one", "--step", "3"]) == 2
    assert "1 to 2" in capsys.readouterr().err
