"""Lists: order, paging against a snapshot, expired and wrong tokens, selectors, size."""

from __future__ import annotations

import time

import pytest

from evals.servers.kube.jsonread import as_object, as_text, objects_at
from evals.servers.kube.paging import make_token
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.types import JsonObject

PODS = "/api/v1/pods"


async def pages(client: Client, path: str, limit: int) -> list[Reply]:
    """All pages of a list."""
    found: list[Reply] = []
    token = ""
    while len(found) < 1000:
        mark = "&" if "?" in path else "?"
        reply = await client.get(f"{path}{mark}limit={limit}&continue={token}")
        assert reply.status == 200, reply.message
        found.append(reply)
        token = as_text(reply.at("metadata", "continue"))
        if not token:
            return found
    raise AssertionError("paging does not end")


async def test_order_is_the_byte_order_of_namespace_and_name(serve: Serve) -> None:
    client = await serve(small_world([pod("b", "a"), pod("a", "a-b"), pod("a", "a"), pod("B", "a"), pod("z", "A")]))
    assert (await client.get(PODS)).names == ["A/z", "a-b/a", "a/B", "a/a", "a/b"]
    assert (await client.get("/api/v1/namespaces/a/pods")).names == ["a/B", "a/a", "a/b"]


async def test_ten_thousand_pods_come_in_pages_complete_and_quickly(serve: Serve) -> None:
    names = [f"ns-{index % 7}/pod-{index:05d}" for index in range(10_000)]
    client = await serve(small_world([pod(name.partition("/")[2], name.partition("/")[0]) for name in names]))
    started = time.process_time()
    found = await pages(client, PODS, 500)
    spent = time.process_time() - started
    assert [name for page in found for name in page.names] == sorted(names)
    assert [page.at("metadata", "remainingItemCount") for page in found] == [*range(9_500, 0, -500), None]
    assert spent < 3.0


async def test_pages_are_of_one_moment(serve: Serve) -> None:
    client = await serve(small_world([pod(name) for name in "abcd"]))
    store, resource = client.server.store, client.server.kinds.by_path[("", "v1", "pods")]
    first = await client.get(f"{PODS}?limit=2")
    store.put(resource, pod("bb"))
    store.remove(store.select(resource)[3])
    second = await client.get(f"{PODS}?limit=2&continue={first.at('metadata', 'continue')}")
    assert (first.names, second.names) == (["default/a", "default/b"], ["default/c", "default/d"])
    assert second.at("metadata", "resourceVersion") == first.at("metadata", "resourceVersion")
    assert (await client.get(PODS)).names == [f"default/{name}" for name in ("a", "b", "bb", "d")]


async def test_an_expired_token_offers_to_go_on_inconsistently(serve: Serve) -> None:
    client = await serve(small_world([pod(name) for name in "abcd"]))
    first = await client.get(f"{PODS}?limit=2")
    client.server.store.compact()
    expired = await client.get(f"{PODS}?limit=2&continue={first.at('metadata', 'continue')}")
    assert (expired.status, expired.at("reason"), expired.at("code")) == (410, "Expired", 410)
    assert expired.message.startswith("The provided continue parameter is too old")
    rest = await client.get(f"{PODS}?limit=2&continue={expired.at('metadata', 'continue')}")
    assert rest.names == ["default/c", "default/d"]


async def test_a_selected_page_does_not_count_what_remains(serve: Serve) -> None:
    labels: list[JsonObject] = [{"app": "x"}, {"app": "y"}]
    client = await serve(small_world([pod(f"p{index}", labels=labels[index % 2]) for index in range(9)]))
    found = await pages(client, f"{PODS}?labelSelector=app%3Dx", 2)
    assert [page.names for page in found] == [
        ["default/p0", "default/p2"],
        ["default/p4", "default/p6"],
        ["default/p8"],
    ]
    assert all(page.at("metadata", "remainingItemCount") is None for page in found)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("resourceVersion=x", 400, 'parsing "x": invalid syntax'),
        ("resourceVersion=99999999", 504, "Too large resource version: 99999999, current: "),
        ("continue=%25", 400, "invalid continue token"),
        ("continue=e30", 400, "continue key is not valid"),
        (f"continue={make_token(5, '../x')}", 400, "invalid continue token"),
        (f"resourceVersion=7&continue={make_token(5, 'x')}", 400, "not allowed when using continue"),
        ("fieldSelector=spec.nodeName", 400, "invalid selector: 'spec.nodeName'"),
    ],
)
async def test_wrong_parameters_are_refused(serve: Serve, query: str, status: int, message: str) -> None:
    reply = await (await serve(small_world([pod("a")]))).get(f"{PODS}?{query}")
    assert reply.status == status
    assert message in reply.message


async def test_an_exact_version_is_a_list_of_the_past(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    store, resource = client.server.store, client.server.kinds.by_path[("", "v1", "pods")]
    before = store.revision
    store.put(resource, pod("b"))
    store.put(resource, pod("c"))
    path = f"{PODS}?resourceVersionMatch=Exact&resourceVersion="
    for version, names in ((before, ["a"]), (before + 1, ["a", "b"]), (before + 2, ["a", "b", "c"])):
        assert (await client.get(f"{path}{version}")).names == [f"default/{name}" for name in names]
    store.compact()
    assert (await client.get(f"{path}{before}")).at("reason") == "Expired"


async def test_metadata_left_out_is_filled_in_the_same_way_every_time(serve: Serve) -> None:
    objects = [pod("a"), thing("apps/v1", "Deployment", "d", "default"), thing("v1", "Node", "n")]
    replies = []
    for _ in range(2):
        client = await serve(small_world(objects))
        paths = (PODS, "/apis/apps/v1/deployments", "/api/v1/nodes")
        replies.append([objects_at((await client.get(path)).body, "items")[0]["metadata"] for path in paths])
    first, second = replies
    assert first == second
    a_pod, deployment, node = map(as_object, first)
    assert (a_pod["creationTimestamp"], a_pod["generation"]) == ("2027-01-14T08:00:00Z", 1)
    assert len({as_text(one["uid"]) for one in (a_pod, deployment, node)}) == 3
    assert as_text(a_pod["resourceVersion"]) < as_text(deployment["resourceVersion"])
    assert "generation" not in node


async def test_given_metadata_is_kept_and_list_versions_are_never_older(serve: Serve) -> None:
    given: JsonObject = {"name": "a", "namespace": "default", "uid": "u-1", "resourceVersion": "77777", "generation": 9}
    client = await serve(small_world([{**pod("a"), "metadata": given}, pod("b")]))
    reply = await client.get(PODS)
    first, second = (as_object(item["metadata"]) for item in objects_at(reply.body, "items"))
    assert (first["uid"], first["resourceVersion"], first["generation"]) == ("u-1", "77777", 9)
    assert int(as_text(reply.at("metadata", "resourceVersion"))) >= int(as_text(second["resourceVersion"])) > 77777
