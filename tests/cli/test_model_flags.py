"""The flags that name a model: on ask, eval and doctor; where the key comes from, and where it never goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from evals.personas import load as persona
from evals.servers.model.script import ScriptedCall, ScriptedReply, Wire
from tests.cli.conftest import QUESTION, Command
from tests.cli.models import KEY, Endpoint, flags, model_at
from tests.cli.test_doctor import levels
from tests.repo.test_house_style import ROOT

__all__ = ["model_at"]
READY = ScriptedReply(text="ready")
PINGS = ScriptedReply(calls=(ScriptedCall("ping", {"number": 1}), ScriptedCall("ping", {"number": 2})))


# --- ask ---------------------------------------------------------------------------------------------------


def test_a_model_explains_with_citations(plumbline: Command, model_at: Endpoint) -> None:
    server = model_at(persona("honest"))
    done = plumbline("ask", "--world", "hpa-cpu", *flags(server.url), "-o", "json", QUESTION)
    assert done.code == 0
    assert done.json["reasoner"] == "model scripted"
    explanation = done.json["explanation"]
    assert isinstance(explanation, list)
    assert explanation
    assert all(isinstance(entry, dict) and entry["refs"] for entry in explanation)
    assert server.requests[0].authorized


def test_the_environment_names_a_model_and_a_flag_takes_it_away(
    plumbline: Command, model_at: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = model_at(persona("honest"))
    monkeypatch.setenv("PLUMBLINE_MODEL", "scripted")
    monkeypatch.setenv("PLUMBLINE_MODEL_URL", server.url)
    ask = ("ask", "--world", "hpa-cpu", "-o", "json", QUESTION)
    assert plumbline(*ask).json["reasoner"] == "model scripted"
    asked = len(server.requests)
    assert plumbline(*ask, "--reasoner", "playbook").json["reasoner"] == "playbook"
    assert len(server.requests) == asked


def test_the_key_stands_nowhere_but_in_the_request(plumbline: Command, model_at: Endpoint, state_dir: Path) -> None:
    server = model_at(persona("honest"))
    done = plumbline("ask", "--world", "hpa-cpu", *flags(server.url), f"{QUESTION} {KEY}")
    assert KEY not in done.out + done.err
    kept = [path.read_bytes() for path in state_dir.rglob("*") if path.is_file()]
    assert kept
    assert not [body for body in kept if KEY.encode() in body]
    assert KEY not in json.dumps([request.body for request in server.requests])


# --- eval --------------------------------------------------------------------------------------------------


def test_eval_with_a_model_counts_what_it_took(plumbline: Command, model_at: Endpoint) -> None:
    server = model_at(persona("honest"))
    done = plumbline("eval", "hpa-cpu", *flags(server.url), "--workers", "1", "--epochs", "2")
    assert done.code == 0
    assert re.search(r"(?m)^pass +hpa-cpu +[\d.]+ s +[\d,]+ in +[\d,]+ out +\d+ calls$", done.out)
    assert re.search(r"(?m)^pass +hpa-cpu #2 ", done.out)
    assert f"model scripted at {server.url}: pass rate 100.0%" in done.out
    assert re.search(r"tokens in: median [\d,]+, max [\d,]+, counted by the endpoint; median calls ", done.out)
    assert "citation check: 0 statements left out, 0 details marked" in done.out


def test_eval_in_processes_of_its_own_gives_its_workers_the_key_by_the_environment(
    model_at: Endpoint, tmp_path: Path
) -> None:
    server = model_at(persona("honest"))
    command = (sys.executable, "-m", "plumbline", "eval", "hpa-[cm]*", "-o", "json", "--workers", "2")
    own = {"PLUMBLINE_MODEL_KEY": KEY, "XDG_CONFIG_HOME": str(tmp_path), "PLUMBLINE_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [*command, *flags(server.url)], env={**os.environ, **own}, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {item["verdict"] for item in report["items"]} == {"pass"}
    assert len(report["items"]) >= 2
    assert report["engine"]["model"] == "scripted"
    assert report["versions"]["prompt:system"]
    assert KEY not in done.stdout + done.stderr


def test_a_model_that_is_down_is_told_apart_from_wrong_answers(plumbline: Command, model_at: Endpoint) -> None:
    server = model_at(ScriptedReply(wire=Wire(status=500)))
    done = plumbline("eval", "hpa-cpu", *flags(server.url), "--workers", "1")
    assert done.code == 1, "an evaluation that no model answered has measured nothing"
    assert re.search(r"(?m)^fallback hpa-cpu .*the model could not be used: .*status 500", done.out)
    assert "0 of 1 scenarios passed" in done.out
    assert "in 1 the model could not be used, 1 of which passed without it" in done.out
    assert "no run was answered by the model" in done.out
    junit = plumbline("eval", "hpa-cpu", *flags(server.url), "--workers", "1", "-o", "junit").out
    assert 'skipped="1"' in junit
    alone = plumbline("eval", "hpa-cpu", *flags(server.url), "--workers", "1", "--no-diagnosers", "-o", "junit")
    assert alone.code == 1
    assert 'errors="1"' in alone.out


def test_a_judge_scores_and_decides_nothing(plumbline: Command, model_at: Endpoint) -> None:
    marks = model_at(ScriptedReply(text='{"clarity": 1, "usefulness": 1}'), models=("critic",))
    done = plumbline("eval", "hpa-cpu", "--base-url", marks.url, "--judge", "critic", "--workers", "1")
    assert done.code == 0
    assert re.search(r"(?m)^pass +hpa-cpu .* prose 1/1$", done.out)
    assert "scored by critic (never part of a verdict): clarity 1.0, usefulness 1.0, 0 not scored" in done.out


def test_reports_are_compared(plumbline: Command, model_at: Endpoint, tmp_path: Path) -> None:
    server = model_at(ScriptedReply(text="no idea"))
    for name, given in (("plain", ()), ("alone", (*flags(server.url), "--no-diagnosers"))):
        (tmp_path / name).write_text(plumbline("eval", "hpa-cpu", "-o", "json", "--workers", "1", *given).out)
    done = plumbline("eval", "compare", str(tmp_path / "plain"), str(tmp_path / "alone"))
    assert done.code == 0
    assert done.out.splitlines()[:2] == ["A  playbook", f"B  model scripted at {server.url}, no diagnosers"]
    assert re.search(r"(?m)^hpa-cpu +pass +FAIL$", done.out)
    assert "0 of 1 scenarios have the same verdict everywhere" in done.out
    same = plumbline("eval", "compare", str(tmp_path / "plain"), str(tmp_path / "plain"))
    assert "1 of 1 scenarios have the same verdict everywhere" in same.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--epochs", "0"), "--epochs 0 is out of range"),
        (("--no-diagnosers",), "only a model can answer"),
        (("--judge", "critic", "--base-url", "http://models.example/v1"), "plain HTTP"),
        (("--shard", "3/2"), "--shard 3/2 is no part"),
        (("--also", "playbook"), "named twice"),
        (("--scenarios", "nowhere"), "nowhere is no folder"),
        (("--write-scorecard",), "by a run of every scenario"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_eval_refuses(
    plumbline: Command, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(ROOT)
    done = plumbline("eval", "hpa-cpu", *given)
    assert done.code == 2
    assert said in done.line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("/nowhere/report.json",), "cannot read /nowhere/report.json"),
        (("pyproject.toml",), "no report of `plumbline eval run -o json`"),
        (("docs",), "cannot read docs/run.json"),
        (["x"] * 9, "compare at most 8"),
    ],
)
def test_what_is_not_compared(
    plumbline: Command, monkeypatch: pytest.MonkeyPatch, given: Sequence[str], said: str
) -> None:
    monkeypatch.chdir(ROOT)
    done = plumbline("eval", "compare", *given)
    assert (done.code, said in done.line) == (2, True), done.err


# --- doctor ------------------------------------------------------------------------------------------------


def test_doctor_says_how_to_name_a_model(plumbline: Command) -> None:
    done = plumbline("doctor", "--world", "fleet")
    assert done.code == 0
    assert levels(done)["model"] == "ok"
    assert "none is set, the playbook answers; name one with --model and --base-url" in done.out


def test_doctor_with_a_model_that_can_all(plumbline: Command, model_at: Endpoint) -> None:
    done = plumbline("doctor", "--world", "fleet", *flags(model_at(READY, PINGS).url))
    assert done.code == 0
    assert levels(done)["model"] == levels(done)["model features"] == "ok"
    assert "scripted answered" in done.out
    assert KEY not in done.out


def test_doctor_with_a_model_that_calls_no_tools(plumbline: Command, model_at: Endpoint) -> None:
    done = plumbline("doctor", "--world", "fleet", *flags(model_at(READY).url))
    assert done.code == 0
    assert levels(done)["model"] == "ok"
    assert "did not call the tool it was told to" in done.out


@pytest.mark.parametrize(
    ("key", "model", "tail", "said"),
    [
        ("another", "scripted", "", "refuses the key (status 401)"),
        (KEY, "nosuch", "", "has no model 'nosuch'"),
        (KEY, "scripted", "/deeper", "usually ends in /v1"),
    ],
)
def test_doctor_names_what_is_wrong_with_a_model(
    plumbline: Command, model_at: Endpoint, key: str, model: str, tail: str, said: str
) -> None:
    server = model_at(READY, key=key)
    done = plumbline("doctor", "--world", "fleet", *flags(server.url + tail, model))
    assert done.code == 1
    assert levels(done)["model"] == "fail"
    assert said in done.out
    assert KEY not in done.out


def test_doctor_knows_an_endpoint_that_is_never_asked(plumbline: Command) -> None:
    done = plumbline("doctor", "--world", "fleet", *flags("http://models.example/v1"))
    assert done.code == 1
    assert "plain HTTP to models.example" in done.out
