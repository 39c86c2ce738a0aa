"""The official client (`kubernetes.aio`, typed and dynamic) against the world server, as its users use it."""

from __future__ import annotations

import pytest
from kubernetes.aio import client as api
from kubernetes.aio.client.exceptions import ApiException, ConflictException, ForbiddenException, NotFoundException

from evals.servers.kube.jsonread import as_text, dig, objects_at
from tests.servers.kube.client import Client
from tests.servers.kube.conftest import Serve
from tests.servers.kube.official import connect, dynamic_client, impersonate, plain, watch_names
from tests.servers.kube.recording import POD, TOKEN, world
from tools.types import JsonObject

MERGE = "application/merge-patch+json"


async def _served(serve: Serve, moment: str) -> Client:
    return await serve(world(moment))


async def test_typed_reads_and_paging(serve: Serve) -> None:
    client = await _served(serve, "cluster")
    async with connect(client.server) as made:
        core = api.CoreV1Api(made)
        first = plain(made, await core.list_namespaced_pod("rec", limit=2))
        token = as_text(dig(first, "metadata", "continue"))
        second = plain(made, await core.list_namespaced_pod("rec", limit=2, _continue=token))
        assert dig(first, "metadata", "remainingItemCount") == 3
        pods = [*objects_at(first, "items"), *objects_at(second, "items")]
        assert len({as_text(dig(one, "metadata", "name")) for one in pods}) == 4
        chosen = await core.list_pod_for_all_namespaces(label_selector="app=hog", field_selector="status.phase=Pending")
        assert [dig(one, "status", "phase") for one in objects_at(plain(made, chosen), "items")] == ["Pending"] * 2
        node = plain(made, await core.read_node("gpu-00"))
        assert dig(node, "status", "capacity", "nvidia.com/gpu") == "8"
        assert (await core.read_namespaced_pod_log(POD, "rec", tail_lines=1)).startswith("WARN  slow request")
        with pytest.raises(NotFoundException):
            await core.read_namespaced_pod("absent", "rec")
        scale = plain(made, await api.AppsV1Api(made).read_namespaced_deployment_scale("chat", "rec"))
        assert (dig(scale, "spec", "replicas"), dig(scale, "status", "selector")) == (3, "app=chat")
    assert {one.user for one in client.server.requests} == {"recorder"}


async def test_typed_patch_with_dry_run_and_conflict(serve: Serve) -> None:
    client = await _served(serve, "cluster")
    async with connect(client.server) as made:
        apps = api.AppsV1Api(made)
        patch: JsonObject = {"spec": {"replicas": 1}}
        shown = await apps.patch_namespaced_deployment(
            "chat", "rec", patch, dry_run="All", field_manager="plumbline", _content_type=MERGE
        )
        kept = await apps.read_namespaced_deployment("chat", "rec")
        assert [dig(plain(made, one), "spec", "replicas") for one in (shown, kept)] == [1, 3]
        stale: JsonObject = {"metadata": {"resourceVersion": "1"}, **patch}
        with pytest.raises(ConflictException):
            await apps.patch_namespaced_deployment("chat", "rec", stale, _content_type=MERGE)


async def test_impersonation_and_access_review(serve: Serve) -> None:
    client = await _served(serve, "cluster")
    async with connect(client.server) as made:
        impersonate(made, "jane")
        attributes = api.V1ResourceAttributes(verb="list", resource="pods", namespace="rec")
        review = await api.AuthorizationV1Api(made).create_self_subject_access_review(
            api.V1SelfSubjectAccessReview(spec=api.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
        )
        assert dig(plain(made, review), "status", "allowed") is False
        with pytest.raises(ForbiddenException):
            await api.CoreV1Api(made).list_node()


async def test_watch_and_its_expired_version(serve: Serve) -> None:
    client = await _served(serve, "cluster")
    async with connect(client.server) as made:
        listing = api.CoreV1Api(made).list_namespaced_pod
        assert POD in await watch_names(listing, "rec", count=5)
        client.server.store.compact()
        with pytest.raises(ApiException) as expired:
            await watch_names(listing, "rec", count=5, resource_version="5")
        assert expired.value.status == 410


async def test_the_dynamic_client_finds_built_in_and_custom_kinds(serve: Serve) -> None:
    client = await _served(serve, "devices")
    async with connect(client.server) as made:
        dynamic = await dynamic_client(made)
        pods = await dynamic.resources.get(api_version="v1", kind="Pod")
        assert (await pods.get(namespace="rec", name="claimer")).status.phase == "Pending"
        queues = await dynamic.resources.get(api_version="rec.example.com/v1", kind="Queue")
        assert queues.namespaced is False
        assert [one.spec.nominalQuota for one in (await queues.get()).items] == [8]
        patched = await queues.patch(name="team-a", body={"spec": {"nominalQuota": 9}}, content_type=MERGE)
        assert (patched.spec.nominalQuota, patched.metadata.generation) == (9, 2)


async def test_a_kubeconfig_names_the_world_and_its_first_user(serve: Serve) -> None:
    server = (await _served(serve, "cluster")).server
    loaded = server.kubeconfig()
    assert loaded["current-context"] == "cluster"
    assert loaded["users"] == [{"name": "cluster", "user": {"token": TOKEN}}]
    assert loaded["clusters"] == [{"name": "cluster", "cluster": {"server": server.url}}]
    assert server.url.startswith("http://127.0.0.1:")
