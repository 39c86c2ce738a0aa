"""Worlds that answer: what a write brings about in objects and series as the clock moves, and what undoing it does."""

from __future__ import annotations

import math

import pytest

from evals.promql.engine import Engine
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at
from evals.world.living import MAX_EPOCHS
from evals.world.load import load
from evals.world.model import Matcher, World
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tools.types import JsonObject

DESCRIBE = "/apis/apps/v1/namespaces/vision/statefulsets/describe"
CHAT = "/apis/apps/v1/namespaces/search/deployments/chat-70b"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def _patch(client: Client, path: str, patch: JsonObject, query: str = "") -> Reply:
    reply = await client.send("PATCH", path + query, body=patch, headers=MERGE)
    assert reply.status == 200, reply.text
    return reply


async def _scale(client: Client, replicas: int) -> None:
    await _patch(client, DESCRIBE, {"spec": {"replicas": replicas}})


async def _seqs(client: Client, number: int) -> None:
    """Set --max-num-seqs of chat-70b, as a change does: the list read, one word changed, written whole."""
    body = (await client.get(CHAT)).body
    (container,) = objects_at(body, "spec", "template", "spec", "containers")
    words = [as_text(word) for word in container["args"]]  # type: ignore[union-attr]
    words[words.index("--max-num-seqs") + 1] = str(number)
    changed: JsonObject = {**container, "args": list(words)}
    await _patch(client, CHAT, {"spec": {"template": {"spec": {"containers": [changed]}}}})


async def _pods(client: Client, namespace: str, selector: str) -> list[JsonObject]:
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"
    return objects_at((await client.get(path)).body, "items")


def _ready(pods: list[JsonObject]) -> int:
    conditions = [one for pod in pods for one in objects_at(pod, "status", "conditions")]
    return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _value(world: World, query: str) -> float:
    series = Engine(world.series).instant(query, world.clock.now).series
    assert len(series) == 1, (query, len(series))
    return series[0][1][0][1]


WAITING = 'sum(vllm:num_requests_waiting{namespace="vision"})'
PREEMPTIONS = 'sum(rate(vllm:num_preemptions_total{namespace="%s"}[5m]))'


async def test_scaling_up_makes_waiting_requests_fall(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    before = _value(world, WAITING)
    await _scale(client, 3)
    pods = await _pods(client, "vision", "app=describe")
    assert [as_text(dig(one, "metadata", "name")) for one in pods] == ["describe-0", "describe-1", "describe-2"]
    assert (as_text(dig(pods[2], "status", "phase")), _ready(pods)) == ("Pending", 2)
    assert _value(world, WAITING) == before
    world.clock.advance(79)
    assert _ready(await _pods(client, "vision", "app=describe")) == 2
    world.clock.advance(1)
    pods = await _pods(client, "vision", "app=describe")
    assert (_ready(pods), as_text(dig(pods[2], "spec", "nodeName"))) == (3, "gpu-7")
    status = as_object((await client.get(DESCRIBE)).body["status"])
    assert (status["replicas"], status["readyReplicas"], status["observedGeneration"]) == (3, 3, 2)
    world.clock.advance(600)
    assert before > 10
    assert _value(world, WAITING) == 0
    assert _value(world, PREEMPTIONS % "vision") == 0
    assert _value(world, 'count(vllm:num_requests_running{namespace="vision"})') == 3
    assert _value(world, 'kube_statefulset_replicas{statefulset="describe"}') == 3


async def test_undoing_it_brings_everything_back(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    await _scale(client, 3)
    world.clock.advance(1800)
    await _scale(client, 2)
    assert len(await _pods(client, "vision", "app=describe")) == 2
    world.clock.advance(900)
    assert _value(world, WAITING) > 10
    assert _value(world, PREEMPTIONS % "vision") > 0.3
    assert _value(world, 'count(vllm:num_requests_running{namespace="vision"})') == 2


async def test_scaling_down_makes_it_worse(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    before = _value(world, 'max(vllm:num_requests_waiting{namespace="vision"})')
    await _scale(client, 1)
    world.clock.advance(600)
    assert _value(world, 'max(vllm:num_requests_waiting{namespace="vision"})') > 1.5 * before
    assert _value(world, 'kube_statefulset_status_replicas_ready{statefulset="describe"}') == 1


@pytest.mark.parametrize(("seqs", "better"), [(128, True), (512, False)])
async def test_an_argument_cures_or_worsens_an_exhausted_cache(serve: Serve, seqs: int, better: bool) -> None:  # noqa: FBT001
    world = load("kv-exhausted")
    client = await serve(world)
    rate = PREEMPTIONS % "search"
    before = _value(world, rate)
    old = {as_text(dig(one, "metadata", "uid")) for one in await _pods(client, "search", "app=chat-70b")}
    await _seqs(client, seqs)
    assert len(await _pods(client, "search", "app=chat-70b")) == 12
    world.clock.advance(210)
    pods = await _pods(client, "search", "app=chat-70b")
    assert (len(pods), _ready(pods)) == (6, 6)
    assert not old & {as_text(dig(one, "metadata", "uid")) for one in pods}
    world.clock.advance(1800)
    after = _value(world, rate)
    assert (after == 0) if better else (after > 2 * before), (before, after)
    sets = objects_at((await client.get("/apis/apps/v1/namespaces/search/replicasets")).body, "items")
    mine = [one for one in sets if objects_at(one, "metadata", "ownerReferences")[0]["name"] == "chat-70b"]
    assert sum(as_int(dig(one, "spec", "replicas")) for one in mine) == 6


async def test_history_is_not_rewritten_and_counters_never_fall(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    start = world.clock.now
    query = 'vllm:num_preemptions_total{namespace="vision"}'
    specs = 'kube_statefulset_replicas{statefulset="describe"}'

    def history(end: float) -> list[object]:
        engine = Engine(world.series)
        ranges = [engine.range(one, start - 3600, end, 30.0).series for one in (query, specs)]
        return [sorted((sorted(labels.items()), points) for labels, points in one) for one in ranges]

    before = history(start - 30)
    await _scale(client, 3)
    world.clock.advance(900)
    assert history(start - 30) == before
    for _, points in Engine(world.series).range(query, start - 3600, world.clock.now, 30.0).series:
        values = [value for _, value in points]
        assert values == sorted(values)


async def test_a_pod_that_is_gone_ends_its_series_with_a_marker(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    await _scale(client, 1)
    world.clock.advance(60)
    matchers = [Matcher("__name__", "=", "vllm:num_requests_running"), Matcher("pod", "=", "describe-1")]
    (series,) = world.series.select(matchers, world.clock.now - 300, world.clock.now)
    assert math.isnan(series.values[-1])
    assert not any(math.isnan(value) for value in series.values[:-1])
    assert [
        one["pod"]
        for one in world.series.label_sets(matchers[:1], world.clock.now, world.clock.now)
        if one["namespace"] == "vision"
    ] == ["describe-0"]


async def test_dry_runs_and_refusals_bring_nothing_about(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    await _patch(client, DESCRIBE, {"spec": {"replicas": 3}}, "?dryRun=All")
    await client.send("PATCH", DESCRIBE, body={"spec": {"replicas": -3}}, headers=MERGE)
    world.clock.advance(3600)
    assert len(await _pods(client, "vision", "app=describe")) == 2
    assert client.server.store.changes == []


async def test_a_change_of_mind_drops_what_was_still_to_come(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    await _scale(client, 3)
    world.clock.advance(30)
    await _scale(client, 2)
    world.clock.advance(900)
    assert _value(world, WAITING) > 10
    assert _ready(await _pods(client, "vision", "app=describe")) == 2


async def test_watches_see_what_the_clock_brings_about(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    store = client.server.store
    await _scale(client, 3)
    revision = store.revision
    woken: list[int] = []
    stop = store.listen(lambda: woken.append(store.revision))
    world.clock.advance(80)
    stop()
    assert woken
    assert store.revision > revision


async def test_a_world_says_nothing_about_other_fields(serve: Serve) -> None:
    world = load("kv-exhausted")
    client = await serve(world)
    note: JsonObject = {"kubectl.kubernetes.io/restartedAt": "2026-05-12T14:00:00Z"}
    await _patch(client, CHAT, {"spec": {"template": {"metadata": {"annotations": note}}}})
    world.clock.advance(600)
    assert len(await _pods(client, "search", "app=chat-70b")) == 6


async def test_a_world_forgets_its_oldest_changes(serve: Serve) -> None:
    world = load("kv-exhausted-small")
    client = await serve(world)
    for number in range(MAX_EPOCHS + 20):
        world.clock.advance(30)
        await _patch(client, DESCRIBE, {"metadata": {"labels": {"n": str(number)}}})
    assert _value(world, 'kube_statefulset_replicas{statefulset="describe"}') == 2
