"""Whatever is wrong with what a user gives: one line that says what to do, and exit code 2."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import QUESTION, Command, Serve, newest_session


def test_no_kubeconfig(plumbline: Command) -> None:
    done = plumbline("ask", QUESTION)
    assert done.code == 2
    assert "no kubeconfig" in done.line
    assert "--kubeconfig" in done.line


def test_an_unknown_context_names_its_neighbours(plumbline: Command, serve: Serve) -> None:
    done = plumbline("ask", *serve().flags, "--context", "hpa-cpi", QUESTION)
    assert done.code == 2
    assert done.line == "no context named 'hpa-cpi' (did you mean hpa-cpu?)"


@pytest.mark.parametrize("text", ["{", "[]", "kind: Config\nkind: Config\n", "\x00", "a: &x [*x]"])
def test_a_kubeconfig_that_is_none(plumbline: Command, tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    done = plumbline("ask", "--kubeconfig", str(path), QUESTION)
    assert done.code == 2
    assert "broken" in done.line


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--at", "yesterday"], "--at"),
        (["--since", "soon"], "--since"),
        (["--since", "0s"], "out of range"),
        (["--request-timeout", "fast"], "request_timeout"),
        (["--prometheus", "ftp://x"], "Prometheus"),
        (["--prometheus", "http://user:pw@127.0.0.1:9"], "user or password"),
        (["--prometheus", "http://169.254.169.254/"], "link-local"),
        (["--world", "fleet"], "--world and --kubeconfig contradict"),
        (["--as-group", "admins"], "--as"),
        (["--as", "a\nb"], "no header may carry"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_flags_that_mean_nothing(plumbline: Command, serve: Serve, flags: list[str], said: str) -> None:
    done = plumbline("ask", "--kubeconfig", str(serve().kubeconfig), *flags, QUESTION)
    assert done.code == 2
    assert said in done.line


@pytest.mark.parametrize("arguments", [[], ["asks"], ["ask", "--frobnicate"], ["diagnose", "--family", "cpu"]])
def test_a_command_that_does_not_exist(plumbline: Command, arguments: list[str]) -> None:
    done = plumbline(*arguments)
    assert done.code == 2
    assert "usage: plumbline" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_world_names_its_neighbours(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "hpa-cpus", QUESTION)
    assert done.code == 2
    assert "hpa-cpu" in done.line


def test_a_malformed_world_names_file_line_and_field(plumbline: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "world.yaml").write_text("name: mine\nextends: fleet\nsample_interval: often\n")
    done = plumbline("ask", "--world", str(folder), QUESTION)
    assert done.code == 2
    assert "world.yaml:3" in done.line
    assert "sample_interval" in done.line


def test_an_unknown_namespace_names_its_neighbours(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "fleet", "-n", "serch", "why are the GPUs idle?")
    assert done.code == 2
    assert "search" in done.line


@pytest.mark.parametrize("question", ["", "   ", "\t\n"])
def test_an_empty_question(plumbline: Command, question: str) -> None:
    done = plumbline("ask", "--world", "fleet", question)
    assert done.code == 2
    assert "there is no question" in done.line


@pytest.mark.parametrize(
    "question",
    ["x" * 100_000, "why " * 25_000, "\x1b[2J\x00\u202e[/bold]{{}}%s${HOME}`id`", "'; DROP TABLE runs; --", "???"],
    ids=["one word", "many words", "control", "quotes", "marks"],
)
def test_a_question_of_any_kind_gets_an_honest_overview(plumbline: Command, question: str) -> None:
    done = plumbline("ask", "--world", "fleet", "-o", "json", question)
    assert done.code == 0
    assert done.answer.findings == []
    assert len(str(done.answer.question)) <= 4096


@pytest.mark.parametrize("command", [["replay", "nosuch"], ["evidence", "nosuch", "E1"], ["ask", "--resume", "nosuch"]])
def test_a_session_that_does_not_exist(plumbline: Command, command: list[str]) -> None:
    done = plumbline(*command, *(["--world", "fleet"] if command[0] == "ask" else []))
    assert done.code == 2
    assert "no session named 'nosuch'" in done.line


def test_evidence_that_does_not_exist(plumbline: Command) -> None:
    plumbline("ask", "--world", "fleet", "why are the GPUs idle?")
    session = newest_session(plumbline)
    done = plumbline("evidence", session, "E9999")
    assert done.code == 2
    assert "no evidence named 'E9999'" in done.line
    assert "has no run 7" in plumbline("replay", session, "--run", "7").line


def test_two_runs_on_one_session(plumbline: Command, state_dir: Path) -> None:
    plumbline("ask", "--world", "fleet", "why are the GPUs idle?")
    session = newest_session(plumbline)
    descriptor = os.open(state_dir / "locks" / f"{session}.lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        done = plumbline("ask", "--world", "fleet", "--session", session, QUESTION)
    finally:
        os.close(descriptor)
    assert done.code == 2
    assert "busy" in done.line
    assert plumbline("ask", "--world", "fleet", "--session", session, QUESTION).code == 0


def test_a_state_directory_that_cannot_be_written(plumbline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_STATE_DIR", "/dev/null/state")
    for command in (["ask", "--world", "fleet", QUESTION], ["sessions"]):
        done = plumbline(*command)
        assert done.code == 2
        assert "cannot write the state directory" in done.line
        assert "PLUMBLINE_STATE_DIR" in done.line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("team_label = 3\n", ":1: team_label:"),
        ('# mine\n\nteam_lable = "team"\n', ":3: team_lable: unknown setting"),
        ("[teams]\nsearch = 4\n", ":2: teams.search:"),
        ("color = 'pink'\n", ":1: color:"),
        ("request_timeout = 'soon'\n", ":1: request_timeout: 'soon' is not a duration"),
        ("x = = 1\n", ":1: not TOML"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_settings_file_that_is_wrong(
    plumbline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, errors="surrogateescape")
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(path))
    done = plumbline("ask", "--world", "fleet", QUESTION)
    assert done.code == 2
    assert f"{path}" in done.line
    assert said in done.line


def test_a_variable_that_is_wrong_is_named(plumbline: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_REQUEST_TIMEOUT", "soon")
    done = plumbline("ask", "--world", "fleet", QUESTION)
    assert done.code == 2
    assert "PLUMBLINE_REQUEST_TIMEOUT" in done.line


def test_a_policy_file_that_is_wrong(plumbline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[[rule]]\nid = 1\n")
    monkeypatch.setenv("PLUMBLINE_POLICY", str(path))
    done = plumbline("ask", "--world", "fleet", QUESTION)
    assert done.code == 2
    assert "policy.toml" in done.line
    monkeypatch.setenv("PLUMBLINE_POLICY", str(tmp_path / "absent.toml"))
    assert "there is no file" in plumbline("ask", "--world", "fleet", QUESTION).line


def test_a_bug_is_one_line_and_a_redacted_traceback_in_a_file(
    plumbline: Command, monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJlc2lnbmF0dXJl"

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"it went wrong with Authorization: Bearer {token}")

    monkeypatch.setattr("plumbline.asking.open_target", broken)
    done = plumbline("ask", "--world", "fleet", QUESTION)
    assert done.code == 1
    assert "a bug: RuntimeError" in done.line
    assert token not in done.err
    (kept,) = state_dir.glob("crash-*.txt")
    assert str(kept) in done.line
    text = kept.read_text()
    assert "RuntimeError" in text
    assert token not in text
    assert kept.stat().st_mode & 0o077 == 0


def test_json_errors_are_still_one_line(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "nosuch", "-o", "json", QUESTION)
    assert done.out == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.line)
