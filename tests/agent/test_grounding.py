"""A model's statements against evidence: what is true stays as it is, what is not borne out is marked or left out."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.citations import Checker
from agent.grounding.claims import (
    MAX_CHARACTERS,
    MAX_CLAIMS,
    NO_CAUSE,
    NO_EVIDENCE,
    NO_NAME,
    NO_NUMBER,
    TEXT_ONLY,
    TEXT_TOO,
    Dispute,
    Grounded,
    Known,
    Said,
    from_prose,
    ground,
    ground_disputes,
    known,
    products,
)
from agent.types import Diagnosis
from evals.once import record
from evals.scenario import load_all
from tests.agent.build import NOW, evidence, node, pod
from tests.agent.honest import ALIASES, HONEST
from tests.render.build import diagnosis
from tests.render.build import evidence as listed
from tools.types import Evidence, Row, Status, pointer


def objects(name: str, kind: str, bodies: list[dict[str, JsonValue]], status: Status = "ok") -> Evidence:
    """A listing of a kind."""
    rows = []
    for body in bodies:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        namespace = metadata.get("namespace")
        rows.append(Row(key=f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"]), data=body))
    found = evidence(name, "list_objects", rows, "objects", status)
    return found.model_copy(update={"query": f"kubectl get {kind} -A"})


def series(name: str, values: dict[str, float], query: str = "busy[30m]") -> Evidence:
    """One number a pod."""
    rows = [
        Row(key=f'{{pod="{p}"}}', data={"labels": {"namespace": "ml", "pod": p}, "value": v}) for p, v in values.items()
    ]
    return evidence(name, "named_query", rows, "dcgm").model_copy(update={"query": query})


PODS = [pod(f"web-{n}", on=f"gpu-{n % 2}", age=7200.0) for n in range(9)] + [pod(f"job-{n}", on=None) for n in range(3)]
LOG = Row(key="1", data={"line": "worker-7 ran out of memory after 4321 steps, see https://a.example/x"})
SHELF: dict[str, Evidence] = {
    "E1": objects("E1", "pod", PODS),
    "E2": series("E2", {"web-0": 0.349, "web-1": 0.351, "web-2": 0.971, "job-0": 0.0}),
    "E3": objects("E3", "node", [node("gpu-0"), node("gpu-1")]),
    "E4": evidence("E4", "pod_logs", [LOG], "logs").model_copy(update={"trust": "text"}),
    "E5": evidence("E5", "list_objects", [], "objects", "denied", "forbidden").model_copy(
        update={"query": "kubectl get secret -A"}
    ),
    "E6": evidence("E6", "named_query", [], "vllm"),
    "E7": series("E7", {"web-0": 73709.0, "web-1": 1500.0}, "memory"),
    "E8": objects("E8", "pod", PODS[:4], "truncated"),
}
KNOWN = Known(causes=frozenset({"U13", "U16"}), found=frozenset({"U13"}), catalogue=frozenset({"U13", "U16", "U35"}))


def lookup(name: str) -> Evidence:
    return SHELF[name]


def say(text: str, *cites: str) -> Grounded:
    return ground([Said(text=text, cites=cites)], lookup, KNOWN)


def left(text: str, *cites: str) -> str:
    """What is left of one statement."""
    claims = say(text, *cites).claims
    return claims[0].text if claims else ""


def test_a_statement_without_evidence_is_left_out_and_counted() -> None:
    for cites in ((), ("E99",), ("see above",), ("",), ("Eleven",)):
        found = say("all is well", *cites)
        assert found.claims == ()
        assert found.removed == 1
        assert found.notes == ("1 statement of the model cites no evidence and was left out",)
    many = ground([Said(text="a"), Said(text="b"), Said(text="web-0 runs", cites=("E1",))], lookup, KNOWN)
    assert many.notes == ("2 statements of the model cite no evidence and were left out",)
    assert len(many.claims) == 1


@pytest.mark.parametrize(
    ("cite", "path", "value"),
    [
        ("E1", "", 12),
        ("[E1]", "", 12),
        ("e1", "", 12),
        ("E1/ml~1job-0/status/phase", "/ml~1job-0/status/phase", "Pending"),
        ("E1/ml/job-0/status/phase", "/ml~1job-0/status/phase", "Pending"),
        ("E1/job-0/status.phase", "/ml~1job-0/status/phase", "Pending"),
        ("E1/ml/job-0/spec/containers/0/resources/limits/nvidia.com/gpu",
         "/ml~1job-0/spec/containers/0/resources/limits/nvidia.com~1gpu", "1"),
        ('E2/{pod="web-0"}/value', '/{pod="web-0"}/value', 0.349),
        ("E1/no such row", "", 12),
    ],
)  # fmt: skip
def test_citations_are_read_with_good_will(cite: str, path: str, value: JsonValue) -> None:
    (claim,) = say("this is how it stands", cite).claims
    assert [(ref.path, ref.value) for ref in claim.refs] == [(path, value)]


def test_several_citations_in_one_string_and_inside_the_words() -> None:
    (claim,) = say("it is so [E2], as seen [E1/ml/job-0].", "E1, E2; E3").claims
    assert claim.text == "it is so, as seen."
    assert [ref.evidence for ref in claim.refs] == ["E1", "E2", "E3"]


def test_references_point_to_what_bears_the_words() -> None:
    (claim,) = say("web-2 is 97 % busy", "E2").claims
    assert ('/{pod="web-2"}/value', 0.971) in [(ref.path, ref.value) for ref in claim.refs]
    (claim,) = say("3 of 12 pods are Pending", "E1").claims
    assert [(ref.path, ref.value) for ref in claim.refs] == [("", 12)]
    assert Checker(lookup).supported([claim]) == (claim,)


TRUE = (
    ("3 of 12 pods are Pending and nine are Running", "E1"),
    ("the nine other pods are not Pending", "E1"),
    ("web-0 is 35 % busy, or 34.9%, or 0.349, about a third", "E2"),
    ("web-0 is at 0.35 and web-1 at 35.1 percent", "E2"),
    ("the mean is 41.8 %, the highest 97.1 %, the lowest 0", "E2"),
    ("web-0 and web-1 differ by 0.002: 0.349 against 0.351", "E2"),
    ("web-0, at 0.349, is busier than job-0, which is at 0", "E2"),
    ("all of them stay below 98 %", "E2"),
    ("every pod has been running for 2 hours, that is 120 minutes", "E1"),
    ("over the last 30 minutes, or half an hour, web-2 peaked", "E2"),
    ("web-0 uses 72 GiB, i.e. 73,709 MiB", "E7"),
    ("pods run on two nodes, gpu-0 and gpu-1", "E1"),
    ("each node has 8 GPUs, sixteen in total", "E3"),
    ("ml/web-0, Pod/web-0 and ml/Pod/web-0 are one pod's name", "E1"),
    ("the nodes have nvidia.com/gpu: 8 and 1Ti of memory", "E3"),
    ("the 2nd node, gpu-1, has H100s", "E3"),
    ("U13 holds and U16 does not", "E1"),
)


@pytest.mark.parametrize(("text", "cite"), TRUE)
def test_what_the_evidence_bears_stays(text: str, cite: str) -> None:
    assert left(text, cite) == text


FALSE = (
    ("4 of 12 pods are Pending", "E1", f"{NO_NUMBER} of 12 pods are Pending"),
    ("web-0 is 97 % busy", "E2", f"web-0 is {NO_NUMBER} % busy"),
    ("web-0 is 36 % busy", "E2", f"web-0 is {NO_NUMBER} % busy"),
    ("there are 13 nodes", "E3", f"there are {NO_NUMBER} nodes"),
    ("forty-two pods wait", "E1", f"{NO_NUMBER} pods wait"),
    ("it began at 14:05", "E1", f"it began at {NO_NUMBER}"),
    ("all stay under 20 %", "E2", f"all stay under {NO_NUMBER} %"),
    ("db-7 and gpu-9 are down", "E1", f"{NO_NAME} and {NO_NAME} are down"),
    ("Deployment checkout is idle", "E1", f"Deployment {NO_NAME} is idle"),
    ("ml/ledger is idle", "E1", f"{NO_NAME} is idle"),
    ("vllm:no_such_metric is high", "E2", f"{NO_NAME} is high"),
    ("the A100s of gpu-0 are slow", "E3", f"the {NO_NAME} of gpu-0 are slow"),
    ("the pods suffer from U35, not D99", "E1", f"the pods suffer from {NO_CAUSE}, not {NO_CAUSE}"),
    ("the payments service is down", "E1", f"the {NO_NAME} service is down"),
    ("Deployment billing crashed", "E1", f"Deployment {NO_NAME} crashed"),
    ("user alice drained gpu-0", "E3", f"user {NO_NAME} drained gpu-0"),
    ("Ⅷ pods wait", "E1", f"{NO_NUMBER} pods wait"),
    ("九十七 pods wait", "E1", f"{NO_NUMBER} pods wait"),
    ("٤ of 12 pods wait", "E1", f"{NO_NUMBER} of 12 pods wait"),
    ("web-2 is ½ busy", "E2", f"web-2 is {NO_NUMBER} busy"),
    ("a hundred pods wait", "E1", f"a {NO_NUMBER} pods wait"),
    ("two hundred pods wait", "E1", f"{NO_NUMBER} hundred pods wait"),
    ("hundreds of pods wait", "E1", f"{NO_NUMBER} of pods wait"),
    ("the pods were restarted twice", "E1", f"the pods were restarted {NO_NUMBER}"),
    ("1500 pods wait", "E7", f"{NO_NUMBER} pods wait"),
    ("1500 GPUs idle", "E7", f"{NO_NUMBER} GPUs idle"),
    ("the pods wait, see E42", "E1", f"the pods wait, see {NO_EVIDENCE}"),
    ("the image is v9.9.9", "E1", f"the image is {NO_NAME}"),
)


@pytest.mark.parametrize(("text", "cite", "expected"), FALSE)
def test_what_it_does_not_bear_is_marked(text: str, cite: str, expected: str) -> None:
    found = say(text, cite)
    assert found.claims[0].text == expected
    assert found.marked == expected.count("‹")
    assert "not in the evidence: marked" in found.notes[0]


def test_evidence_that_could_not_be_read_bears_only_words_that_say_so() -> None:
    assert left("there are no secrets", "E5") == ""
    assert left("secrets could not be read: forbidden", "E5") == "secrets could not be read: forbidden"
    assert [r.evidence for r in say("web-0 runs", "E5", "E1").claims[0].refs] == ["E1"]
    assert left("no request was preempted", "E6") == "no request was preempted"


def test_rows_of_a_cut_listing_are_not_counted() -> None:
    assert left("4 pods run", "E8") == f"{NO_NUMBER} pods run"
    assert left("web-0 runs on gpu-0", "E8") == "web-0 runs on gpu-0"


def test_logs_alone_are_named_as_such() -> None:
    assert left("worker-7 ran out of memory after 4321 steps", "E4") == (
        f"worker-7 ran out of memory after 4321 steps{TEXT_ONLY}"
    )
    assert left("worker-7 ran out of memory on gpu-0", "E4", "E3") == f"worker-7 ran out of memory on gpu-0{TEXT_TOO}"
    assert "a.example" not in left("see https://a.example/x and a.example", "E4")


def test_what_only_others_wrote_comes_last() -> None:
    said = [Said(text="worker-7 ran out of memory", cites=("E4",)), Said(text="web-0 runs on gpu-0", cites=("E1",))]
    assert [claim.hearsay for claim in ground(said, lookup, KNOWN).claims] == [False, True]


def test_a_statement_of_which_nothing_is_left_is_left_out() -> None:
    found = say("It is U35, not D99.", "E1")
    assert (found.claims, found.removed) == ((), 1)


def test_numbers_of_other_scripts_are_read() -> None:
    for text, plain in (("٣ of ١٢ pods", "3 of 12 pods"), ("Ⅲ pods", "3 pods"), ("３ pods", "3 pods")):
        assert left(f"{text} are Pending", "E1") == f"{plain} are Pending"


def test_hostile_statements_over_many_rows_take_little_time() -> None:
    """Names made of parts that stand in the rows, but not so, and amounts that no row has."""
    rows = {f"web-{n // 10}-{n % 10:05d}": float(n) for n in range(10_000)}
    big = series("E1", rows)
    part = "-".join(f"web-{n}" for n in range(12))
    words_ = [f"{part}-{n}-web/web-{n}:web-{n}_web-{n}-ing-ed 1{n:05d}.5" for n in range(20)]
    said = [Said(text=" ".join(words_[n % 20 :])[:MAX_CHARACTERS], cites=("E1",)) for n in range(20)]
    begun = time.process_time()
    ground([Said(text="the pods run", cites=("E1",))], lambda _: big, KNOWN)
    once = time.process_time() - begun
    begun = time.process_time()
    ground(said, lambda _: big, KNOWN)
    assert time.process_time() - begun < 2 * once + 1.0


def test_a_disagreement_needs_a_finding_and_more_than_text() -> None:
    def judge(cause: str, *cites: str) -> tuple[int, tuple[str, ...]]:
        kept, rest = ground_disputes([Dispute(cause=cause, text="web-0 is busy", cites=cites)], lookup, KNOWN)
        return len(kept), rest.notes

    assert judge("U13", "E2") == (1, ())
    assert judge(" u13 ", "E2", "E4") == (1, ())
    for cause, cites in (("U16", ("E2",)), ("U13", ("E4",)), ("U13", ()), ("nonsense", ("E2",))):
        kept, notes = judge(cause, *cites)
        assert kept == 0
        assert notes == ("1 objection of the model to a finding cites no evidence against it and was left out",)


def test_prose_is_cut_into_cited_statements() -> None:
    found = from_prose("# Summary\n- web-0 is busy [E2]. Three wait, e.g. job-0. [E1, E2]\n\nAll good (E3)!")
    assert [(s.text, s.cites) for s in found] == [
        ("Summary", ()),
        ("web-0 is busy.", ("E2",)),
        ("Three wait, e.g. job-0.", ("E1, E2",)),
        ("All good!", ("E3",)),
    ]


def test_what_the_diagnosis_says_may_be_said_again() -> None:
    ours: Diagnosis = diagnosis()
    may = known(ours, ours.question, ["U13"], also=["H100"])
    assert {"chat-70b", "search", "search/chat-70b", "batch-0", "h100"} <= may.names
    assert may.causes == {"U13", "U16", "U25"}
    assert may.found == {"U13"}
    said = [Said(text="search/chat-70b targets cpu 80 %, half of 64 H100s idle", cites=("E4", "E1"))]
    shelf = {"E4": listed(), "E1": SHELF["E1"]}
    assert ground(said, lambda name: shelf[name], may).claims[0].text == said[0].text
    assert products(SHELF.values()) == frozenset({"h100"})


def test_an_answer_has_bounds() -> None:
    long = "web-0 runs. " * 300
    found = ground([Said(text=f"{long}{n}", cites=("E1",)) for n in range(40)], lookup, KNOWN)
    assert len(found.claims) <= MAX_CLAIMS
    assert all(len(claim.text) <= MAX_CHARACTERS for claim in found.claims)
    words = ground([Said(text=f"web-{n % 9} is well, {'x' * n}", cites=("E1",)) for n in range(15)], lookup, KNOWN)
    assert len(words.claims) == MAX_CLAIMS
    assert words.notes[-1] == "3 further statements of the model not shown: at most 12 are"


@pytest.mark.parametrize("name", sorted(HONEST))
def test_honest_statements_about_worlds_stay_word_for_word(name: str) -> None:
    (scenario,) = load_all(name)
    done = asyncio.run(record(scenario))
    assert done.diagnosis is not None
    found = done.evidence
    may = known(done.diagnosis, done.diagnosis.question, ["U01", "U13", "U16"], also=products(found.values()))

    def cite(match: re.Match[str]) -> str:
        (one,) = (item.id for item in found.values() if ALIASES[match[1]] in item.query)
        return one

    for text, cites in HONEST[name]:
        kept = ground([Said(text=text, cites=(re.sub(r"@(\w+)", cite, cites),))], lambda key: found[key], may)
        assert [claim.text.removesuffix(TEXT_ONLY) for claim in kept.claims] == [text]
        assert Checker(lambda key: found[key]).supported(kept.claims) == kept.claims


def test_ten_thousand_rows_are_indexed_once() -> None:
    big = series("E1", {f"web-{n // 10}-{n % 10:05d}": n / 10_000 for n in range(10_000)})
    said = [Said(text=f"web-{n} is {n} % busy, the mean is 50 %, db-{n} is not", cites=("E1",)) for n in range(60)]
    begun = time.process_time()
    ground(said[:1], lambda _: big, KNOWN)
    once = time.process_time() - begun
    begun = time.process_time()
    ground(said, lambda _: big, KNOWN)
    assert time.process_time() - begun < 4 * once + 0.6


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            ("web-0", "35 %", "3 of 12", "U13", "U99", "[E1]", "below 5 %", "https://a.example", "1e99", "٣", "²")
        ),
        st.sampled_from(
            ("14:05", "2026-99-99", "9" * 40, "Deployment x", "-", "‹", "\n", "7d", "0x1F", "1/0", "0 % of 0")
        ),
    ),
    max_size=8,
).map(" ".join)
CITES = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(("E1", "[E2]", "E1/ml/job-0/status/phase", "E4", "E5", "E2/x/y", "E1/", "E1//0/~", "E0")),
    ),
    max_size=4,
).map(tuple)


def holds_whatever(text: str, cites: tuple[str, ...]) -> None:
    found = ground([Said(text=text, cites=cites), *from_prose(text)], lookup, KNOWN)
    disputed, _ = ground_disputes([Dispute(cause="U13", text=text, cites=cites)], lookup, KNOWN)
    claims = (*found.claims, *(entry.because for entry in disputed))
    assert Checker(lookup).supported(claims) == claims
    for claim in claims:
        assert len(claim.text) <= MAX_CHARACTERS
        assert "\n" not in claim.text
        assert {ref.evidence for ref in claim.refs} <= set(SHELF)


@settings(max_examples=150)
@given(TEXTS, CITES)
def test_any_words_and_citations(text: str, cites: tuple[str, ...]) -> None:
    holds_whatever(text, cites)


@pytest.mark.prove
@settings(max_examples=20_000)
@given(TEXTS, CITES)
def test_any_words_and_citations_in_full(text: str, cites: tuple[str, ...]) -> None:
    holds_whatever(text, cites)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=6), JSON, max_size=5), st.text(max_size=20), TEXTS)
def test_any_evidence(data: dict[str, JsonValue], key: str, text: str) -> None:
    odd = SHELF["E6"].model_copy(update={"rows": (Row(key=key, data=data),), "observed_at": NOW, "status": "ok"})
    for claim in ground([Said(text=text, cites=("E6", f"E6/{key}/a"))], lambda _: odd, KNOWN).claims:
        assert Checker(lambda _: odd).supported([claim])


def test_a_row_may_be_cited_by_its_number() -> None:
    evidence = Evidence(
        id="E1",
        tool="named_query",
        source="prometheus",
        family="dcgm",
        query="up",
        call_digest="0" * 64,
        status="ok",
        observed_at=0.0,
        rows=(Row(key="{pod='a'}", data={"value": 0.31}), Row(key="{pod='b'}", data={"value": 0.82})),
        digest="0" * 64,
    )
    grounded = ground([Said(text="it is 82 % busy", cites=("E1/#2/value",))], {"E1": evidence}.__getitem__, Known())
    (claim,) = grounded.claims
    assert claim.refs[0].path == pointer("{pod='b'}", "value")
    wrong = ground([Said(text="it is 82 % busy", cites=("E1/#1/value",))], {"E1": evidence}.__getitem__, Known())
    assert "82" not in wrong.claims[0].text
