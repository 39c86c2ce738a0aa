"""A conversation on the command line: go on in a session, commands, listing and exporting."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import QUESTION, UNSAFE, Command, newest_session


def test_continue_goes_on_in_the_newest_session_of_the_target(plumbline: Command) -> None:
    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    first = newest_session(plumbline)
    plumbline("ask", "--world", "fleet", "is everything all right?")
    done = plumbline("ask", "-c", "--world", "hpa-cpu", "-o", "json", "and in namespace research?")
    assert done.code == 0
    assert done.answer.scope.namespaces == ["research"]
    back = plumbline("ask", "--continue", "--world", "hpa-cpu", "-o", "json", "and in the other namespace?")
    assert [finding.cause for finding in back.answer.findings] == ["U13"]
    assert '"run": 3' in plumbline("sessions", "export", first, "-o", "json").out


def test_continue_without_a_session_is_one_line(plumbline: Command) -> None:
    done = plumbline("ask", "-c", "--world", "fleet", "and now?")
    assert done.code == 2
    assert "without -c" in done.line


def test_a_first_follow_up_says_what_to_ask(plumbline: Command) -> None:
    done = plumbline("ask", "--world", "fleet", "and in the other namespace?")
    assert done.code == 2
    assert "ask the whole question first" in done.line


def test_a_command_needs_no_cluster(plumbline: Command) -> None:
    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    session = newest_session(plumbline)
    done = plumbline("ask", "--session", session, "/query all")
    assert done.code == 0
    assert re.search(r"(?m)^E15  ok, \d+ rows\nkubectl get horizontalpodautoscaler", done.out)
    assert plumbline("ask", "/help").out.splitlines()[0].split() == ["COMMAND", "WHAT"]
    assert plumbline("ask", "-c", "--world", "hpa-cpu", "/findings").out.startswith("CAUSE")
    assert "did you mean /query" in plumbline("ask", "--session", session, "/qurey").line
    assert "no session named" in plumbline("ask", "--session", "nope", "/scope").line
    assert "sessions export" in plumbline("ask", "--session", session, "-o", "json", "/scope").line


def test_what_a_command_sets_holds_for_the_next_question(plumbline: Command) -> None:
    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    session = newest_session(plumbline)
    assert plumbline("ask", "--session", session, "/namespace research").code == 0
    done = plumbline("ask", "--world", "hpa-cpu", "--session", session, "-o", "json", "why are the GPUs idle?")
    assert done.answer.scope.namespaces == ["research"]
    again = plumbline("ask", "--world", "hpa-cpu", "--session", session, "-o", "json", "/again")
    assert again.answer.question == "why are the GPUs idle?"


def test_evidence_of_an_answer_from_the_store_opens(plumbline: Command) -> None:
    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    session = newest_session(plumbline)
    assert plumbline("ask", "-c", "--world", "hpa-cpu", "why not U16?").code == 0
    for name in ("E39", "E4"):
        assert plumbline("evidence", session, name).out.startswith(f"{name}  ")


def test_an_answer_from_the_store_is_valid_json_of_the_contract(plumbline: Command) -> None:
    from tests.cli.test_answers import valid

    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    for question in ("why not U16?", "show me the query", "what should I do?", "could it be the autoscaler?"):
        done = plumbline("ask", "-c", "--world", "hpa-cpu", "-o", "json", question)
        valid(done.json)
        assert done.answer.question == question


def test_sessions_say_what_is_unfinished(plumbline: Command) -> None:
    plumbline("ask", "--world", "hpa-cpu", QUESTION)
    session = newest_session(plumbline)
    plumbline("ask", "-c", "--world", "hpa-cpu", "-n", "serch", "is everything all right?")
    listed = plumbline("sessions", "list").out
    assert re.search(rf"(?m)^{session} .* 2 +failed ", listed)
    assert listed == plumbline("sessions").out
    rows = json.loads(plumbline("sessions", "-o", "json").out)["items"]
    assert [(row["id"], row["state"]) for row in rows] == [(session, "failed")]


def test_an_export_goes_to_a_new_file_only(plumbline: Command, tmp_path: Path) -> None:
    plumbline("ask", "--world", "hostile-text", "is everything all right?")
    session, file = newest_session(plumbline), tmp_path / "session.md"
    done = plumbline("sessions", "export", session, "--out", str(file))
    assert (done.code, done.out) == (0, "")
    text = file.read_text()
    assert text.startswith(f"### Session {session}: is everything all right?\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not UNSAFE.search(text)
    assert plumbline("sessions", "export", session).out == text
    assert "nothing is overwritten" in plumbline("sessions", "export", session, "--out", str(file)).line
    assert "cannot write" in plumbline("sessions", "export", session, "--out", str(tmp_path / "no" / "x")).line
    assert f"did you mean {session}?" in plumbline("sessions", "export", session[:-1]).line


def test_verbose_says_how_to_go_on(plumbline: Command) -> None:
    done = plumbline("ask", "-v", "--world", "hpa-cpu", QUESTION)
    assert f"session {newest_session(plumbline)} · continue with: " in done.err
    assert "continue with" not in plumbline("ask", "--world", "hpa-cpu", QUESTION).err
