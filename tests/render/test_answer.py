"""What an answer says, and in what form."""

from __future__ import annotations

from agent.render import terminal
from agent.render.answer import answer
from agent.types import Diagnosis
from tests.render.build import FINDING, POD, claim, diagnosis, explained


def drawn(whole: Diagnosis, width: int = 150) -> list[str]:
    return terminal.draw(answer(whole), width=width, color=False).splitlines()


def test_the_form_of_an_answer() -> None:
    weight = "root · high"
    head = "● U13  Deployment search/chat-70b scales on CPU, which does not follow token load"
    assert drawn(diagnosis()) == [
        head + " " * (150 - len(head) - len(weight)) + weight,
        "  seen       HPA search/chat-70b targets cpu 80 % [E4] · desired replicas follow cpu [E9][E11]",
        "  since      2026-03-02T14:05:00Z",
        "  ruled out  U16 KV cache at most 41 % full [E10]",
        "○ ruled out             U25 on search/Pod/batch-0: its loader keeps up [E12]",
        "○ checked and healthy   telemetry covers 64 of 64 GPUs [E1]",
        "○ not checked           network fabric: no node_infiniband_* series here",
        "○ ask next              what changed on search/Deployment/chat-70b?",
        "31 calls · 34 requests · 1.1 s · playbook",
    ]


def test_a_line_without_content_does_not_appear() -> None:
    bare = diagnosis(ruled_out=(), checked=(), missing=(), asked=())
    labels = "\n".join(drawn(bare))
    for absent in ("ruled out", "checked", "ask next", "costs", "change"):
        assert absent not in labels


def test_without_findings_the_narrative_stands_first() -> None:
    assert drawn(diagnosis(findings=(), status="healthy", narrative="All is well."))[0] == "○ All is well."
    assert drawn(diagnosis(findings=(), status="inconclusive", narrative="Cannot tell."))[0] == "? Cannot tell."


def test_the_playbooks_narrative_does_not_repeat_its_findings_but_a_models_is_shown() -> None:
    assert "It scales on CPU." not in "\n".join(drawn(diagnosis()))
    assert drawn(diagnosis(reasoner="some-model"))[0] == "It scales on CPU."


def test_what_a_model_adds_stands_apart_and_its_cost_at_the_end() -> None:
    lines = drawn(explained())
    assert lines[:2] == [
        "✎ the model says        CPU stays at its target while tokens pile up [E4][E11]",
        "✎ the model says        so it holds still [E9]",
    ]
    assert lines[2].startswith("● U13")
    assert "○ disputed              U13, by the model: the HPA has been still for 7 d [E11]" in lines
    assert lines[-4:] == [
        "○ notes                 2 statements of the model cite no evidence and were left out",
        "                        the budget of calls ran out",
        "→ proposal P7, a draft: nothing is changed (proposals show P7)",
        "31 calls · 34 requests · 1.1 s · some-model · some-model: 3 requests, 9,120 tokens in, 410 out, cost 0.0123",
    ]


def test_tokens_that_were_not_counted_and_money_that_has_no_price() -> None:
    usage = explained().usage
    assert usage.model is not None
    guessed = usage.model.model_copy(update={"requests": 1, "counted": False, "cost": None})
    last = drawn(explained(usage=usage.model_copy(update={"model": guessed})))[-1]
    assert last.endswith("some-model: 1 request, about 9,120 tokens in, about 410 out")


def test_doubt_is_told() -> None:
    weak = FINDING.model_copy(update={"confidence": "medium", "role": "contributing"})
    assert drawn(diagnosis(findings=(weak,)))[0].endswith("contributing · high · medium confidence")


def test_a_long_list_is_counted_not_dropped() -> None:
    many = tuple(claim(f"thing {n} is fine", "E1") for n in range(9))
    text = "\n".join(drawn(diagnosis(checked=many)))
    assert "thing 5" in text
    assert "thing 6" not in text
    assert "and 3 more (-o json shows all)" in text


def test_a_ruled_out_cause_shows_once_beside_the_root_it_concerns() -> None:
    twin = FINDING.model_copy(update={"cause": "U14"})
    text = "\n".join(drawn(diagnosis(findings=(FINDING, twin))))
    assert text.count("U16 KV cache") == 1
    elsewhere = FINDING.model_copy(update={"subject": POD, "affects": ()})
    assert "○ ruled out             U16 on search/Deployment/chat-70b:" in "\n".join(
        drawn(diagnosis(findings=(elsewhere,)))
    )


def test_what_stands_above_an_answer() -> None:
    assert drawn(diagnosis(unknown=("team 'zeta'",)))[0].startswith(
        "There is no team 'zeta' here: the answer is about "
    )
    beyond = diagnosis(understood=False, beyond="Codes are not looked up here.")
    assert drawn(beyond)[0] == "Codes are not looked up here. Here is how things stand."
    assert drawn(diagnosis(understood=False))[0].startswith("This is not a question Plumbline understands")
    drafted = diagnosis(understood=False, beyond="Nothing was proposed.", drafts=("0123456789ab",))
    assert "Nothing was proposed." not in "\n".join(drawn(drafted))
