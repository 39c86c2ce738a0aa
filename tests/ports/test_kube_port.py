"""The Kubernetes port where nothing is broken: what it sends, what it keeps, and a whole recorded cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from evals.servers.kube.server import KubeServer
from tests.ports.faults import DATE, FaultServer, Seen, healthy
from tests.servers.kube.recording import POD as RECORDED_POD
from tests.servers.kube.recording import world
from tools.errors import BadAnswer, Denied, NotFound, NotServed
from tools.http import http_date
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.kube.transport import IN_FLIGHT
from tools.types import AccessCheck, JsonObject, KindRef, WireLimits

POD = KindRef(kind="Pod")


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A small cluster that can be told to misbehave."""
    async with FaultServer() as made:
        yield made


@pytest.fixture
async def port(server: FaultServer, tmp_path: Path) -> AsyncIterator[LiveKube]:
    """A port to it."""
    async with await connect(KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "config"))) as made:
        yield made


async def _all(port: LiveKube, kind: KindRef, namespace: str | None = None, **selectors: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    async for page in port.pages(kind, namespace=namespace, **selectors):  # type: ignore[arg-type]
        assert page.truncated == ""
        found += page.items
    return found


async def test_lists_are_paged_without_a_resource_version_and_items_get_their_type(
    server: FaultServer, port: LiveKube
) -> None:
    items = await _all(port, POD, "search", label_selector="app=chat,tier in (a,b)", field_selector="status.phase!=x")
    assert [(item["apiVersion"], item["kind"]) for item in items] == [("v1", "Pod")] * 5
    lists = [seen.query for seen in server.seen if seen.path.endswith("/pods")]
    base = {"labelSelector": "app=chat,tier in (a,b)", "fieldSelector": "status.phase!=x", "limit": "500"}
    assert lists == [base, base | {"continue": "1"}, base | {"continue": "2"}]


async def test_requests_are_counted_and_discovery_is_read_once(server: FaultServer, port: LiveKube) -> None:
    await asyncio.gather(*(port.discovery() for _ in range(5)))
    assert port.requests == len(server.seen) == 7
    await port.get(POD, namespace="search", name="p0")
    assert port.requests == 8


async def test_the_preferred_version_of_a_kind_wins_and_no_kind_is_lost(port: LiveKube) -> None:
    found = await port.discovery()
    assert found.server_version == "v1.36.2"
    versions = {resource.kind: resource.version for resource in found.resources if resource.group}
    assert versions == {"Deployment": "v1", "Widget": "v2", "Gear": "v2"}
    assert {resource.plural for resource in found.resources if not resource.group} == {"pods", "secrets"}


async def test_a_missing_object_and_a_missing_kind_differ(port: LiveKube) -> None:
    with pytest.raises(NotFound, match='pods "gone" not found'):
        await port.get(POD, namespace="search", name="gone")
    with pytest.raises(NotServed, match=r"Widget\.nowhere"):
        await port.get(KindRef(group="nowhere", kind="Widget"), namespace="search", name="gone")


async def test_an_answer_about_another_object_is_never_taken_for_the_one_asked_for(
    server: FaultServer, port: LiveKube
) -> None:
    server.answer = lambda seen: (200, {"metadata": {"name": "other"}}) if "p9" in seen.path else healthy(seen)
    with pytest.raises(BadAnswer, match="something other than Pod p9"):
        await port.get(POD, namespace="search", name="p9")


async def test_logs_are_bytes_and_bounded(server: FaultServer, port: LiveKube) -> None:
    whole = await port.logs(
        namespace="search", pod="p0", container="main", tail_lines=5, limit_bytes=100, previous=True
    )
    assert whole.body == b"line 1\n\xff\xfe line 2\n"
    assert not whole.truncated
    assert server.seen[-1].query == {"container": "main", "tailLines": "5", "limitBytes": "101", "previous": "true"}
    cut = await port.logs(namespace="search", pod="p0", container="main", tail_lines=5, limit_bytes=8, previous=False)
    assert (cut.body, cut.truncated) == (b"line 1\n\xff", True)


async def test_access_reviews_keep_their_order_and_unknown_is_none(server: FaultServer, port: LiveKube) -> None:
    checks = [
        AccessCheck(verb="get", resource="pods"),
        AccessCheck(verb="delete", group="apps", resource="deployments"),
    ]
    assert await port.allowed(checks) == [True, False]
    sent = [json.loads(seen.body)["spec"]["resourceAttributes"] for seen in server.seen]
    assert sent == [{"verb": "get", "resource": "pods"}, {"verb": "delete", "group": "apps", "resource": "deployments"}]
    server.fault, server.match = "403", "selfsubjectaccessreviews"
    assert await port.allowed(checks) == [None, None]


async def test_the_clock_is_the_date_of_a_fresh_answer(
    server: FaultServer, port: LiveKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await port.server_time() == http_date(DATE)
    assert await port.server_time() == http_date(DATE)
    assert len(server.seen) == 1
    monkeypatch.setattr("tools.kube.port.CLOCK_SECONDS", -1.0)
    with pytest.raises(BadAnswer, match="no Date header"):
        await port.server_time()
    assert len(server.seen) == 2


async def test_at_most_eight_requests_are_in_flight(server: FaultServer, port: LiveKube) -> None:
    await port.discovery()
    server.seen.clear()
    server.fault, server.match = "hang", "/pods/"
    asked = [asyncio.create_task(port.get(POD, namespace="search", name="p0")) for _ in range(20)]
    while len(server.seen) < IN_FLIGHT:
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(server.seen) == IN_FLIGHT
    for task in asked:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*asked, return_exceptions=True))


@pytest.mark.parametrize(
    ("items", "count", "warned"),
    [
        (None, 0, 0),
        ([], 0, 0),
        ([None, 3, {"metadata": None}, {}], 2, 1),
        ([{"metadata": {"uid": 7}}], 1, 0),
    ],
)
async def test_sloppy_lists_are_read_for_what_they_hold(
    server: FaultServer, port: LiveKube, items: JsonValue, count: int, warned: int
) -> None:
    server.answer = lambda seen: (200, {"items": items}) if seen.path.endswith("/pods") else healthy(seen)
    pages = [page async for page in port.pages(POD, namespace=None)]
    assert sum(len(page.items) for page in pages) == count
    assert sum(len(page.warnings) for page in pages) == warned


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"items": "x"}, [], "x", None])
async def test_what_is_no_list_is_an_error(server: FaultServer, port: LiveKube, body: JsonValue) -> None:
    server.answer = lambda seen: (200, body) if seen.path.endswith("/pods") else healthy(seen)
    with pytest.raises(BadAnswer):
        await _all(port, POD)


async def test_a_list_that_never_ends_is_ended(
    server: FaultServer, port: LiveKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(seen: Seen) -> tuple[int, JsonValue | bytes]:
        return (200, {"items": [{}], "metadata": {"continue": "x"}}) if seen.path.endswith("/pods") else healthy(seen)

    server.answer = endless
    monkeypatch.setattr("tools.kube.pages.MAX_PAGES", 7)
    pages = [page async for page in port.pages(POD, namespace=None)]
    assert len(pages) == 8
    assert "7 pages are the most" in pages[-1].truncated


async def test_a_large_answer_does_not_hold_the_event_loop(server: FaultServer, port: LiveKube) -> None:
    """3 MB of JSON are parsed elsewhere: other tasks go on running meanwhile."""
    await port.discovery()
    big: list[JsonValue] = [{"metadata": {"name": f"p{i}", "uid": f"u{i}"}, "x": "y" * 900} for i in range(3000)]
    server.answer = lambda seen: (200, {"items": big}) if seen.path.endswith("/pods") else healthy(seen)
    wire = WireLimits(page_bytes=4 << 20, call_bytes=8 << 20, seconds=20.0)
    assert [len(page.items) async for page in port.pages(POD, namespace=None, wire=wire)] == [3000]


# --- a whole recorded cluster --------------------------------------------------------------------------------


async def test_every_kind_of_a_recorded_cluster_is_listed_completely(tmp_path: Path) -> None:
    """Against the world server: aggregated discovery, every listable kind, pages of three."""
    served = KubeServer(world("cluster"))
    await served.start()
    try:
        (tmp_path / "config").write_text(json.dumps(served.kubeconfig()))
        async with await connect(KubeTarget(kubeconfig=str(tmp_path / "config"))) as port:
            found = await port.discovery()
            assert port.requests == 3
            small = WireLimits(page_bytes=1 << 20, call_bytes=64 << 20, seconds=20.0, page_items=3)
            seen: set[tuple[str, str, str]] = set()
            for resource in found.resources:
                if "list" not in resource.verbs or resource.kind == "Secret":
                    continue
                kind = KindRef(group=resource.group, kind=resource.kind)
                async for page in port.pages(kind, namespace=None, wire=small):
                    assert page.truncated == ""
                    seen |= {_identity(item) for item in page.items}
            wanted = {_identity(item) for item in served.world.objects} - _secrets(served.world.objects)
            assert wanted <= seen
            assert len(wanted) > 50
    finally:
        await served.stop()


async def test_a_recorded_cluster_answers_who_may_and_what_time_it_is(tmp_path: Path) -> None:
    served = KubeServer(world("viewer"))
    await served.start()
    try:
        (tmp_path / "config").write_text(json.dumps(served.kubeconfig()))
        target = KubeTarget(kubeconfig=str(tmp_path / "config"))
        async with await connect(target) as port:
            user, groups = await port.whoami()
            assert user
            assert "system:authenticated" in groups
            assert await port.allowed([AccessCheck(verb="list", resource="pods")]) == [True]
            assert await port.server_time() == int(served.world.clock.now)
            log = await port.logs(
                namespace="rec", pod=RECORDED_POD, container="server", tail_lines=3, limit_bytes=4096, previous=False
            )
            assert log.body.count(b"\n") <= 3
        async with await connect(KubeTarget(kubeconfig=target.kubeconfig, as_user="nobody")) as port:
            with pytest.raises(Denied, match='User "nobody" cannot list resource "pods"'):
                await _all(port, POD)
    finally:
        await served.stop()


def _identity(item: JsonObject) -> tuple[str, str, str]:
    meta = item["metadata"]
    assert isinstance(meta, dict)
    return (str(item["kind"]), str(meta.get("namespace", "")), str(meta["name"]))


def _secrets(items: list[JsonObject]) -> set[tuple[str, str, str]]:
    return {_identity(item) for item in items if item["kind"] == "Secret"}
