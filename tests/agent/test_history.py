"""What a session remembers: the last real answer, a bounded summary, how a run stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import history
from agent.events import Answered, Asked, Cancelled, Event, Failed, Planned
from agent.history import Ending, Past
from agent.store.sqlite import SqliteStore
from agent.types import Claim, Diagnosis, Finding, Intent, Usage
from tools.types import EvidenceRef, ResourceRef, Scope

CLAIM = Claim(text="seen", refs=(EvidenceRef(evidence="E1", path="/a", value=1),))


def diagnosis(question: str, *, findings: int = 0, permitted: tuple[str, ...] | None = None) -> Diagnosis:
    subject = ResourceRef(group="apps", kind="Deployment", namespace="search", name="chat")
    found = Finding(
        cause="U13", title="SECRET PROSE", subject=subject, severity="high", confidence="high", seen=(CLAIM,)
    )
    return Diagnosis(
        question=question,
        status="found" if findings else "healthy",
        reasoner="llm",
        mode="propose",
        cluster="c",
        scope=Scope(asked="namespace search", namespaces=("search",), permitted=permitted),
        findings=(found,) * findings,
        narrative="MODEL PROSE",
        explained=(Claim(text="MODEL PROSE", refs=CLAIM.refs),),
        usage=Usage(calls=1, requests=1, seconds=1.0),
    )


def past(question: str, *, findings: int = 0) -> Past:
    found = diagnosis(question, findings=findings)
    intent = Intent(question=question, topic="idle", families=("gpu",))
    return Past(run=1, question=question, intent=intent, scope=found.scope, diagnosis=found)


def test_a_summary_names_question_status_and_root_causes_and_no_prose() -> None:
    text = history.summary([past("why idle?", findings=5), past("all right?")])
    assert text.splitlines() == [
        '"why idle?" about namespace search → found: ' + ", ".join(["U13 on search/Deployment/chat"] * 3) + ", 2 more",
        '"all right?" about namespace search → healthy',
    ]
    assert "PROSE" not in text
    assert history.summary([]) == ""


def test_a_summary_is_bounded_and_keeps_the_newest() -> None:
    text = history.summary([past(f"{number} " + "x" * 4_000, findings=9) for number in range(50)])
    assert len(text) <= history.SUMMARY_CHARACTERS
    assert text.startswith('"0 ')


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (None, "unfinished"),
        (Cancelled(run="s/1"), "unfinished"),
        (Failed(message="no"), "failed"),
        (Asked(prompt="which?", candidates=("a",)), "waits for a choice"),
        (Answered(diagnosis=diagnosis("q")), "answered"),
    ],
)
def test_how_a_run_stands(event: Event | None, ending: Ending) -> None:
    assert history.ending_of(event) == ending


@pytest.mark.parametrize(
    ("made", "reads", "runs"),
    [
        (None, None, [1]),
        (None, ("a",), []),
        (("a",), ("a", "b"), [1]),
        (("a", "b"), ("a",), []),
        (("a",), None, [1]),
    ],
)
def test_a_past_made_with_wider_rights_is_none(
    tmp_path: Path, made: tuple[str, ...] | None, reads: tuple[str, ...] | None, runs: list[int]
) -> None:
    store = SqliteStore(tmp_path)
    run = store.begin("s", "c", "q", 1.0)
    found = diagnosis("q", permitted=made)
    store.append("s", run, Planned(intent=past("q").intent, scope=found.scope, calls=1), 1.0)
    store.append("s", run, Answered(diagnosis=found), 2.0)
    assert [found.run for found in history.pasts(store, "s", permitted=reads)] == runs
    store.close()


def test_the_newest_session_of_a_cluster_is_the_one_asked_last(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    for session, cluster, at in (("a", "one", 9.0), ("b", "one", 5.0), ("x", "two", 99.0), ("a", "one", 1.0)):
        store.begin(session, cluster, "q", at)
    assert (store.newest("one"), store.newest("two"), store.newest("three")) == ("a", "x", None)
    assert [row.run for row in store.runs("a")] == [1, 2]
    assert store.ending("a", 1) is None
    store.close()
