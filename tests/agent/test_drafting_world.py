"""Drafts on evidence as real clients bring it: worlds over HTTP, the gate, the shipped policy, the store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from agent.analysis import queries
from agent.app import App
from agent.changes.drafting import RunDrafting
from tests.agent.conftest import Opener
from tools import fields
from tools.limits import Meter
from tools.types import Evidence, JsonObject, Mode, Scope, ToolCall

CLUSTER = Scope(asked="cluster")
IDLE = ["E1/speech/transcribe", "@transcribe-"]
KINDS = (
    ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("", "Pod"),
    ("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject"),
)  # fmt: skip
READS = [ToolCall(tool="list_objects", args={"group": group, "kind": kind}) for group, kind in KINDS]
READS.append(ToolCall(tool="named_query", args={"name": queries.GPU_BUSY_MEAN.name}))


async def call(app: App, name: str, asked: ToolCall, mode: Mode, drafting: RunDrafting | None = None) -> Evidence:
    """One call through the app's own gate."""
    return await app.gate.run(
        asked, app.principal, mode, scope=CLUSTER, meter=Meter(), evidence_id=name, drafting=drafting
    )


async def proposed(app: App, args: JsonObject, cites: Sequence[str], mode: Mode = "propose") -> Evidence:
    """What came of an order, after everything was read once. `@PREFIX` cites the busy share of a pod so named."""
    read = [(asked, await call(app, f"E{n}", asked, mode)) for n, asked in enumerate(READS, 1)]
    assert {evidence.status for _, evidence in read} <= {"ok", "empty"}
    drafting = RunDrafting(
        store=app.store, session="s1", run=1, now=app.now, asker="ada", author="model test-1",
        evidence=read, emit=lambda _e: None,
        redact=lambda text: app.redactor.text(text)[0],
    )  # fmt: skip
    busy = read[-1][1]
    pods = {fields.text(row.data, "labels", "pod"): f"{busy.id}/{row.key}" for row in busy.rows}
    filled: list[JsonValue] = [
        next(cite for pod, cite in pods.items() if pod.startswith(one[1:])) if one[0] == "@" else one for one in cites
    ]
    order: JsonObject = {"change": "scale", "args": args, "because": "it idles", "cites": filled}
    return await call(app, "E50", ToolCall(tool="propose_change", args=order), mode, drafting)


def scaled(namespace: str, name: str, replicas: int, kind: str = "Deployment") -> JsonObject:
    """Arguments of scale."""
    return {"group": "apps", "kind": kind, "namespace": namespace, "name": name, "replicas": replicas}


@pytest.mark.parametrize(
    ("world", "args", "cites"),
    [
        ("idle-server", scaled("speech", "transcribe", 1), IDLE),
        (
            "idle-server",
            scaled("speech", "transcribe", 1),
            ["E1/speech/transcribe/status/readyReplicas", "@transcribe-"],
        ),
        ("kv-exhausted-small", scaled("vision", "describe", 3, "StatefulSet"), ["E2/vision/describe", "@describe-"]),
    ],
)
async def test_a_workload_that_nobody_else_owns(opened: Opener, world: str, args: JsonObject, cites: list[str]) -> None:
    async with opened(world) as (app, served):
        found = await proposed(app, args, cites)
        assert found.status == "ok", found.detail
        (kept,) = app.store.drafts()
        assert [row.key for row in found.rows] == [kept.id]
        assert kept.target == f"{args['namespace']}/{args['kind']}/{args['name']}"
        assert kept.uid
        assert served.kube.writes == []


@pytest.mark.parametrize(
    ("args", "cites", "why"),
    [
        (scaled("search", "chat-70b", 3), ["E1/search/chat-70b", "@chat-70b-"], "scales search/Deployment/chat-70b"),
        (scaled("monitoring", "prometheus", 2, "StatefulSet"), ["E2/monitoring/prometheus/status/readyReplicas", "E1"],
         "two independent kinds"),
        (scaled("research", "notebook-a", 2, "StatefulSet"), ["E2/research/notebook-a", "@notebook-a-"], "belongs to"),
        (scaled("speech", "transcribe", 2), IDLE, "already has"),
        (scaled("speech", "transcribe", 1), ["E1/speech/transcribe", "@chat-70b-"], "two independent kinds"),
    ],
)  # fmt: skip
async def test_what_is_refused_and_why(opened: Opener, args: JsonObject, cites: list[str], why: str) -> None:
    async with opened("idle-server") as (app, _):
        found = await proposed(app, args, cites)
        assert found.status == "denied"
        assert why in found.detail
        assert app.store.drafts() == []


async def test_nothing_is_drafted_in_an_incident(opened: Opener) -> None:
    async with opened("idle-server") as (app, _):
        found = await proposed(app, scaled("speech", "transcribe", 1), IDLE, "incident")
        assert found.status == "denied"
        assert "default-deny" in found.detail
        assert app.store.drafts() == []
