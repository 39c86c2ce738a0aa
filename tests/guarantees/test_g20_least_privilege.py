"""G20: the generated roles are the requests that are made: nothing is asked beyond them, no verb is unused.

Asked are questions of every family over several worlds, and the whole way of a change; what the server recorded is held
against the roles, rule by rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from agent import rbac
from evals.servers.kube.server import KubeServer
from tests.agent.opening import opening
from tests.changes.bench import WEB, on_world, small
from tests.llm.test_flows import heard
from tools import fields
from tools.types import JsonObject

Right = tuple[str, str, str]
"""(group, resource, verb)."""
OF_EVERYBODY = frozenset(("authorization.k8s.io", "authentication.k8s.io"))
"""Groups of reviews of oneself, which Kubernetes allows everybody who is signed in."""
DANGEROUS = ("secrets", "nodes/proxy", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy",
             "serviceaccounts/token")  # fmt: skip


def rights(role: JsonObject) -> set[Right]:
    """What a role allows."""
    return {
        (group, resource, verb)
        for rule in fields.items(role, "rules")
        for group in fields.texts(rule, "apiGroups")
        for resource in fields.texts(rule, "resources")
        for verb in fields.texts(rule, "verbs")
    }


def asked(server: KubeServer) -> set[Right]:
    """What a server was asked for, discovery aside."""
    found = set()
    for record in server.requests:
        parts = record.path.strip("/").split("/")
        if parts[:1] not in (["api"], ["apis"]) or not record.verb or len(parts) < 3:
            continue
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        if not rest or group in OF_EVERYBODY:
            continue
        resource = f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]
        found.add((group, resource, record.verb))
    return found


@pytest.mark.parametrize("world", ["hpa-cpu", "pending-gated", "idle-jobset", "xid-program"])
async def test_a_reader_asks_for_nothing_beyond_its_role(world: str, tmp_path: Path) -> None:
    async with opening(world, tmp_path) as (app, served):
        session = await app.session()
        for question in ("is everything all right?", "what changed in the last 6 hours?", "why is my job pending?"):
            await heard(session.ask(question))
        assert asked(served.kube) <= rights(rbac.reader_role())


async def test_an_applier_asks_for_nothing_beyond_its_roles(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.applied(bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))))
        assert row.state == "applied", row.note
        beyond = asked(bench.served.kube) - rights(rbac.reader_role())
        assert beyond <= rights(rbac.applier_role())
        assert ("apps", "deployments", "patch") in beyond


def _named(role: JsonObject) -> Iterable[str]:
    for rule in fields.items(role, "rules"):
        for name in ("apiGroups", "resources", "verbs"):
            yield from fields.texts(rule, name)


def test_no_role_holds_a_wildcard_or_a_danger() -> None:
    reader, applier = rbac.reader_role(), rbac.applier_role()
    for role in (reader, applier):
        assert "*" not in set(_named(role))
        assert set(_named(role)).isdisjoint(DANGEROUS)
    assert {verb for _, _, verb in rights(reader)} == {"get", "list"}
    assert {verb for _, _, verb in rights(applier)} == {"get", "list", "patch"}
    patched = {(group, resource) for group, resource, verb in rights(applier) if verb == "patch"}
    assert patched == {(kind.group, rbac.plural(kind)) for kind in rbac.changed_kinds()}


def test_plurals_are_those_of_the_api_server() -> None:
    server = KubeServer(small())
    known = {(path[0], one.kind): path[2] for path, one in server.kinds.by_path.items()}
    for kind in (*rbac.read_kinds(), *rbac.changed_kinds()):
        if (kind.group, kind.kind) in known:
            assert rbac.plural(kind) == known[kind.group, kind.kind]
