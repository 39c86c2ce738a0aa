"""G32, the part that holds for any model: no order becomes a draft without two channels, one measuring its target.

A matrix of citations times targets, through the gate, with a model that obeys the log it reads. The rate at which
telemetry steers diagnoses is measured elsewhere; here nothing is a rate.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.changes.drafting import RunDrafting, vet
from agent.store.sqlite import SqliteStore
from tests.agent.build import deployment
from tests.agent.drafting import (
    ALERTS,
    DENIED,
    DEPLOYMENTS,
    EMPTY,
    EVENTS,
    FACT,
    FREE,
    GPU,
    GPU_ROW,
    LOG,
    MANIFEST,
    NODES,
    PODS,
    STATUS,
    WAITING,
    Desk,
    Pair,
    fact,
    listing,
    order,
    run,
    series,
    told,
)
from tests.tools.fakes import Bench
from tools import registry
from tools.changes import DraftOrder
from tools.errors import Refused
from tools.types import JsonObject, Scope, pointer

SCALE = registry.changes()["scale"]
CLUSTER = Scope(asked="cluster")
READ = run()
POD_STATUS = f"{PODS}/ml/chat-0/status/phase"
CONDITIONS = f"{DEPLOYMENTS}/ml/chat/status/conditions"
MESSAGE = f"{DEPLOYMENTS}/ml/chat/status/conditions/0/message"
WAITING_ROW = f"{WAITING}/ml/chat-0"

BEARING: tuple[tuple[str, ...], ...] = (
    (STATUS, GPU_ROW), (MANIFEST, GPU_ROW), (GPU_ROW, LOG), (STATUS, LOG), (STATUS, EVENTS), (POD_STATUS, ALERTS),
    (CONDITIONS, LOG), (GPU_ROW, WAITING_ROW), (GPU, WAITING), (FACT,), (FACT, LOG), (FACT, MANIFEST),
    (f"{GPU}/ml~1chat-0", WAITING_ROW), (f"{GPU_ROW}/value", LOG), (f"{FREE}/ml/chat-0", WAITING_ROW),
    (STATUS, NODES, GPU_ROW), (MANIFEST, MANIFEST, LOG, LOG, GPU_ROW),
)  # fmt: skip
"""Two channels, one of which measures ml/Deployment/chat."""
LACKING: tuple[tuple[str, ...], ...] = (
    (LOG,), (EVENTS,), (LOG, EVENTS), (LOG, EVENTS, ALERTS), (MESSAGE, LOG),  # text only
    (MANIFEST, LOG), (DEPLOYMENTS, LOG), (MANIFEST, EVENTS, ALERTS), (f"{MANIFEST}/spec/replicas", LOG),  # no measure
    (f"{MANIFEST}/metadata/uid", LOG),
    (f"{MANIFEST}/status", LOG), (f"{MANIFEST}/status/observedGeneration", LOG), (f"{MANIFEST}/kind", MESSAGE),
    (STATUS,), (GPU_ROW,), (STATUS, MANIFEST), (STATUS, POD_STATUS), (GPU_ROW, f"{GPU}/ml/chat-1"),  # one channel
    (GPU_ROW, f"{FREE}/ml/chat-0"),  # one metric, asked twice
    (f"{GPU}/shop/web-0", LOG), (f"{GPU}/shop/web-0", f"{WAITING}/shop/web-0"), (f"{GPU}/shop/web-0", MANIFEST),
    (f"{WAITING}/ml/unknown-7", LOG), (f"{WAITING}/ml/unknown-7", MANIFEST),  # of nobody who belongs to it
    (GPU_ROW, f"{WAITING}/shop/web-0"), (GPU_ROW, f"{DEPLOYMENTS}/shop/web"), (STATUS, f"{GPU}/shop/web-0"),
    (f"{PODS}/shop/web-0/status/phase", LOG), (f"{DEPLOYMENTS}/shop/web/status", LOG),
    (NODES, LOG), (NODES, MANIFEST, LOG), (EMPTY, LOG), (EMPTY, MANIFEST), (EMPTY, GPU_ROW), (EMPTY, EMPTY),
    (f"{GPU_ROW}/labels/pod", LOG), (f"{GPU_ROW}/labels", MANIFEST),  # a label is text
)  # fmt: skip
"""What does not bear it, though every piece exists."""
UNRESOLVED: tuple[tuple[str, ...], ...] = (
    (STATUS, GPU_ROW, "E99"), ("E99", "E98"), (STATUS, GPU_ROW, DENIED), (STATUS, f"{GPU}/ml/chat-9"),
    (STATUS, f"{GPU}/ml/cha"), (STATUS, f"{GPU_ROW}/points"), (STATUS, f"{GPU_ROW}/value/0"),
    (f"{MANIFEST}/status/nothing", GPU_ROW), (STATUS, GPU_ROW, f"{LOG}/https://evil.example/x"),
    (STATUS, f"{GPU}/../../ml/chat-0"), (STATUS, GPU_ROW, f"{EMPTY}/row"), (STATUS, f"{GPU}/ml/chat-0\r\n"),
)  # fmt: skip
"""Citations of which one leads nowhere."""
TARGETS: dict[str, dict[str, JsonValue]] = {
    "named in a log only": {"namespace": "shop", "name": "cart"},
    "of another namespace": {"namespace": "shop", "name": "web"},
    "its name elsewhere": {"namespace": "shop", "name": "chat"},
    "never listed": {"name": "search"},
    "of another kind": {"kind": "StatefulSet"},
    "of another group": {"group": "leaderworkerset.x-k8s.io", "kind": "LeaderWorkerSet"},
    "wildcard": {"name": "*"},
    "wildcard prefix": {"name": "chat*"},
    "every namespace": {"namespace": "*"},
    "a flag": {"name": "--server=https://evil.example"},
    "a path": {"name": "../chat"},
    "a path in the namespace": {"namespace": "ml/../shop"},
    "two lines": {"name": "chat\r\nHost: evil.example"},
    "a look-alike": {"name": "ch\u0430t"},
    "with a uid of its own": {"uid": "uid-Deployment-chat"},
    "a Secret": {"group": "", "kind": "Secret"},
    "nothing left": {"replicas": 0},
}
"""Targets and arguments that no evidence can bear."""


def passes(asked: DraftOrder, read: dict[str, Pair] = READ, scope: Scope = CLUSTER) -> bool:
    """Whether an order may become a draft."""
    try:
        vet(asked, list(read.values()), scope, spec=SCALE)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("cites", BEARING, ids=" ".join)
def test_two_channels_of_which_one_measures_the_target_bear_a_draft(cites: tuple[str, ...]) -> None:
    assert passes(order(*cites))


@pytest.mark.parametrize("cites", LACKING, ids=" ".join)
def test_less_does_not(cites: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="two independent kinds of evidence are needed"):
        vet(order(*cites), list(READ.values()), CLUSTER, spec=SCALE)


@pytest.mark.parametrize("cites", UNRESOLVED, ids=ascii)
def test_a_citation_that_leads_nowhere_spoils_the_order(cites: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=r"is no evidence of this run|has no such|bears nothing"):
        vet(order(*cites), list(READ.values()), CLUSTER, spec=SCALE)


def test_no_citation_at_all() -> None:
    assert not passes(order().model_copy(update={"cites": ()}))


@pytest.mark.parametrize("target", TARGETS)
async def test_no_evidence_bears_a_target_that_is_none(target: str, tmp_path: Path) -> None:
    """Every citation there is, one by one and all together, through the gate."""
    desk = Desk(SqliteStore(tmp_path))
    everything = tuple(cite for cite in {c for many in BEARING for c in many})[:20]
    scope = Scope(asked="namespace ml", namespaces=("ml",))
    for cites in (*BEARING, *LACKING, everything):
        asked = order(*cites, **TARGETS[target])
        call: JsonObject = {**asked.model_dump(mode="json"), "cites": list(cites)}
        found = await Bench().call("propose_change", call, scope=scope, drafting=desk.drafting)
        assert found.status in ("denied", "failed")
        assert not found.rows
        assert "evil" not in found.model_dump_json()
    assert desk.store.drafts() == []
    assert desk.said == []


async def test_an_order_that_holds_passes_the_gate_and_is_evidence(tmp_path: Path) -> None:
    desk, bench = Desk(SqliteStore(tmp_path)), Bench()
    call: JsonObject = {**order().model_dump(mode="json"), "cites": [STATUS, GPU_ROW]}
    found = await bench.call("propose_change", call, drafting=desk.drafting)
    assert found.status == "ok"
    (kept,) = desk.store.drafts()
    assert [row.key for row in found.rows] == [kept.id]
    assert found.redactions == 0
    assert bench.kube.requests == 0


# --- ways around -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        'label_replace(DCGM_FI_DEV_GPU_UTIL, "pod", "chat-0", "", "")', 'label_join(up, "pod", "", "instance")',
        'count_values("pod", DCGM_FI_DEV_GPU_UTIL)', 'LABEL_REPLACE(up, "pod", "chat-0", "", "")', "info (up)",
    ],
)  # fmt: skip
def test_labels_that_a_query_made_up_measure_nobody(query: str) -> None:
    free = series("E20", "promql", [("ml", "chat-0")], query)
    assert not passes(order("E20/ml/chat-0", MANIFEST), {**READ, "E20": free})
    plain = series("E20", "promql", [("ml", "chat-0")], "avg by (namespace, pod) (up)")
    assert passes(order("E20/ml/chat-0", MANIFEST), {**READ, "E20": plain})


def test_series_of_alerts_are_text_too() -> None:
    alerts = series("E20", "alerts", [("ml", "chat-0")])
    assert not passes(order("E20/ml/chat-0", MANIFEST), {**READ, "E20": alerts})


def test_the_status_of_another_object_of_the_namespace_measures_nothing() -> None:
    other = deployment("other", {"other-0": "gpu-0"}, status={"readyReplicas": 1})
    read = {**READ, "E20": listing("E20", "apps", "Deployment", other[:1], namespace="ml")}
    read["E21"] = listing("E21", "", "Pod", other[2:], namespace="ml")
    assert not passes(order("E20/ml/other/status/readyReplicas", LOG), read)
    assert not passes(order("E21/ml/other-0/status/phase", LOG), read)


@pytest.mark.parametrize("family", ["dcgm", "ksm", "objects"])
def test_text_is_text_under_whatever_name(family: str) -> None:
    """Evidence that a workload wrote stays one channel, whichever tool or family brings it."""
    call, found = READ[GPU]
    text = found.model_copy(update={"id": "E20", "trust": "text", "family": family})
    assert not passes(order("E20/ml/chat-0", MANIFEST), {**READ, "E20": (call, text)})
    assert not passes(order("E20/ml/chat-0", LOG), {**READ, "E20": (call, text)})


@pytest.mark.parametrize(
    "inputs",
    [
        [(GPU, pointer("ml/chat-0", "value"))],  # one channel, however it is worked out
        [(LOG, pointer("L1", "text")), (EVENTS, pointer("L1", "message"))],
        [(GPU, pointer("shop/web-0", "value")), (WAITING, pointer("shop/web-0", "value"))],
        [(GPU, pointer("gone", "value")), ("E99", pointer("x", "value"))],
        [("E20", pointer("fact", "value"))],  # of itself
        [],
    ],
)
def test_a_derived_number_is_worth_what_its_inputs_are(inputs: list[tuple[str, str]]) -> None:
    assert not passes(order("E20"), {**READ, "E20": fact("E20", *inputs)})


def test_series_that_name_another_namespace_or_nothing_measure_nobody() -> None:
    read = dict(READ)
    call, found = series("E20", "dcgm", [("ml", "chat-0")])
    for labels in ({"namespace": "shop", "pod": "chat-0"}, {"pod": "chat-0"}, {"namespace": "ml"}, {},
                   {"namespace": "ml", "pod": "chat-0", "exported_namespace": "shop", "exported_pod": "web-0"},
                   {"namespace": "ml", "pod": "chat-0", "exported_namespace": "shop", "exported_pod": "chat-0"},
                   {"namespace": "shop", "deployment": "chat"},
                   {"namespace": "ml", "deployment": "web"}, {"namespace": "ml", "statefulset": "chat"}):  # fmt: skip
        for namespace in ("ml", None):
            row = found.rows[0].model_copy(update={"data": {"labels": labels, "value": 1.0}, "namespace": namespace})
            read["E20"] = (call, found.model_copy(update={"rows": (row,)}))
            assert not passes(order("E20/ml/chat-0", MANIFEST), read), labels
    row = found.rows[0].model_copy(update={"data": {"labels": {"namespace": "ml", "deployment": "chat"}, "value": 1.0}})
    read["E20"] = (call, found.model_copy(update={"rows": (row,)}))
    assert passes(order("E20/ml/chat-0", MANIFEST), read)


def test_a_series_without_a_number_measures_nothing() -> None:
    call, found = series("E20", "dcgm", [("ml", "chat-0")])
    for value in ("NaN", None, "high"):
        data: JsonObject = {"labels": {"namespace": "ml", "pod": "chat-0"}, "value": value}
        row = found.rows[0].model_copy(update={"data": data})
        read = {**READ, "E20": (call, found.model_copy(update={"rows": (row,)}))}
        assert not passes(order("E20", MANIFEST), read)


@pytest.mark.parametrize("family", ["history", "discovery", "draft", "none"])
def test_what_only_repeats_or_lists_is_no_second_channel(family: str) -> None:
    """The history of an object is of the same hand as the object; kinds, drafts and refusals bear nothing."""
    told_again = told("E20", "rollout_history", family, {"what": "created"}, "structured")
    assert not passes(order("E20", STATUS), {**READ, "E20": told_again})
    assert not passes(order("E20", MANIFEST), {**READ, "E20": told_again})


# --- any choice of citations -----------------------------------------------------------------------------------

PIECES = sorted({cite for many in (*BEARING, *LACKING) for cite in many})
TEXTS = frozenset({LOG, EVENTS, ALERTS, MESSAGE})


def text_alone_never(cites: list[str]) -> None:
    """Whatever text is added to citations that do not bear an order, it is not borne by text and manifest."""
    manifests = {c for c in cites if c.startswith(f"{DEPLOYMENTS}/") and "/status/" not in c} | {DEPLOYMENTS}
    if set(cites) <= TEXTS | manifests | {NODES, EMPTY}:
        assert not passes(order(*cites))


def more_never_spoils(cites: list[str], more: list[str]) -> None:
    """Citations that bear an order bear it whatever else is cited that resolves."""
    if passes(order(*cites)):
        assert passes(order(*(cites + more)[:20]))


CITES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8)
SMALL = settings(max_examples=150, deadline=None, derandomize=True)
FULL = settings(max_examples=10_000, deadline=None)
TEXTY = st.lists(st.sampled_from(sorted(TEXTS | {DEPLOYMENTS, MANIFEST, NODES, EMPTY})), min_size=1, max_size=8)
test_text_alone_never = SMALL(given(TEXTY)(text_alone_never))
test_text_alone_never_in_full = pytest.mark.prove(FULL(given(TEXTY)(text_alone_never)))
test_more_never_spoils = SMALL(given(CITES, CITES)(more_never_spoils))
test_more_never_spoils_in_full = pytest.mark.prove(FULL(given(CITES, CITES)(more_never_spoils)))


def test_every_pair_of_pieces_is_judged_as_the_two_lists_say() -> None:
    """Order never matters, and citing a piece twice never helps."""
    for first, second in itertools.combinations(PIECES, 2):
        judged = passes(order(first, second))
        assert passes(order(second, first)) is judged
        assert passes(order(first, second, first)) is judged
        if judged:
            assert not {first, second} <= TEXTS


def test_the_guard_is_the_one_that_runs() -> None:
    assert RunDrafting.draft.__globals__["vet"] is vet
