"""G31: with the shipped admission policies the applier's identity cannot exceed the catalogue, whatever we do.

The policies run in the world server, whose CEL subset evaluates them; every patch of the catalogue passes, and whatever
reaches beyond it is denied, for the applier and for nobody else.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from agent import rbac
from agent.changes.patches import merged
from evals.servers.kube.server import KubeServer
from evals.world.model import Access
from tests.servers.kube.worlds import small_world, thing
from tests.tools.change_cases import TAKEN
from tests.tools.changing import Case
from tools import registry
from tools.changes import PLAN_ANNOTATION
from tools.types import JsonObject, ResourceRef

APPLIER, OTHER = "applier@example.com", "other@example.com"
BUILT_IN = ("Deployment", "StatefulSet", "HorizontalPodAutoscaler", "Job", "Node")
PLAN: JsonObject = {"metadata": {"annotations": {PLAN_ANNOTATION: "d" * 64}}}


def target_of(case: Case) -> ResourceRef:
    """The object of a case."""
    spec = registry.changes()[case.change]
    return spec.parse(case.args).ref


CASES = [case for case in TAKEN if target_of(case).kind in BUILT_IN]


@asynccontextmanager
async def gated(obj: JsonObject) -> AsyncIterator[tuple[KubeServer, aiohttp.ClientSession]]:
    """A server with the object and the policies."""
    access = Access(tokens={user: (user, ()) for user in (APPLIER, OTHER)})
    world = small_world([copy.deepcopy(obj), *rbac.admission(APPLIER)], access=access)
    server = KubeServer(world)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield server, session
    finally:
        await server.stop()


async def patched(
    server: KubeServer, session: aiohttp.ClientSession, target: ResourceRef, patch: JsonObject, user: str = APPLIER
) -> tuple[int, str]:
    """(status, message) of a merge patch."""
    kind = (target.group, target.kind)
    where = next(path for path, one in server.kinds.by_path.items() if (path[0], one.kind) == kind)
    group, version, plural = where
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    place = f"/namespaces/{target.namespace}" if target.namespace else ""
    headers = {"Content-Type": "application/merge-patch+json", "Authorization": f"Bearer {user}"}
    url = f"{server.url}{root}{place}/{plural}/{target.name}"
    async with session.patch(url, data=json.dumps(patch), headers=headers) as answer:
        body = await answer.json()
        return answer.status, str(body.get("message", ""))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.change}-{target_of(case).kind}")
async def test_every_patch_of_the_catalogue_passes(case: Case) -> None:
    async with gated(case.obj) as (server, session):
        body = merged(case.patch, PLAN)
        assert isinstance(body, dict)
        status, message = await patched(server, session, target_of(case), body)
        assert status == 200, message


BEYOND: tuple[JsonObject, ...] = (
    {"metadata": {"labels": {"app": "other"}}},
    {"metadata": {"labels": {"another": "x"}}},
    {"metadata": {"annotations": {"another": "x"}}},
    {"metadata": {"finalizers": ["x/y"]}},
    {"spec": {"minReadySeconds": 7}},
    {"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}},
    {"spec": {"template": {"spec": {"hostNetwork": True}}}},
    {"spec": {"template": {"spec": {"hostPID": True}}}},
    {"spec": {"template": {"spec": {"securityContext": {"runAsUser": 0}}}}},
    {"spec": {"template": {"spec": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}}}},
    {"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "x"}]}}}},
)
SCALE = next(case for case in CASES if case.change == "scale")


@pytest.mark.parametrize("beyond", BEYOND, ids=lambda patch: json.dumps(patch)[:60])
async def test_what_the_catalogue_does_not_change_is_denied(beyond: JsonObject) -> None:
    async with gated(SCALE.obj) as (server, session):
        body = merged(merged(SCALE.patch, PLAN), beyond)
        assert isinstance(body, dict)
        status, message = await patched(server, session, target_of(SCALE), body)
        assert (status, "the applier may not change" in message) == (422, True), message
        assert server.effective_writes == []
        status, message = await patched(server, session, target_of(SCALE), body, user=OTHER)
        assert "the applier" not in message, "others are left alone"


async def test_a_write_without_its_plan_is_denied() -> None:
    async with gated(SCALE.obj) as (server, session):
        status, message = await patched(server, session, target_of(SCALE), SCALE.patch)
        assert (status, "carries its plan" in message) == (422, True)


async def test_another_kind_is_denied() -> None:
    config = thing("v1", "ConfigMap", "x", "default")
    async with gated(config) as (server, session):
        target = ResourceRef(version="v1", kind="ConfigMap", namespace="default", name="x")
        status, message = await patched(server, session, target, {"data": {"a": "b"}})
        assert (status, "changes no such kind" in message) == (422, True)


def test_the_table_holds_what_the_catalogue_changes_and_no_other_kind() -> None:
    assert set(rbac.CHANGED) == {str(kind) for kind in rbac.changed_kinds()}
    for case in TAKEN:
        allowed = rbac.CHANGED[str(target_of(case).kind_ref)]
        spec, meta = case.patch.get("spec", {}), case.patch.get("metadata", {})
        assert isinstance(spec, dict)
        assert isinstance(meta, dict)
        assert set(spec) <= set(allowed.spec), case.change
        for name, keys in (("labels", allowed.labels), ("annotations", allowed.annotations)):
            held = meta.get(name, {})
            assert isinstance(held, dict)
            assert set(held) <= set(keys), case.change
