"""G19: incident mode does not start with credentials that can do more than read; propose warns once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent.identity import DANGERS, Danger, check_mode, checks, dangers, described
from evals.servers.kube.server import KubeServer
from evals.world.load import load
from evals.world.model import Access
from tools.errors import CredentialsError, Unavailable
from tools.kube.connect import KubeTarget, connect
from tools.types import AccessCheck, JsonObject

READ: list[JsonValue] = ["get", "list", "watch"]
READER: list[JsonObject] = [
    {"verbs": READ, "apiGroups": [""], "resources": ["pods", "pods/log", "nodes", "events", "services", "namespaces"]},
    {"verbs": READ, "apiGroups": ["apps", "batch", "autoscaling"], "resources": ["*"]},
]
"""What a reader needs: explicit core resources, so that neither Secrets nor subresources slip in."""


@dataclass
class Answers:
    """The part of a port that answers access reviews: by rule, or not at all."""

    allow: frozenset[int] = frozenset()
    silent: bool = False
    failing: bool = False

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        """True for the checks at the allowed positions of DANGERS."""
        if self.failing:
            raise Unavailable("the API server did not answer in time")
        if self.silent:
            return [None] * len(checks)
        return [index in self.allow for index, _ in enumerate(checks)]


NAMES = [f"{c.verb} {c.group or 'core'}/{c.resource}/{c.subresource}".rstrip("/") for c, _ in DANGERS]


@pytest.mark.parametrize("position", range(len(DANGERS)), ids=NAMES)
async def test_one_danger_is_enough_to_refuse(position: int) -> None:
    kube = Answers(allow=frozenset({position}))
    (found,) = await dangers(kube)
    assert (found.check, found.what) == DANGERS[position]
    with pytest.raises(CredentialsError, match="incident mode needs read-only credentials"):
        await check_mode(kube, "incident")
    (warning,) = await check_mode(kube, "propose")
    assert found.what in warning


async def test_a_reader_is_let_in_without_a_word() -> None:
    kube = Answers()
    assert await check_mode(kube, "incident") == []
    assert await check_mode(kube, "propose") == []


@pytest.mark.parametrize("kube", [Answers(silent=True), Answers(failing=True)], ids=["silent", "failing"])
async def test_a_server_that_does_not_say_is_not_trusted(kube: Answers) -> None:
    with pytest.raises(CredentialsError, match="does not say"):
        await check_mode(kube, "incident")
    assert len(await check_mode(kube, "propose")) == 1


async def test_the_refusal_can_be_accepted_in_so_many_words() -> None:
    kube = Answers(allow=frozenset({0}))
    assert len(await check_mode(kube, "incident", accept=True)) == 1


def test_the_list_holds_what_is_known_to_be_more_than_reading() -> None:
    listed = {(c.verb, c.group, c.resource, c.subresource) for c, _ in DANGERS}
    rbac = "rbac.authorization.k8s.io"
    hooks = "admissionregistration.k8s.io"
    for known in (
        ("get", "", "nodes", "proxy"),
        ("get", "", "pods", "exec"),
        ("create", "", "pods", "exec"),
        ("get", "", "secrets", ""),
        ("list", "", "secrets", ""),
        ("impersonate", "", "users", ""),
        ("escalate", rbac, "clusterroles", ""),
        ("bind", rbac, "clusterroles", ""),
        ("create", "", "serviceaccounts", "token"),
        ("create", hooks, "mutatingwebhookconfigurations", ""),
        ("patch", hooks, "validatingwebhookconfigurations", ""),
        *((verb, "apps", "deployments", "") for verb in ("create", "patch", "delete")),
    ):
        assert known in listed
    assert len(listed) == len(DANGERS)


def test_named_namespaces_are_asked_about_but_not_for_what_has_none() -> None:
    extra = checks(["search", "search", "research"])[len(DANGERS) :]
    assert {c.namespace for c, _ in extra} == {"search", "research"}
    assert not [c for c, _ in extra if c.resource == "nodes"]
    assert len({(str(c), c.namespace) for c, _ in extra}) == len(extra)


def test_a_long_list_is_counted() -> None:
    said = described([Danger(what=what, check=check) for check, what in DANGERS])
    assert said.startswith("these credentials may read Secrets")
    assert "more such things" in said
    assert len(said) < 300


MATRIX: dict[str, tuple[list[JsonObject], bool]] = {
    "reader": (READER, True),
    "view with star": ([{"verbs": READ, "apiGroups": ["*"], "resources": ["*"]}], False),
    "exec by get": ([*READER, {"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec"]}], False),
    "proxy by get": ([*READER, {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes/proxy"]}], False),
    "editor": ([*READER, {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]}], False),
    "binder": (
        [*READER, {"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]}],
        False,
    ),
}


@pytest.mark.parametrize("role", MATRIX)
async def test_over_http_against_roles_as_rbac_has_them(role: str, tmp_path: Path) -> None:
    rules, good = MATRIX[role]
    world = load("fleet")
    world.access = Access(tokens={"t0ken-of-the-test": ("ana", ())}, rules={"ana": rules})
    server = KubeServer(world)
    await server.start()
    try:
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig()))
        async with await connect(KubeTarget(kubeconfig=str(path))) as kube:
            found = await dangers(kube)
            assert (not found) is good
            if good:
                assert await check_mode(kube, "incident") == []
            else:
                with pytest.raises(CredentialsError):
                    await check_mode(kube, "incident")
    finally:
        await server.stop()
    assert {record.method for record in server.requests} == {"POST"}
    assert all("selfsubjectaccessreviews" in record.path for record in server.requests)


async def test_rights_in_one_namespace_count_when_it_is_named(tmp_path: Path) -> None:
    world = load("fleet")
    rule: JsonObject = {"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["search"]}
    world.access = Access(tokens={"t0ken-of-the-test": ("ana", ())}, rules={"ana": [*READER, rule]})
    server = KubeServer(world)
    await server.start()
    try:
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig()))
        async with await connect(KubeTarget(kubeconfig=str(path))) as kube:
            assert await check_mode(kube, "incident") == []
            with pytest.raises(CredentialsError, match="delete pods in search"):
                await check_mode(kube, "incident", namespaces=["search"])
    finally:
        await server.stop()
