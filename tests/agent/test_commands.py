"""The `/` commands: one table, typed, bounded, and no read but `/again`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from agent import commands
from agent.app import App
from agent.events import Answered, Event, Failed, Told
from agent.render.document import Table
from agent.render.terminal import draw
from agent.session import Session
from tests.agent.conftest import Opener
from tools.errors import UserError

QUESTION = "why are team search's H100s half idle?"


async def heard(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def text_of(session: Session, line: str) -> str:
    outcome = await session.command(line)
    return outcome.export or draw(outcome.document, width=200, color=False)


async def started(app: App) -> Session:
    session = await app.session()
    await heard(session.ask(QUESTION))
    return session


SAYS = [
    ("/help", "/why-not CAUSE|WORD"),
    ("/scope", "team search · idle · 6 h"),
    ("/findings", "search/HorizontalPodAutoscaler/chat-70b"),
    ("/why-not U16", "no preemptions"),
    ("/why-not network", "What would show it"),
    ("/evidence E15", "autoscaling/v2"),
    ("/evidence e15 chat-70b", "rows match 'chat-70b'"),
    ("/query E15", "kubectl get horizontalpodautoscaler"),
    ("/query all", "kubectl get pod"),
    ("/query", "max by (namespace, pod)"),
    ("/explain u13", "U13 is autoscaler"),
    ("/explain", "KV cache exhausted"),
    ("/usage", "1 answers"),
    ("/drafts", "no drafts"),
    ("/sessions", "answered"),
    ("/export", "Run 1:"),
    ("/export json", '"kind": "Session"'),
    ("/new", "new session"),
    ("/since 7d", "168 h"),
    ("/since", "6 h"),
    ("/namespace all", "all namespaces"),
]


async def test_each_command_says_its_part_without_a_read(opened: Opener) -> None:
    async with opened() as (app, served):
        session = await started(app)
        before = len(served.kube.requests), len(served.prom.requests)
        for line, says in SAYS:
            assert says in await text_of(session, line), line
            session.id = app.store.sessions()[0].id
        assert (len(served.kube.requests), len(served.prom.requests)) == before
        assert app.store.last_run(session.id) == 1
    assert {line.split()[0][1:] for line, _ in SAYS} == {command.name for command in commands.COMMANDS} - {"again"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/hlep", "did you mean /help?"),
        ("/xyzzy", "see /help"),
        ("/namespace", "/namespace NAME"),
        ("/namespace ../etc", "lower-case letters"),
        ("/namespace --server=http://evil", "lower-case letters"),
        ("/since forever", "/since 6h"),
        ("/evidence", "such as /evidence E4"),
        ("/evidence E999", "no evidence named"),
        ("/query E999", "no evidence named"),
        ("/explain U99", "no cause named"),
        ("/why-not", "/why-not U16"),
        ("/export pdf", "/export markdown"),
        ("/help me", "takes nothing"),
        ("/" + "a" * 600, "at most 512"),
    ],
)
async def test_a_wrong_command_is_one_line_that_says_what_to_do(opened: Opener, line: str, says: str) -> None:
    async with opened() as (app, _):
        session = await started(app)
        with pytest.raises(UserError) as caught:
            await session.command(line)
        (event,) = await heard(session.ask(line))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(event, Failed)


@pytest.mark.parametrize("line", ["/findings", "/why-not U16", "/evidence E1", "/query all", "/again"])
async def test_before_the_first_answer_it_is_said_what_to_ask(opened: Opener, line: str) -> None:
    async with opened() as (app, _):
        with pytest.raises(UserError, match="no earlier answer"):
            await (await app.session()).command(line)


async def test_what_a_command_sets_is_kept_by_the_session_and_by_those_who_resume_it(opened: Opener) -> None:
    async with opened() as (app, _):
        session = await started(app)
        await session.command("/namespace research")
        await session.command("/since 2h")
        again = await app.session(session_id=session.id)
        for asked in ("why are the GPUs idle?", "is everything all right?"):
            last = (await heard(again.ask(asked)))[-1]
            assert isinstance(last, Answered)
            assert last.diagnosis.scope.namespaces == ("research",)
        explicit = await app.session(session_id=session.id, namespace="search")
        narrowed = (await heard(explicit.ask("why are the GPUs idle?")))[-1]
        await again.command("/namespace all")
        wide = (await heard(again.ask("why are the GPUs idle?")))[-1]
    assert isinstance(narrowed, Answered)
    assert narrowed.diagnosis.scope.namespaces == ("search",)
    assert isinstance(wide, Answered)
    assert wide.diagnosis.scope.namespaces is None


async def test_commands_are_heard_in_questions_too(opened: Opener) -> None:
    async with opened() as (app, served):
        session = await started(app)
        (told,) = await heard(session.ask("/findings"))
        before = len(served.kube.requests)
        again = (await heard(session.ask("/again")))[-1]
    assert isinstance(told, Told)
    assert "U13" in told.text
    assert isinstance(again, Answered)
    assert again.diagnosis.question == QUESTION
    assert again.diagnosis.scope.namespaces == ("search",)
    assert len(served.kube.requests) > before


async def test_new_leaves_the_session(opened: Opener) -> None:
    async with opened() as (app, _):
        session = await started(app)
        old = session.id
        await session.command("/new")
        assert session.id != old
        assert app.store.last_run(session.id) is None


async def test_match_shows_only_rows_that_match(opened: Opener) -> None:
    async with opened() as (app, _):
        session = await started(app)
        whole, some = await session.command("/evidence E6"), await session.command("/evidence E6 CHAT-70B")
    (every,) = [block for block in whole.document.blocks if isinstance(block, Table)]
    (table,) = [block for block in some.document.blocks if isinstance(block, Table)]
    assert 0 < len(table.rows) < len(every.rows)
    assert all("chat-70b" in "".join(cell.text for cell in row).lower() for row in table.rows)


async def test_an_export_holds_questions_answers_queries_and_audit_heads(opened: Opener) -> None:
    async with opened() as (app, _):
        session = await started(app)
        await heard(session.ask("why not U16?"))
        await heard(session.ask("and in namespace serch?"))
        text = await text_of(session, "/export markdown")
        body = json.loads(await text_of(session, "/export json"))
        heads = [app.store.notes(session.id, run)["audit_head"] for run in (1, 2)]
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings[0] == f"### Session {session.id}: why are team search's H100s half idle?"
    assert headings[1] == f"### Run 1: {QUESTION}"
    assert headings[2].startswith("### **U13**")
    assert all(head in text for head in heads)
    assert "named 'serch'" in text
    assert re.search(r"\| E15 \| ok \| \d+ \| kubectl get horizontalpodautoscaler\.autoscaling \\?-n search \|", text)
    assert [run["state"] for run in body["runs"]] == ["answered", "answered", "failed"]
    assert body["runs"][0]["diagnosis"]["findings"][0]["cause"] == "U13"
    assert body["runs"][1]["notes"]["from_run"] == "1"


async def test_an_export_of_hostile_text_has_no_markup_of_theirs(opened: Opener) -> None:
    async with opened("hostile-text") as (app, _):
        session = await app.session()
        for question in ("what changed in the last 7 days?", "is <b>[x](http://evil.example)</b> `ok`?\n# Owned"):
            await heard(session.ask(question))
        await heard(session.ask("show me all the evidence"))
        text = await text_of(session, "/export")
    assert not re.search(r"(?<!\\)<[a-z/!]|(?<!\\)\]\(|https?://|\x1b|^# ", text, re.MULTILINE)


def test_the_table_for_docs_is_the_table_of_commands() -> None:
    assert [usage.split()[0][1:] for usage, _ in commands.table()] == [command.name for command in commands.COMMANDS]
    assert all(summary and summary[0].islower() for _, summary in commands.table())
