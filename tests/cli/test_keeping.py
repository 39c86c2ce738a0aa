"""What is kept can be seen again: sessions, evidence behind every bracket, the audit chain."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import QUESTION, UNSAFE, Command, Replay, newest_session


def asked(plumbline: Command, world: str = "hpa-cpu") -> tuple[str, str]:
    """(session, answer) of one question."""
    done = plumbline("ask", "--world", world, QUESTION)
    assert done.code == 0
    return newest_session(plumbline), done.out


def test_a_replay_draws_the_answer_that_was_given(plumbline: Command) -> None:
    session, answer = asked(plumbline)
    assert plumbline("replay", session).out == answer


def test_a_replay_as_json_is_the_event_log(plumbline: Command) -> None:
    session, _ = asked(plumbline)
    body = Replay.model_validate_json(plumbline("replay", session, "-o", "json").out)
    assert body.kind == "EventList"
    types = [event.type for event in body.items]
    assert types[-1] == "answered"
    assert types.count("call_started") == types.count("call_finished") > 10


def test_every_bracket_opens_its_evidence(plumbline: Command) -> None:
    session, answer = asked(plumbline)
    names = sorted(set(re.findall(r"\[(E\d+)\]", answer)))
    assert len(names) > 5
    for name in names:
        done = plumbline("evidence", session, name)
        assert done.code == 0
        assert done.out.startswith(f"{name}  ")
        assert plumbline("evidence", session, name, "-o", "json").json["id"] == name


def test_hostile_evidence_is_shown_harmless(plumbline: Command) -> None:
    session, _ = asked(plumbline, "hostile-text")
    events = Replay.model_validate_json(plumbline("replay", session, "-o", "json").out).items
    names = [event.evidence for event in events if event.type == "evidence_added"]
    assert names
    for name in names:
        for form in ("table", "json"):
            assert not UNSAFE.search(plumbline("evidence", session, name, "-o", form).out)


def test_a_session_goes_on_and_its_runs_are_kept_apart(plumbline: Command) -> None:
    session, _ = asked(plumbline)
    again = plumbline("ask", "--world", "hpa-cpu", "--session", session, "is everything all right?")
    assert again.code == 0
    assert plumbline("replay", session).out == again.out
    assert QUESTION in plumbline("replay", session, "--run", "1", "-o", "json").out
    listed = plumbline("sessions", "list")
    assert re.search(rf"(?m)^{session} .* 2 ", listed.out)


def test_resuming_a_finished_run_gives_its_answer_again(plumbline: Command) -> None:
    session, answer = asked(plumbline)
    done = plumbline("ask", "--world", "hpa-cpu", "--resume", session)
    assert done.code == 0
    assert done.out == answer


def test_the_audit_chain_holds_and_an_edit_is_found(plumbline: Command, state_dir: Path) -> None:
    asked(plumbline)
    done = plumbline("audit", "verify")
    assert done.code == 0
    head = re.fullmatch(r"ok: \d+ entries, head ([0-9a-f]{64})\n", done.out)
    assert head
    assert plumbline("audit", "verify", "--head", head[1]).code == 0
    log = state_dir / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert "was cut" in plumbline("audit", "verify").line  # the store kept what the log lost
    cut = plumbline("audit", "verify", "--head", head[1])
    assert cut.code == 1
    assert "the end of the log was cut" in cut.line
    log.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"', b"'", 1), *lines[3:]]))
    assert "line 3" in plumbline("audit", "verify").line


def test_no_audit_log_yet(plumbline: Command) -> None:
    assert "cannot read the audit log" in plumbline("audit", "verify").line


def test_sessions_of_an_empty_state_directory(plumbline: Command) -> None:
    done = plumbline("sessions")
    assert done.code == 0
    head = "SESSION ASKED AT RUNS LAST RUN CLUSTER FIRST QUESTION"
    assert done.out.split() == head.split()
