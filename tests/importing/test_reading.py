"""Single readers of imports: what they take, and the one line with which they refuse."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from evals.importing import blocks, described, logs, manifests, metrics
from evals.importing.described_kinds import generic
from tools import fields
from tools.errors import DocumentError
from tools.types import JsonObject

NOW = 1778594400.0


def described_pod(extra: str = "", events: str = "Events:  <none>") -> str:
    return f"""Name:             web-0
Namespace:        shop
Node:             n1/10.0.0.1
Start Time:       Tue, 12 May 2026 13:00:00 +0000
Labels:           app=web
                  tier=front
Annotations:      note: first line
                  other.example.com/x: a: b
Status:           Running
Controlled By:    StatefulSet/web
Containers:
  main:
    Image:         example.com/web:1
    Command:
      sh
      -c
      exec web --url http://x: y
    State:          Waiting
      Reason:       CrashLoopBackOff
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Started:      Tue, 12 May 2026 13:50:00 +0000
      Finished:     Tue, 12 May 2026 13:55:00 +0000
    Ready:          False
    Restart Count:  4
    Limits:
      nvidia.com/gpu:  1
    Liveness:     http-get http://:8000/health delay=5s timeout=1s period=10s #success=1 #failure=3
    Environment:
      TOKEN:   <set to the key 'token' in secret 'web'>  Optional: false
      MODE:    fast
      NODE:     (v1:spec.nodeName)
    Mounts:
      /data from data (rw,path="sub")
Conditions:
  Type    Status
  Ready   False
Volumes:
  data:
    Type:       PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)
    ClaimName:  web-data
    ReadOnly:   false
Node-Selectors:  gpu=h100
Tolerations:     dedicated=ml:NoSchedule
                 node.kubernetes.io/not-ready:NoExecute op=Exists for 300s
{extra}{events}
"""


def only(text: str) -> JsonObject:
    (found,) = [one for one in described.objects(text) if not isinstance(one, str)]
    return found.body


def test_a_described_pod_has_what_is_printed() -> None:
    body = only(described_pod())
    metadata, spec, status = (fields.mapping(body, key) for key in ("metadata", "spec", "status"))
    assert fields.strings(metadata, "labels") == {"app": "web", "tier": "front"}
    assert fields.strings(metadata, "annotations") == {"note": "first line", "other.example.com/x": "a: b"}
    (owner,) = fields.items(metadata, "ownerReferences")
    assert (owner["apiVersion"], owner["kind"], owner["name"]) == ("apps/v1", "StatefulSet", "web")
    (container,) = fields.items(spec, "containers")
    assert container["command"] == ["sh", "-c", "exec web --url http://x: y"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert container["livenessProbe"] == {
        "initialDelaySeconds": 5, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1,
        "failureThreshold": 3, "httpGet": {"path": "/health", "port": 8000, "scheme": "HTTP"},
    }  # fmt: skip
    assert container["env"] == [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}},
        {"name": "MODE", "value": "fast"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
    ]
    assert container["volumeMounts"] == [{"mountPath": "/data", "name": "data", "subPath": "sub"}]
    assert spec["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}]
    assert spec["nodeSelector"] == {"gpu": "h100"}
    assert spec["tolerations"] == [
        {"operator": "Equal", "key": "dedicated", "value": "ml", "effect": "NoSchedule"},
        {"operator": "Exists", "key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "tolerationSeconds": 300},
    ]
    (state,) = fields.items(status, "containerStatuses")
    assert state["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert fields.mapping(state, "lastState", "terminated")["exitCode"] == 137
    assert state["restartCount"] == 4


@pytest.mark.parametrize(
    ("age", "count", "first", "last"),
    [
        ("5m (x3 over 10m)", 3, 600, 300),
        ("2d3h", 1, 183_600, 183_600),
        ("30s", 1, 30, 30),
    ],
)
def test_ages_of_events_are_told_from_now(age: str, count: int, first: int, last: int) -> None:
    table = f"""Events:
  Type     Reason   Age{" " * 20}From     Message
  ----     ------   ----{" " * 19}----     -------
  Warning  BackOff  {age:<21}  kubelet  Back-off restarting: it  said  no
"""
    (told,) = [one for one in described.objects(described_pod(events=table)) if not isinstance(one, str)]
    _, event = told.at(NOW)
    assert event["message"] == "Back-off restarting: it  said  no"
    assert event["count"] == count
    assert fields.timestamp(event["firstTimestamp"]) == NOW - first
    assert fields.timestamp(event["lastTimestamp"]) == NOW - last


def test_what_no_kind_has_is_said() -> None:
    told = list(described.objects("Name:  x\nColour:  blue\n"))
    assert told == ["x: what kind of object it is cannot be told from its text"]


def test_an_object_of_any_other_kind_is_read_back() -> None:
    text = """Name:         pretrain
Namespace:    research
Labels:       team=a
API Version:  trainer.kubeflow.org/v1alpha1
Kind:         TrainJob
Metadata:
  Creation Timestamp:  2026-05-12T13:00:00Z
  Generation:          2
Spec:
  Suspend:  false
  Trainer:
    Num Nodes:  2
    Args:
      --lr
      0.1
Status:
  Conditions:
    Last Transition Time:  2026-05-12T13:01:00Z
    Status:                True
    Type:                  Complete
    Last Transition Time:  2026-05-12T13:02:00Z
    Status:                False
    Type:                  Failed
Events:  <none>
"""
    body = generic({one.key: one for one in blocks.read(text.splitlines())})
    assert (body["apiVersion"], body["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    assert fields.mapping(body, "metadata")["creationTimestamp"] == "2026-05-12T13:00:00Z"
    assert fields.mapping(body, "spec", "trainer") == {"numNodes": 2, "args": ["--lr", "0.1"]}
    assert [one["type"] for one in fields.items(body, "status", "conditions")] == ["Complete", "Failed"]


def test_lists_and_documents_are_taken_apart() -> None:
    typed = '{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}'
    assert list(manifests.objects(typed, "x")) == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]
    documents = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\n---\nkind: List\nitems: [{kind: X}]\n"
    assert [one["kind"] for one in manifests.objects(documents, "x")] == ["Node", "X"]


POD: JsonObject = {
    "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop"}, "spec": {"containers": [{"name": "main"}]}
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("shop/web-0/main.log", ("shop", "web-0", "main")),
        ("logs/shop/web-0/main/previous.log", ("shop", "web-0", "main/previous")),
        ("shop/web-0/main.previous.log", ("shop", "web-0", "main/previous")),
        ("web-0.log", ("shop", "web-0", "main")),
        ("web-0_main.txt", ("shop", "web-0", "main")),
        ("web-0-main-previous.log", ("shop", "web-0", "main/previous")),
        ("pods/shop_web-0_0f3a2b1c-aaaa-bbbb-cccc-0123456789ab/main/0.log", ("shop", "web-0", "main")),
        (f"containers/web-0_shop_main-{'ab' * 32}.log", ("shop", "web-0", "main")),
        ("other.log", None),
        ("x/web-0/main.log", None),
    ],
)
def test_whose_log_it_is(path: str, key: logs.Key | None) -> None:
    found = dict(logs.logs(PurePath(path), b"hello\n", logs.by_name([POD])))
    assert list(found) == ([key] if key else [])


def test_logs_of_the_kubelet_lose_their_stream_only() -> None:
    raw = b"2026-05-12T13:59:00.1Z stdout F ready\n2026-05-12T13:59:01.1Z stderr P half\n"
    ((_, text),) = logs.logs(PurePath("web-0.log"), raw, logs.by_name([POD]))
    assert text == b"2026-05-12T13:59:00.1Z ready\n2026-05-12T13:59:01.1Z half\n"


@pytest.mark.parametrize(
    "text",
    [
        "time,metric,gpu,value\n2026-05-12T14:00:00Z,util,0,0.5\n2026-05-12T14:00:30Z,util,0,1\n",
        "timestamp,value,__name__,gpu\n1778594400,0.5,util,0\n1778594430,1,util,0\n",
        'Time,"util{gpu=""0""}"\n1778594400000,0.5\n1778594430000,1\n1778594460000,\n',
        (
            'Time,"{__name__=""util"", gpu=""0""}"\n2026-05-12 14:00:00,0.5\n2026-05-12 14:00:30,1\n'
            "2026-05-12 14:01:00,null\n"
        ),
    ],
)
def test_tables_of_every_form(text: str) -> None:
    (one,) = metrics.table(text, "m.csv")
    assert dict(one.labels) == {"__name__": "util", "gpu": "0"}
    assert (list(one.times), list(one.values)) == ([NOW, NOW + 30], [0.5, 1.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "column time"),
        ("time,value\n1,2\n", "a time, a metric and a value"),
        ("time,metric,value,g-u\n1,m,2,x\n", "not a name of a label"),
        ("time,cpu usage\n1,2\n", "not a series"),
        ("time,metric,value\n1,m\n", "m.csv:2"),
        ("time,metric,value\nlater,m,2\n", "is no time"),
        ("time,metric,value\n1,m,2\n1,m,much\n", "m.csv:3"),
        ('time,metric,value\n1,"m,2\n', "not CSV"),
        ("", "column time"),
    ],
)
def test_a_table_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        list(metrics.table(text, "m.csv"))


def test_an_answer_of_the_api_is_series() -> None:
    body: JsonObject = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {"__name__": "util"}, "values": [[NOW, "0.5"]]}]},
    }
    assert metrics.is_answer(body)
    (one,) = metrics.answered(body, "x")
    assert (list(one.times), list(one.values)) == ([NOW], [0.5])
    unnamed: JsonObject = {"data": {"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "1"]}]}}
    with pytest.raises(DocumentError, match="by their name"):
        list(metrics.answered(unnamed, "x"))
