"""Projection: what stays of a raw object, and that odd objects pass through it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from tools import fields
from tools.projection.differences import differences
from tools.projection.hiding import arguments, hide
from tools.projection.marks import Hidden, HiddenSecret
from tools.projection.metadata import field_paths, last_applied, metadata
from tools.projection.objects import object_row
from tools.redact import WORLD_KEY, Redactor
from tools.types import JsonObject, KindRef

POD = KindRef(kind="Pod")


def shown(kind: KindRef, item: JsonObject, *, bulk: bool = True) -> JsonObject:
    """The row's data after redaction."""
    row = object_row(kind, item, bulk=bulk)
    assert row is not None
    return Redactor(WORLD_KEY).row(row)[0].data


def a_pod() -> JsonObject:
    """A pod as an API server lists it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "chat-0", "namespace": "search", "uid": "u", "resourceVersion": "9", "generateName": "chat-",
            "labels": {"app": "chat"}, "creationTimestamp": "2026-11-01T00:00:00Z",
            "ownerReferences": [{"kind": "StatefulSet", "name": "chat", "uid": "s", "controller": True}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {
            "nodeName": "gpu-1", "schedulerName": "default-scheduler", "priorityClassName": "high",
            "nodeSelector": {"gpu": "h100"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "schedulingGates": [{"name": "kueue"}], "resourceClaims": [{"name": "gpu"}],
            "affinity": {"nodeAffinity": {}},
            "volumes": [
                {"name": "kube-api-access-x", "projected": {"sources": []}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
                {"name": "cfg", "configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}},
                {"name": "csi", "csi": {"driver": "d", "volumeAttributes": {"token": "do-not-show-1"}}},
            ],
            "containers": [{
                "name": "main", "image": "vllm:1", "command": ["serve"],
                "args": ["--model", "m", "--api-key", "do-not-show-2"],
                "env": [
                    {"name": "NCCL_DEBUG", "value": "INFO"},
                    {"name": "FOO", "value": "do-not-show-3"},
                    {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
                ],
                "resources": {"limits": {"nvidia.com/gpu": "4"}}, "ports": [{"containerPort": 8000}],
                "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "failureThreshold": 3},
                "volumeMounts": [{"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/x"},
                                 {"name": "shm", "mountPath": "/dev/shm"}],
                "terminationMessagePath": "/dev/termination-log",
            }],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                   "containerStatuses": [{"name": "main", "imageID": "vllm@sha256:" + "a" * 64, "restartCount": 2}]},
    }  # fmt: skip


def test_a_pod_keeps_what_diagnosers_read() -> None:
    data = shown(POD, a_pod())
    spec, main = fields.mapping(data, "spec"), fields.items(data, "spec", "containers")[0]
    for name in ("nodeName", "tolerations", "nodeSelector", "schedulingGates", "resourceClaims", "affinity"):
        assert spec[name] == fields.dig(a_pod(), "spec", name)
    for name in ("image", "command", "resources", "ports", "readinessProbe"):
        assert main[name] == fields.dig(a_pod(), "spec", "containers", 0, name)
    assert data["status"] == a_pod()["status"]
    assert main["env"] == [
        {"name": "NCCL_DEBUG", "value": "INFO"},
        {"name": "FOO", "value": fields.text(main, "env", 1, "value")},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
    ]
    assert [mount["mountPath"] for mount in fields.items(main, "volumeMounts")] == ["/dev/shm"]
    assert [volume["name"] for volume in fields.items(spec, "volumes")] == ["shm", "cfg", "csi"]
    assert fields.text(spec, "volumes", 0, "emptyDir", "sizeLimit") == "16Gi"
    assert "managedFields" not in fields.mapping(data, "metadata")
    assert "do-not-show" not in json.dumps(data)


def test_replicas_of_one_template_share_what_they_repeat() -> None:
    redactor = Redactor(WORLD_KEY)
    first, second = a_pod(), a_pod()
    fields.mapping(second, "metadata")["name"] = "chat-1"
    fields.mapping(second, "spec")["nodeName"] = "gpu-2"
    rows = [redactor.row(row)[0].data for row in (object_row(POD, first), object_row(POD, second)) if row]
    assert fields.dig(rows[0], "spec", "containers") is fields.dig(rows[1], "spec", "containers")
    assert [fields.text(row, "spec", "nodeName") for row in rows] == ["gpu-1", "gpu-2"]


def test_one_object_read_whole_has_its_field_owners() -> None:
    data = shown(POD, a_pod(), bulk=False)
    assert fields.items(data, "metadata", "managedFields") == [
        {"manager": "kubelet", "operation": "Update", "paths": ["status"]}
    ]


def test_a_node_without_its_images() -> None:
    node: JsonObject = {
        "metadata": {"name": "gpu-1", "labels": {"nvidia.com/gpu.product": "H100"}, "annotations": {"a": "b"}},
        "spec": {"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {
            "images": [{"names": ["x"]}],
            "capacity": {"nvidia.com/gpu": "8"},
            "nodeInfo": {"kubeletVersion": "v1"},
        },
    }
    data = shown(KindRef(kind="Node"), node)
    assert fields.dig(data, "status", "images") is None
    assert fields.text(data, "status", "capacity", "nvidia.com/gpu") == "8"
    assert fields.items(data, "spec", "taints")
    assert fields.strings(data, "metadata", "annotations") == {"a": "b"}


def test_an_unknown_kind_is_kept_whole() -> None:
    item: JsonObject = {"kind": "PriorityClass", "metadata": {"name": "p"}, "value": 1000, "globalDefault": False}
    assert fields.number(shown(KindRef(group="scheduling.k8s.io", kind="PriorityClass"), item), "value") == 1000
    widget: JsonObject = {"kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": [1, None]}, "status": {"b": {}}}
    data = shown(KindRef(group="example.com", kind="Widget"), widget)
    assert (data["spec"], data["status"]) == ({"a": [1, None]}, {"b": {}})


def test_an_event_keeps_times_and_counts() -> None:
    event: JsonObject = {
        "metadata": {"name": "e", "namespace": "n"}, "type": "Warning", "reason": "BackOff", "count": 3,
        "message": "x" * 5000, "involvedObject": {"kind": "Pod", "name": "p"}, "lastTimestamp": "2026-11-01T00:00:00Z",
        "source": {"component": "kubelet"}, "eventTime": None,
    }  # fmt: skip
    data = shown(KindRef(kind="Event"), event)
    assert (data["reason"], data["count"], data["involvedObject"]) == ("BackOff", 3, {"kind": "Pod", "name": "p"})
    assert fields.text(data, "message").endswith("… (5,000 characters)")
    assert len(fields.text(data, "message")) < 1100


def test_long_text_is_redacted_before_it_is_cut() -> None:
    token = "ghp_" + "a1B2" * 9
    item: JsonObject = {"metadata": {"name": "w", "annotations": {"note": "x" * 1000 + " " + token + "y" * 1000}}}
    assert token[:12] not in json.dumps(shown(KindRef(kind="Widget"), item))


# --- metadata --------------------------------------------------------------------------------------------------


def test_managed_fields_as_paths() -> None:
    v1: JsonObject = {
        "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}, "f:finalizers": {".": {}, 'v:"x"': {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {
                "f:spec": {"f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:ports": {"i:0": {}}}}}
            },
        },
    }
    assert field_paths(v1) == [
        'metadata.finalizers["x"]',
        "metadata.labels[app.kubernetes.io/name]",
        "spec.replicas",
        "spec.template.spec.containers[name=main].image",
        "spec.template.spec.containers[name=main].ports[0]",
    ]


def test_last_applied_path_by_path() -> None:
    applied = {
        "metadata": {"labels": {"a": "1"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "b", "image": "x:1", "resources": {"limits": {"cpu": "1000m"}}}]}}},
    }  # fmt: skip
    live: JsonObject = {
        "metadata": {"labels": {"a": "1", "b": "2"}},
        "spec": {"replicas": 5, "paused": None, "template": {"spec": {"containers": [
            {"name": "new", "image": "y"}, {"name": "b", "image": "x:1", "resources": {"limits": {"cpu": "1"}}}]}}},
    }  # fmt: skip
    found = last_applied(live, json.dumps(applied))
    assert isinstance(found, dict)
    assert found["spec.replicas"] == "differs"
    assert {path for path, verdict in found.items() if verdict == "differs"} == {"spec.replicas"}
    assert found["spec.template.spec.containers[name=b].resources.limits.cpu"] == "equal"
    assert found["metadata.labels.a"] == "equal"


def test_the_copy_in_the_annotation_is_gone() -> None:
    item: JsonObject = {
        "metadata": {
            "name": "d",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"spec":{"a":1}}'},
        },
        "spec": {"a": 1},
    }
    kept = metadata(item)
    assert "annotations" not in kept
    assert kept["lastApplied"] == {"spec.a": "equal"}


# --- hiding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_words", "expected"),
    [
        (["--model", "m"], ["--model", "m"]),
        (["--api-key", "Xy12345678z"], ["--api-key", None]),
        (["--api-key=Xy12345678z", "-v"], ["--api-key", None, "-v"]),
        (["--token-file", "/x"], ["--token-file", "/x"]),
        (["--max-num-batched-tokens=8192"], ["--max-num-batched-tokens=8192"]),
        (["--password", "--verbose"], ["--password", "--verbose"]),
        (["HF_TOKEN=abc123456789"], ["HF_TOKEN", None]),
        (["-c", "exec serve"], ["-c", "exec serve"]),
        ([7, None], [7, None]),
    ],
)
def test_arguments(given_words: list[JsonValue], expected: list[JsonValue]) -> None:
    assert [None if isinstance(word, Hidden) else word for word in arguments(given_words)] == expected


def test_an_everyday_word_is_hidden_but_not_hunted_elsewhere() -> None:
    item: JsonObject = {
        "env": [{"name": "DB_PASSWORD", "value": "search"}, {"name": "OTHER_TOKEN", "value": "k3yN0t4word"}]
    }
    hide(item)
    values = [one["value"] for one in fields.items(item, "env")]
    assert [type(value) for value in values] == [Hidden, HiddenSecret]


def test_differences_keep_hidden_values_hidden() -> None:
    before: JsonObject = {
        "spec": {"containers": [{"name": "m", "image": "a:1", "env": [{"name": "X", "value": "one"}]}]}
    }
    after = copy.deepcopy(before)
    fields.items(after, "spec", "containers")[0]["image"] = "a:2"
    fields.items(after, "spec", "containers", 0, "env")[0]["value"] = "two"
    fields.mapping(after, "spec")["paused"] = None
    hide(before)
    hide(after)
    found = differences(before, after, limit=10)
    assert [(change["path"], change.get("before")) for change in found[:2]] == [
        ("spec.containers[name=m].env[name=X].value", "one"),
        ("spec.containers[name=m].image", "a:1"),
    ]
    assert isinstance(found[0]["before"], Hidden)
    assert found[2] == {"path": "spec.paused", "after": None}
    assert len(differences(before, after, limit=1)) == 1


# --- anything at all -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["metadata", "name", "namespace", "labels", "annotations", "spec", "status", "containers", "env", "value", "args",
     "volumes", "tolerations", "managedFields", "fieldsV1", "data", "kind", "volumeMounts", "readinessProbe", "token",
     "kubectl.kubernetes.io/last-applied-configuration", "ownerReferences", "httpHeaders", "caBundle", "f:x", "k:{"]
)  # fmt: skip
ANYTHING: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)
KINDS = st.sampled_from(
    [POD, KindRef(kind="Node"), KindRef(kind="ConfigMap"), KindRef(kind="Event"), KindRef(kind="Odd")]
)


def passes_through(kind: KindRef, value: JsonValue, spec: JsonValue, scale: str) -> None:
    """No object, however odd, raises; what comes out is plain JSON without marks."""
    item: JsonObject = value if isinstance(value, dict) else {"metadata": value}
    if not isinstance(item.get("metadata"), dict):
        item["metadata"] = {"name": "x", "annotations": copy.deepcopy(value)}
    item["spec"] = spec
    row = object_row(kind, item, bulk=scale == "bulk")
    if row is None:
        return
    data = Redactor(WORLD_KEY).row(row)[0].data
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert no_marks(data)


def no_marks(value: JsonValue) -> bool:
    """True when every string and container is of the plain type."""
    if isinstance(value, dict):
        return type(value) is dict and all(no_marks(key) and no_marks(item) for key, item in value.items())
    if isinstance(value, list):
        return all(no_marks(item) for item in value)
    return not isinstance(value, str) or type(value) is str


STRATEGIES = (KINDS, ANYTHING, ANYTHING, st.sampled_from(["bulk", "one"]))
test_odd_objects = settings(max_examples=200, deadline=None, derandomize=True)(given(*STRATEGIES)(passes_through))
test_odd_objects_in_full = pytest.mark.prove(
    settings(max_examples=5_000, deadline=None)(given(*STRATEGIES)(passes_through))
)
