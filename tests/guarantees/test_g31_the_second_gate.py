"""G31: with the shipped admission policies the applier's identity cannot exceed the catalogue, whatever we do.

The policies run in the world server, whose CEL subset evaluates them; every patch of the catalogue passes, and whatever
reaches beyond it is denied, for the applier and for nobody else.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from pydantic import JsonValue

from agent import admission, rbac
from agent.changes.patches import merged
from evals.servers.kube.server import KubeServer
from evals.world.model import Access
from tests.servers.kube.worlds import small_world, thing
from tests.tools.change_cases import TAKEN
from tests.tools.changing import PROXY, VLLM, Case, container
from tools import registry
from tools.changes import PLAN_ANNOTATION
from tools.types import JsonObject, ResourceRef

APPLIER, OTHER = "applier@example.com", "other@example.com"
PLAN: JsonObject = {"metadata": {"annotations": {PLAN_ANNOTATION: "d" * 64}}}


def target_of(case: Case) -> ResourceRef:
    """The object of a case."""
    spec = registry.changes()[case.change]
    return spec.parse(case.args).ref


CUSTOM: list[JsonObject] = [
    {"group": kind.group, "version": "v1", "kind": kind.kind, "plural": rbac.plural(kind),
     "namespaced": kind.kind != "ClusterQueue"}
    for kind in rbac.changed_kinds()
    if "." in kind.group
]  # fmt: skip
"""The kinds of the catalogue that a world has to define, in the version that the cases have."""


def _served(obj: JsonObject) -> str:
    """The object's version where it is built in, else the one that the definitions have."""
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    return f"{group}/v1" if "." in group else f"{group}/{version}".lstrip("/")


@asynccontextmanager
async def gated(obj: JsonObject) -> AsyncIterator[tuple[KubeServer, aiohttp.ClientSession]]:
    """A server with the object and the policies."""
    access = Access(tokens={user: (user, ()) for user in (APPLIER, OTHER)})
    made = {**copy.deepcopy(obj), "apiVersion": _served(obj)}
    world = small_world([made, *admission.policies(APPLIER)], access=access, definitions=CUSTOM)
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


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: f"{case.change}-{target_of(case).kind}")
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
SCALE = next(case for case in TAKEN if case.change == "scale")


def pods(*containers: JsonObject, **spec: JsonValue) -> JsonObject:
    """A patch of the pod template's spec."""
    return {"spec": {"template": {"spec": {**spec, **({"containers": [*containers]} if containers else {})}}}}


SECRET: JsonObject = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
BEYOND += (
    {"spec": {"replicas": 0}},
    {"spec": {"replicas": 1001}},
    pods(initContainers=[{"name": "x", "image": "x"}]),
    pods(runtimeClassName="other"),
    pods(container(image="elsewhere.example.com/serving/vllm-openai:v0.18.0")),
    pods(container(image="registry.example.com:5000/serving/vllm-openai:v0.18.0")),
    pods(container(image="registry.example.com/serving/vllm-openai/other:v0.18.0")),
    pods(container(command=["/bin/sh"])),
    pods(container(env=[SECRET])),
    pods(container(envFrom=[{"secretRef": {"name": "s"}}])),
    pods(container(securityContext={"privileged": True})),
    pods(container(lifecycle={"postStart": {"exec": {"command": ["x"]}}})),
    pods(container(volumeMounts=[{"name": "root", "mountPath": "/"}])),
    pods(VLLM, PROXY),
    pods(PROXY),
)
OTHER_KINDS: tuple[tuple[str, JsonObject], ...] = (
    ("StatefulSet", pods(container(image="registry.example.com/serving/vllm-openai:v0.17.0"))),
    ("StatefulSet", {"spec": {"template": {"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}}}),
    ("StatefulSet", pods(nodeSelector={"a": "b"})),
    ("InferenceService", {"spec": {"predictor": {"model": {"image": "x"}}}}),
    ("InferenceService", {"spec": {"predictor": {"serviceAccountName": "admin"}}}),
    ("InferenceService", {"spec": {"predictor": {"annotations": {"x": "y"}}}}),
    ("LLMInferenceService", {"spec": {"template": {"serviceAccountName": "admin"}}}),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 5000}}),
    ("HorizontalPodAutoscaler", {"spec": {"scaleTargetRef": {"name": "other"}}}),
    ("ScaledObject", {"spec": {"triggers": [{"type": "prometheus", "metadata": {"serverAddress": "http://x"}}]}}),
    ("ScaledObject", {"spec": {"triggers": []}}),
    ("PyTorchJob", {"spec": {"runPolicy": {"ttlSecondsAfterFinished": 1}}}),
    ("ClusterQueue", {"spec": {"resourceGroups": []}}),
    ("Node", {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}}),
    ("Node", {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}}),
)


async def _denied(case: Case, beyond: JsonObject) -> None:
    async with gated(case.obj) as (server, session):
        body = merged(merged(case.patch, PLAN), beyond)
        assert isinstance(body, dict)
        status, message = await patched(server, session, target_of(case), body)
        assert (status, "the applier may not change" in message) == (422, True), message
        assert server.effective_writes == []
        status, message = await patched(server, session, target_of(case), body, user=OTHER)
        assert "the applier" not in message, "others are left alone"


@pytest.mark.parametrize("beyond", BEYOND, ids=lambda patch: json.dumps(patch)[:90])
async def test_what_the_catalogue_does_not_change_is_denied(beyond: JsonObject) -> None:
    await _denied(SCALE, beyond)


@pytest.mark.parametrize(("kind", "beyond"), OTHER_KINDS, ids=lambda one: one if isinstance(one, str) else "")
async def test_it_is_denied_for_every_kind(kind: str, beyond: JsonObject) -> None:
    await _denied(next(case for case in TAKEN if target_of(case).kind == kind), beyond)


async def test_a_node_of_the_control_plane_is_left_alone() -> None:
    case = next(case for case in TAKEN if case.change == "cordon")
    owned = merged(case.obj, {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}})
    assert isinstance(owned, dict)
    await _denied(dataclasses.replace(case, obj=owned), {})


async def test_an_image_may_change_its_tag() -> None:
    case = next(case for case in TAKEN if case.change == "scale")
    async with gated(case.obj) as (server, session):
        body = merged(PLAN, pods(container(image="registry.example.com/serving/vllm-openai@sha256:" + "0" * 64)))
        assert isinstance(body, dict)
        assert (await patched(server, session, target_of(case), body))[0] == 200


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


def test_the_table_holds_every_kind_of_the_catalogue_and_no_other() -> None:
    assert set(admission.BOUNDS) == {str(kind) for kind in rbac.changed_kinds()}
