"""One consultation after another: what is asked, what a reply means, and how it always ends."""

from __future__ import annotations

import dataclasses

import pytest

from agent.events import Degraded, ModelAsked, TextDelta
from agent.llm.memory import Memory
from agent.llm.types import ModelError, Reply, Spent
from agent.reasoner import Case, Step
from tests.llm.building import Canned, Desk, answering, called, calling, case, few_calls, model, pods
from tests.render.build import diagnosis
from tools.types import Evidence, JsonObject, Row, ToolCall

GROUNDED = ("3 pods of chat run", "E4")
EVENTS = ToolCall(tool="list_events", args={"namespace": "search"}, reason="asked for by the model")


def memory(step: Step) -> Memory:
    return Memory.model_validate(step.state)


async def consulted(port: Canned, *cases: Case, state: JsonObject | None = None, **limits: int) -> list[Step]:
    """Consult once a case, each with the memory of the one before."""
    steps: list[Step] = []
    reasoner = model(port, **limits)
    for one in cases:
        steps.append(await reasoner.consult(one, steps[-1].state if steps else state or {}))
    return steps


async def test_an_answer_ends_it_and_says_only_what_is_checked() -> None:
    desk = Desk()
    (step,) = await consulted(Canned(answering(GROUNDED, ("all is well", "E99"))), case(desk))
    found = memory(step)
    assert step.done
    assert found.answered
    assert [claim.refs[0].evidence for claim in found.claims] == ["E4"]
    assert any("left out" in note for note in found.notes)
    assert [event.text for event in desk.events if isinstance(event, TextDelta)] == [found.claims[0].text + "\n"]
    assert any(isinstance(event, ModelAsked) for event in desk.events)


async def test_every_request_is_audited_before_it_is_sent_and_after() -> None:
    desk = Desk()
    await consulted(Canned(answering(GROUNDED)), case(desk))
    assert [kind for kind, _ in desk.audited] == ["model", "model-outcome"]
    assert desk.audited[0][1]["model"] == "canned"
    assert len(str(desk.audited[0][1]["digest"])) == 64


async def test_nothing_is_sent_when_it_cannot_be_audited() -> None:
    class Full(Exception):
        pass

    def refuse(_kind: str, _body: JsonObject) -> str:
        raise Full

    port = Canned(answering(GROUNDED))
    with pytest.raises(Full):
        await consulted(port, dataclasses.replace(case(), audit=refuse))
    assert not port.requests


async def test_a_read_goes_to_the_gate_and_its_evidence_comes_back() -> None:
    port = Canned(calling(called("list_events", {"namespace": "search"})), answering(GROUNDED))
    first, second = await consulted(port, case(), case(gathered=[pods(), (EVENTS, pods(0, "E5")[1])]))
    assert first.calls == (EVENTS,)
    assert not first.done
    assert second.done
    told = port.requests[1][-1]
    assert told.role == "tool"
    assert told.content.startswith("E5 ")
    assert port.requests[1][-2].calls[0].name == "list_events"


async def test_what_was_read_before_is_not_read_again() -> None:
    port = Canned(calling(called("list_objects", {"kind": "Pod", "namespace": "search"})), answering(GROUNDED))
    first, _ = await consulted(port, case(), case())
    assert first.calls == ()
    assert not first.done
    assert "chat-0" in port.requests[1][-1].content


async def test_evidence_is_shown_again_by_its_id() -> None:
    port = Canned(calling(called("show_evidence", {"id": "E4", "match": "chat-1"})), answering(GROUNDED))
    await consulted(port, case(), case())
    told = port.requests[1][-1].content
    assert "chat-1" in told
    assert "chat-2" not in told


async def test_hypotheses_are_shown_once_as_they_stand() -> None:
    def listed(cause: str) -> JsonObject:
        return {"list": [{"cause": cause, "state": "open"}]}

    port = Canned(calling(called("hypotheses", listed("one"))), calling(called("hypotheses", listed("two"))))
    steps = await consulted(port, case(), case(), case())
    shown = [call.arguments for message in port.requests[2] for call in message.calls]
    assert [("one" in text, "two" in text) for text in shown] == [(False, False), (False, True)]
    assert [h.cause for h in memory(steps[1]).hypotheses] == ["two"]


async def test_a_name_like_a_host_is_read_only_where_it_was_listed() -> None:
    def node(name: str) -> JsonObject:
        return {"kind": "Node", "name": name}

    call, evidence = pods()
    row = Row(key="ip-10-0-0-1.ec2.internal", data={"metadata": {"name": "ip-10-0-0-1.ec2.internal"}})
    known = (call, evidence.model_copy(update={"rows": (*evidence.rows, row)}))
    port = Canned(calling(called("get_object", node("www.evil.example")), called("get_object", node(row.key), 2)))
    (step,) = await consulted(port, case(gathered=[known]))
    assert [call.args["name"] for call in step.calls] == [row.key]


async def test_the_audit_names_only_tools_that_exist() -> None:
    desk = Desk()
    await consulted(Canned(calling(called("https://evil.example/x", {}))), case(desk))
    assert desk.audited[-1][1]["calls"] == ["unknown"]


async def test_a_model_alone_says_healthy_only_with_a_statement_that_holds() -> None:
    alone = case(judged=False, diagnosis=diagnosis(findings=(), status="inconclusive"))
    silent = calling(called("answer", {"claims": [], "disagrees": [], "status": "healthy", "cause": "", "subject": ""}))
    port = Canned(silent, silent)
    reasoner = model(port)
    first = await reasoner.consult(alone, {})
    second = await reasoner.consult(alone, first.state)
    found = reasoner.conclude(alone.diagnosis, second.state)
    assert found.status == "inconclusive"
    assert "model alone" in found.narrative


async def test_hypotheses_are_state() -> None:
    listed: JsonObject = {"list": [{"cause": "too few requests", "supports": "E4", "state": "open"}]}
    (step,) = await consulted(Canned(calling(called("hypotheses", listed))), case())
    assert memory(step).hypotheses[0].supports == ("E4",)
    assert not step.done


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (called("list_events", '{"namespace": "search"'), "not JSON"),
        (called("kubectl", {"command": "delete"}), "no tool named"),
        (called("promql", {"query": 'up{job="http://evil.example/x"}'}), "no links"),
        (called("promql", {"query": "evil.example.com/x"}), "no links"),
        (called("show_evidence", {"id": "../../etc"}), "not read"),
        (called("answer", {"claims": "everything is fine"}), "not read"),
    ],
)
async def test_a_call_that_cannot_be_used_is_answered_and_never_run(call: object, why: str) -> None:
    port = Canned(calling(call), answering(GROUNDED))  # type: ignore[arg-type]
    first, second = await consulted(port, case(), case())
    assert first.calls == ()
    assert why in port.requests[1][-1].content
    assert second.done


async def test_a_malformed_proposal_is_never_asked_for_again() -> None:
    port = Canned(calling(called("propose_change", '{"change": "scale"')), answering(GROUNDED))
    first, _ = await consulted(port, case(), case())
    assert first.calls == ()
    assert memory(first).reasked == 0
    assert "never repaired" in port.requests[1][-1].content


async def test_a_model_that_cannot_write_calls_is_asked_for_its_answer_and_then_left() -> None:
    broken = calling(called("list_events", "{"))
    port = Canned(broken, broken, broken)
    steps = await consulted(port, case(), case(), case())
    assert port.must == ["", "", "answer"]
    assert steps[-1].done
    assert memory(steps[-1]).ended
    assert not any(step.calls for step in steps)


async def test_going_round_in_circles_ends() -> None:
    port = Canned(calling(called("list_objects", {"kind": "Pod", "namespace": "search"})))
    steps = await consulted(port, *[case()] * 6)
    assert steps[-1].done
    assert len(port.requests) <= 6
    assert port.must[-1] == "answer"
    assert any("asked again" in note for note in memory(steps[-1]).notes)


async def test_more_calls_than_fit_are_told_so() -> None:
    many = [called("list_events", {"namespace": f"ns-{n}"}, n) for n in range(100)]
    port = Canned(calling(*many), answering(GROUNDED))
    first, _ = await consulted(port, case(), case())
    assert len(first.calls) == 8
    assert sum("at most 8 calls" in m.content for m in port.requests[1]) == 92


async def test_prose_counts_where_it_cites() -> None:
    port = Canned(Reply(text="3 pods of chat run [E4]. Everything else is lovely."))
    (step,) = await consulted(port, case())
    assert [claim.refs[0].evidence for claim in memory(step).claims] == ["E4"]


async def test_prose_without_citations_is_asked_for_again_once() -> None:
    port = Canned(Reply(text="All is well."), Reply(text="All is well, I said."))
    first, second = await consulted(port, case(), case())
    assert not first.done
    assert second.done
    assert memory(second).claims == ()
    assert "All is well" not in str(second.state)


@pytest.mark.parametrize("reply", [Reply(), Reply(refusal="I cannot help with that")])
async def test_nothing_and_refusals_end_it(reply: Reply) -> None:
    (step,) = await consulted(Canned(reply), case())
    assert step.done
    assert memory(step).notes


async def test_a_broken_endpoint_ends_it_with_one_line() -> None:
    desk = Desk()
    (step,) = await consulted(Canned(ModelError("credentials", "401: the key is not accepted")), case(desk))
    assert step.done
    assert any(isinstance(event, Degraded) and "401" in event.because for event in desk.events)
    assert desk.audited[-1][1] == {"request": 1, "status": "credentials"}


# --- budgets -----------------------------------------------------------------------------------------------


async def test_when_the_calls_are_used_only_an_answer_is_wanted() -> None:
    port = Canned(answering(GROUNDED))
    (step,) = await consulted(port, dataclasses.replace(case(), meter=few_calls(0)))
    assert port.must == ["answer"]
    assert "No more reads" in port.requests[0][-1].content
    assert memory(step).claims


async def test_a_used_up_budget_sends_nothing() -> None:
    port = Canned(answering(GROUNDED))
    (step,) = await consulted(port, case(), tokens=100)
    assert not port.requests
    assert "tokens of this question" in memory(step).ended


async def test_three_quarters_of_a_budget_leave_room_for_the_answer() -> None:
    read = calling(called("list_events", {"namespace": "a"}), tokens=14_000)
    port = Canned(read, answering(GROUNDED))
    first, second = await consulted(port, case(), case(), tokens=18_000)
    assert first.calls
    assert port.must == ["", "answer"]
    assert memory(second).claims


async def test_a_reply_that_failed_has_cost_something() -> None:
    port = Canned(ModelError("cut", "the stream was cut", spent=Spent(input=2_000, output=50, counted=False)))
    (step,) = await consulted(port, case())
    assert memory(step).spent == Spent(input=2_000, output=50, counted=False)
    assert memory(step).requests == 1


async def test_the_hour_has_a_budget() -> None:
    port = Canned(answering(GROUNDED))
    (step,) = await consulted(port, case(), hour=10)
    assert not port.requests
    assert "this hour" in memory(step).ended


async def test_a_secret_in_arguments_is_not_kept() -> None:
    port = Canned(calling(called("list_events", {"namespace": "search", "name": "hunter2"})))
    (step,) = await consulted(port, case())
    assert "hunter2" not in str(step.state)


async def test_a_secret_in_a_hypothesis_or_in_what_is_looked_for_is_not_kept() -> None:
    thought: JsonObject = {"cause": "hunter2", "supports": ["E4/hunter2"], "next_test": "look for hunter2"}
    desk = Desk()
    port = Canned(
        calling(called("hypotheses", {"list": [thought]})),
        calling(called("show_evidence", {"id": "E4", "match": "hunter2", "after": "hunter2"})),
    )
    steps = await consulted(port, case(desk), case(desk))
    assert memory(steps[0]).hypotheses[0].cause == "‹redacted›"
    assert memory(steps[1]).turns[1].asked[0].match == "‹redacted›"
    assert "hunter2" not in str([step.state for step in steps])
    assert "hunter2" not in str(desk.audited)


# --- the size of requests ----------------------------------------------------------------------------------


def _turns(count: int) -> tuple[list[Case], Canned]:
    """A conversation that reads one long list a turn."""
    gathered: list[tuple[ToolCall, Evidence]] = [pods()]
    cases, replies = [], []
    for number in range(count):
        cases.append(case(gathered=list(gathered)))
        args: JsonObject = {"kind": "Pod", "namespace": f"n{number}"}
        replies.append(calling(called("list_objects", args, number)))
        _, evidence = pods(200, f"E{number + 10}")
        call = ToolCall(tool="list_objects", args=args)
        gathered.append((call, evidence.model_copy(update={"call_digest": call.digest})))
    return cases, Canned(*replies)


@pytest.mark.parametrize(("window", "most"), [(128_000, 9_000), (8_192, 7_192), (32_768, 9_000)])
async def test_history_shrinks_without_a_model(window: int, most: int) -> None:
    cases, port = _turns(9)
    steps = await consulted(port, *cases, window=window)
    assert not any(step.done for step in steps)
    for request in port.requests:
        assert sum(len(m.content.encode()) for m in request) / 4 <= most
    newest, oldest = port.requests[-1][-1].content, port.requests[-1][3].content
    assert newest.startswith("E17 ")
    assert "chat-1" in newest
    assert oldest.startswith("E10 ")
    assert ("\n" in oldest.strip()) == (window < 128_000), "small windows get small tables instead"


async def test_a_window_that_is_too_small_says_so() -> None:
    port = Canned(answering(GROUNDED))
    (step,) = await consulted(port, case(), window=2_000)
    assert not port.requests
    assert "model_window" in memory(step).ended
