"""From an order to a draft: every rule has an order that keeps all the others and breaks that one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from pydantic import JsonValue

from agent.analysis.view import View
from agent.changes.drafting import vet
from agent.changes.ownership import delivered_by
from tests.agent.build import NOW, QUEUE_METRIC, hpa, owner, workload
from tests.agent.drafting import (
    DEPLOYMENTS,
    HPAS,
    PODS,
    SCALED,
    Pair,
    listing,
    order,
    run,
)
from tools import fields, registry
from tools.changes import DraftOrder
from tools.errors import Refused
from tools.types import Evidence, JsonObject, ResourceRef, Scope, ToolCall, digest_of

SCALE = registry.changes()["scale"]
CLUSTER = Scope(asked="cluster")
Read = dict[str, Pair]


def vetted(read: Read, asked: DraftOrder | None = None, scope: Scope = CLUSTER) -> ResourceRef:
    """The target of an order that passes."""
    return vet(asked or order(), list(read.values()), scope, spec=SCALE).target


def refusal(read: Read, asked: DraftOrder | None = None, scope: Scope = CLUSTER) -> str:
    """Why an order does not pass, in one line."""
    with pytest.raises(Refused) as refused:
        vet(asked or order(), list(read.values()), scope, spec=SCALE)
    line = str(refused.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


def chat(read: Read) -> JsonObject:
    """The target as listed, to be changed in place."""
    return read[DEPLOYMENTS][1].rows[0].data


def meta(read: Read) -> JsonObject:
    """The target's metadata, to be changed in place."""
    found = chat(read)["metadata"]
    assert isinstance(found, dict)
    return found


def with_evidence(read: Read, name: str, **update: object) -> Read:
    """What was read, one piece of evidence altered."""
    call, found = read[name]
    return {**read, name: (call, found.model_copy(update=update))}


def test_an_order_with_all_its_grounds_passes() -> None:
    passed = vet(order(), list(run().values()), CLUSTER, spec=SCALE)
    assert str(passed.target) == "ml/Deployment/chat"
    assert passed.target.uid == "uid-Deployment-chat"
    assert passed.digest == digest_of({"change": "scale", "args": passed.args, "uid": passed.target.uid})
    assert passed.args == {"group": "apps", "kind": "Deployment", "namespace": "ml", "name": "chat", "replicas": 5}


# --- (a) the change and its arguments --------------------------------------------------------------------------


@pytest.mark.parametrize("args", [{"replicas": 0}, {"replicas": 1001}, {"name": "*"}, {"kind": "Pod"}, {"uid": "x"}])
def test_arguments_out_of_bounds(args: dict[str, JsonValue]) -> None:
    assert refusal(run(), order(**args)).startswith("args of scale: ")


def test_an_order_for_another_change() -> None:
    assert "is not made for" in refusal(run(), order().model_copy(update={"change": "restart"}))


# --- (b) the target --------------------------------------------------------------------------------------------


def test_an_object_got_alone_is_as_good_as_one_listed() -> None:
    read = run()
    _, found = read[DEPLOYMENTS]
    args: JsonObject = {"group": "apps", "kind": "Deployment", "namespace": "ml", "name": "chat"}
    read[DEPLOYMENTS] = (
        ToolCall(tool="get_object", args=args),
        found.model_copy(update={"tool": "get_object", "rows": found.rows[:1]}),
    )
    assert vetted(read).name == "chat"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"name": "cart", "namespace": "shop"}, "never listed, named in a log"),
        ({"name": "chat", "namespace": "shop"}, "the name of another namespace"),
        ({"kind": "StatefulSet"}, "another kind"),
        ({"group": "leaderworkerset.x-k8s.io", "kind": "LeaderWorkerSet"}, "another group"),
        ({"name": "cha"}, "a prefix"),
    ],
)
def test_a_target_that_was_not_read(args: dict[str, JsonValue], why: str) -> None:
    line = refusal(run(), order(**args))
    assert "of that name in namespace" in line, why
    assert "list or get it first" in line


@pytest.mark.parametrize(
    "update", [{"trust": "text"}, {"trust": "derived"}, {"status": "failed"}, {"tool": "pod_logs"}]
)
def test_a_target_out_of_evidence_that_is_no_reading(update: dict[str, object]) -> None:
    assert "of that name" in refusal(with_evidence(run(), DEPLOYMENTS, **update))


def test_a_target_out_of_a_partial_listing_is_a_target() -> None:
    assert vetted(with_evidence(run(), DEPLOYMENTS, status="truncated")).name == "chat"


@pytest.mark.parametrize("wrong", [{"apiVersion": "evil.example/v1"}, {"kind": "Secret"}])
def test_a_row_that_says_it_is_something_else(wrong: JsonObject) -> None:
    read = run()
    chat(read).update(wrong)
    assert "of that name" in refusal(read)


def test_a_listing_of_another_group_whose_rows_say_nothing() -> None:
    read = run()
    for row in read[DEPLOYMENTS][1].rows:
        del row.data["apiVersion"]
    assert vetted(read).name == "chat"
    call, found = read[DEPLOYMENTS]
    read[DEPLOYMENTS] = (call.model_copy(update={"args": {**call.args, "group": "extensions"}}), found)
    assert "of that name" in refusal(read)


def test_a_target_without_a_uid() -> None:
    read = run()
    del meta(read)["uid"]
    assert "is not one object" in refusal(read)


def test_a_target_that_was_made_anew_between_two_reads() -> None:
    read = run()
    again = copy.deepcopy(chat(read))
    meta_again = again["metadata"]
    assert isinstance(meta_again, dict)
    meta_again["uid"] = "uid-other"
    read["E20"] = listing("E20", "apps", "Deployment", [again], namespace="ml")
    assert "2 uids" in refusal(read)


def test_a_target_read_twice_counts_as_it_was_read_last() -> None:
    read = run()
    again = copy.deepcopy(chat(read))
    again["spec"] = {"replicas": 5}
    read["E20"] = listing("E20", "apps", "Deployment", [again], namespace="ml")
    assert "already has" in refusal(read)


def test_a_target_that_is_being_deleted() -> None:
    read = run()
    meta(read)["deletionTimestamp"] = "2026-05-28T20:00:00Z"
    assert "being deleted" in refusal(read)


# --- (c) the scope ---------------------------------------------------------------------------------------------

INSIDE = Scope(asked="namespace ml", namespaces=("ml",), permitted=("ml",))


def about(kind: str, name: str, group: str = "", namespace: str | None = "ml") -> Scope:
    """A question about one object."""
    subject = ResourceRef(group=group, kind=kind, namespace=namespace, name=name)
    return Scope(asked=str(subject), subject=subject)


@pytest.mark.parametrize(
    "scope",
    [
        INSIDE, about("Deployment", "chat", "apps"), about("ReplicaSet", "chat-5f6d7c8b9", "apps"),
        about("Pod", "chat-1"), about("Node", "gpu-0", namespace=None), Scope(asked="node gpu-0", node="gpu-0"),
        Scope(asked="cluster", selector="team=ml"),
    ],
    ids=lambda scope: scope.asked,
)  # fmt: skip
def test_what_was_asked_about_and_what_belongs_to_it(scope: Scope) -> None:
    read = run()
    meta(read)["labels"] = {"team": "ml"}
    assert vetted(read, scope=scope).name == "chat"


@pytest.mark.parametrize(
    "scope",
    [
        Scope(asked="namespace shop", namespaces=("shop",)), Scope(asked="nothing", namespaces=()),
        Scope(asked="cluster", permitted=("shop",)), Scope(asked="cluster", permitted=()),
        about("Deployment", "web", "apps", "shop"), about("Pod", "web-0", namespace="shop"), about("Pod", "gone"),
        about("Deployment", "chat", ""), about("Node", "gpu-1", namespace=None), Scope(asked="node", node="gpu-1"),
        Scope(asked="cluster", selector="team=other"),
    ],
    ids=lambda scope: f"{scope.asked} {scope.permitted} {scope.selector}",
)  # fmt: skip
def test_what_lies_outside(scope: Scope) -> None:
    line = refusal(run(), scope=scope)
    assert any(words in line for words in ("outside", "not what was asked", "does not match", "no pod on node"))


# --- (e) something to change -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("stands", "wanted"), [(5, 5), (None, 1)])
def test_what_is_so_already(stands: int | None, wanted: int) -> None:
    read = run()
    chat(read)["spec"] = {} if stands is None else {"replicas": stands}
    assert "already has" in refusal(read, order(replicas=wanted))
    assert vetted(read, order(replicas=wanted + 1)).name == "chat"


# --- (f) nobody would set it back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"labels": {"argocd.argoproj.io/instance": "x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"annotations": {"meta.helm.sh/release-name": "x"}}, "Helm"),
        ({"labels": {"helm.sh/chart": "x-1"}}, "Helm"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
        ({"managedFields": [{"manager": "argocd-controller", "paths": ["spec.template"]}]}, "Argo CD"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux"),
    ],
)
def test_what_a_tool_delivers_may_be_proposed_and_is_known(metadata: JsonObject, who: str) -> None:
    """It becomes a patch of the repository: a live write would be set back."""
    read = run()
    meta(read).update(metadata)
    assert vetted(read).name == "chat"
    assert deliverer(read) == who


def test_its_owner_is_changed_instead() -> None:
    read = run()
    meta(read).update({"ownerReferences": [owner("InferenceService", "chat", "serving.kserve.io/v1beta1")]})
    line = refusal(read)
    assert "InferenceService/chat" in line
    assert "would set it back (change " in line


def deliverer(read: Read) -> str:
    """Who delivers the target of the usual order."""
    view = View(list(read.values()), now=NOW, scope=CLUSTER)
    record = view.find(vetted(read))
    assert record is not None
    return delivered_by(record, view)


def test_an_argo_application_that_lists_it_delivers_it() -> None:
    read = run()
    tracked: JsonObject = {"group": "apps", "kind": "Deployment", "namespace": "ml", "name": "chat"}
    application = workload("Application", "all", "argoproj.io/v1alpha1", status={"resources": [tracked]})
    read["E20"] = listing("E20", "argoproj.io", "Application", [application])
    assert deliverer(read) == "Argo CD"
    tracked["name"] = "other"
    assert deliverer(read) == ""


@pytest.mark.parametrize("target", ["chat", "other"])
def test_an_autoscaler_of_it_is_changed_instead(target: str) -> None:
    scaler = hpa("scaler", target, [QUEUE_METRIC])
    scaled = workload("ScaledObject", "scaler", "keda.sh/v1alpha1", spec={"scaleTargetRef": {"name": target}})
    for name, group, kind, body in (
        (HPAS, "autoscaling", "HorizontalPodAutoscaler", scaler),
        (SCALED, "keda.sh", "ScaledObject", scaled),
    ):
        read = run()
        read[name] = listing(name, group, kind, [body])
        if target == "chat":
            assert f"{kind}/scaler scales" in refusal(read)
        else:
            assert vetted(read).name == "chat"


def _without(name: str) -> Callable[[Read], None]:
    return lambda read: read.__delitem__(name)


def _narrowed(name: str, **args: JsonValue) -> Callable[[Read], None]:
    def change(read: Read) -> None:
        call, found = read[name]
        read[name] = (call.model_copy(update={"args": {**call.args, **args}}), found)

    return change


def _status(name: str, status: str) -> Callable[[Read], None]:
    return lambda read: read.update(with_evidence(read, name, status=status))


@pytest.mark.parametrize("name", [HPAS, SCALED])
@pytest.mark.parametrize(
    "lacking",
    [
        _without, lambda n: _narrowed(n, namespace="shop"), lambda n: _narrowed(n, label_selector="a=b"),
        lambda n: _narrowed(n, field_selector="metadata.name=x"), lambda n: _status(n, "denied"),
        lambda n: _status(n, "unavailable"), lambda n: _status(n, "truncated"), lambda n: _status(n, "failed"),
    ],
    ids=["unread", "elsewhere", "by label", "by field", "denied", "unavailable", "truncated", "failed"],
)  # fmt: skip
def test_where_autoscalers_were_not_read_whole_there_may_be_one(
    name: str, lacking: Callable[[str], Callable[[Read], None]]
) -> None:
    read = run()
    lacking(name)(read)
    line = refusal(read)
    assert "is not known" in line
    assert ("HorizontalPodAutoscaler.autoscaling" if name == HPAS else "ScaledObject.keda.sh") in line


def test_a_kind_that_the_cluster_does_not_serve_has_no_objects() -> None:
    read = run()
    del read[SCALED]
    call = ToolCall(tool="capabilities")
    served = read[PODS][1].rows[0].model_copy(update={"key": "HorizontalPodAutoscaler.autoscaling", "namespace": None})
    found = read[PODS][1].model_copy(
        update={"id": "E20", "tool": "capabilities", "family": "discovery", "rows": (served,)}
    )
    assert vetted({**read, "E20": (call, found)}).name == "chat"
    keda = served.model_copy(update={"key": "ScaledObject.keda.sh"})
    with_keda = found.model_copy(update={"rows": (served, keda)})
    assert "is not known" in refusal({**read, "E20": (call, with_keda)})
    assert "is not known" in refusal({**read, "E20": (call, found.model_copy(update={"rows": ()}))})
    assert "is not known" in refusal({**read, "E20": (call, found.model_copy(update={"status": "failed"}))})


def test_vetting_reads_and_changes_nothing() -> None:
    read = run()
    before = {name: found.model_dump_json() for name, (_, found) in read.items()}
    first = vet(order(), list(read.values()), CLUSTER, spec=SCALE)
    assert vet(order(), list(read.values()), CLUSTER, spec=SCALE) == first
    assert {name: found.model_dump_json() for name, (_, found) in read.items()} == before
    assert isinstance(read[DEPLOYMENTS][1], Evidence)
    assert fields.text(chat(read), "kind") == "Deployment"
