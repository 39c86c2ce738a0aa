"""The gate: order of its steps, what each failure becomes, tenancy, budgets, deadlines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from tests.tools.fakes import CLUSTER, PERSON, Bench, FakeKube, FakeProm, named
from tools.errors import BadAnswer, CredentialsError, Denied, NotFound, NotServed, Refused, TargetError, Unavailable
from tools.gate import rows_digest
from tools.limits import Budget
from tools.policy import Policy
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, Row, Scope, ToolCall, ToolSpec, WireLimits

TEAM = Scope(asked="team search", namespaces=("search",), permitted=("search", "shared"))


def pods() -> FakeKube:
    """Four pods in three namespaces, and a node."""
    return FakeKube(
        objects={
            "Pod": [
                named("Pod", n, ns) for n, ns in (("a", "search"), ("b", "shared"), ("c", "other"), ("d", "search"))
            ],
            "Node": [named("Node", "gpu-1")],
            "Namespace": [named("Namespace", "search"), named("Namespace", "other")],
        }
    )


async def test_a_call_that_goes_well() -> None:
    bench = Bench(kube=pods())
    found = await bench.run("list_objects", kind="Pod")
    assert (found.status, found.detail) == ("ok", "")
    assert [row.key for row in found.rows] == ["search/a", "shared/b", "other/c", "search/d"]
    assert found.query == "kubectl get pod -A"
    assert (found.source, found.family, found.trust) == ("kubernetes", "objects", "structured")
    assert found.digest == rows_digest(found.rows)
    assert bench.kept == [found]
    assert [kind for kind, _ in bench.audit.entries] == ["call", "outcome"]
    assert bench.audit.entries[0][1]["rule"] == "read-objects"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Denied("forbidden: User ann cannot list pods"), "denied"),
        (NotFound("no such thing"), "empty"),
        (NotServed("the cluster does not serve Pod"), "empty"),
        (Unavailable("503"), "unavailable"),
        (BadAnswer("HTML"), "failed"),
        (Refused("no"), "failed"),
    ],
)
async def test_expected_failures_are_evidence(error: Exception, status: str) -> None:
    found = await Bench(kube=FakeKube(fails={"Pod": error})).run("list_objects", kind="Pod")
    assert (found.status, found.rows) == (status, ())
    assert str(error) in found.detail
    assert not found.usable or status == "empty"


async def test_rows_before_a_failure_are_kept_and_called_partial() -> None:
    kube = pods()
    kube.fails = {"Pod": Unavailable("connection reset")}
    found = await Bench(kube=kube).run("list_objects", kind="Pod")
    assert (found.status, len(found.rows)) == ("truncated", 4)
    assert "connection reset" in found.detail


async def test_a_port_that_says_truncated_is_believed() -> None:
    kube = pods()
    kube.truncated = "7 more were left out"
    found = await Bench(kube=kube).run("list_objects", kind="Pod")
    assert (found.status, found.detail) == ("truncated", "7 more were left out")


@pytest.mark.parametrize("error", [CredentialsError("expired"), TargetError("unreachable"), ZeroDivisionError("bug")])
async def test_what_the_user_must_mend_and_bugs_propagate_and_are_audited(error: Exception) -> None:
    bench = Bench(kube=FakeKube(fails={"Pod": error}))
    with pytest.raises(type(error)):
        await bench.run("list_objects", kind="Pod")
    assert bench.audit.entries[-1][1]["error"] == type(error).__name__


async def test_a_hanging_server_ends_at_the_deadline() -> None:
    kube = pods()
    kube.hangs = True
    found = await Bench(kube=kube, budget=Budget(calls=1, seconds=0.05)).run("list_objects", kind="Pod")
    assert found.status == "unavailable"
    assert "no complete answer" in found.detail


async def test_calls_beyond_the_budget_do_not_run() -> None:
    bench = Bench(kube=pods(), budget=Budget(calls=1, seconds=10))
    assert (await bench.run("list_objects", kind="Pod")).status == "ok"
    second = await bench.run("list_objects", kind="Pod")
    assert second.status == "unavailable"
    assert "budget" in second.detail
    assert bench.kube.requests == 1


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("no_such_tool", {}),
        ("\x1b[31mred", {}),
        ("list_objects", {}),
        ("list_objects", {"kind": "Pod", "extra": 1}),
        ("list_objects", {"kind": "Pod", "namespace": "../etc"}),
        ("list_objects", {"kind": "Pod", "namespace": "a\r\nHost: x"}),
        ("list_objects", {"kind": "Pod --server=http://evil"}),
        ("list_objects", {"kind": 7}),
        ("list_objects", {"kind": "Pod", "label_selector": "a=b&watch=1"}),
        ("get_object", {"kind": "Pod", "name": "%2e%2e/secrets", "namespace": "search"}),
        ("get_object", {"kind": "Pod", "name": "..", "namespace": "search"}),
        ("pod_logs", {"namespace": "search", "pod": "a", "tail_lines": 10**9}),
        ("promql", {"query": ""}),
        ("promql", {"query": "x" * 10_000}),
        ("promql", {"query": "up", "start": "yesterday"}),
        ("named_query", {"name": "Robert'); drop"}),
        ("list_objects", {"kind": ["Pod"] * 1000}),
    ],
)
async def test_whatever_a_model_sends_ends_in_evidence(tool: str, args: JsonObject) -> None:
    bench = Bench(kube=pods())
    found = await bench.call(tool, args)
    assert found.status in ("failed", "denied")
    assert found.detail.isprintable()
    assert bench.kube.requests == 0
    assert bench.audit.entries[0][0] == "decision"


@pytest.mark.parametrize("kind", ["Secret", "Secrets", "SecretList", "TokenRequest"])
@pytest.mark.parametrize("tool", ["list_objects", "get_object"])
async def test_secrets_are_refused_whatever_the_policy(tool: str, kind: str) -> None:
    everything = Policy.model_validate(
        {"rules": [{"id": "all", "verdict": "allow", "effects": ["read", "write"], "kinds": ["*"], "namespaces": ["*"],
                    "modes": ["*"], "principals": ["*"]}]}
    )  # fmt: skip
    bench = Bench(kube=FakeKube(objects={"Secret": [named("Secret", "x", "search")]}), policy=everything)
    more: JsonObject = {"name": "x"} if tool == "get_object" else {}
    for group in ("", "v1", "example.com"):
        found = await bench.call(tool, {"kind": kind, "group": group, "namespace": "search", **more})
        assert found.status == "denied"
        assert "never-secrets" in found.detail
    assert bench.kube.requests == 0


async def test_without_a_rule_nothing_runs() -> None:
    bench = Bench(kube=pods(), policy=Policy())
    found = await bench.run("list_objects", kind="Pod")
    assert found.status == "denied"
    assert "default-deny" in found.detail
    assert bench.gate.shown(PERSON, "propose") == []


# --- tenancy ---------------------------------------------------------------------------------------------------


async def test_rows_of_other_tenants_are_withheld_and_counted() -> None:
    found = await Bench(kube=pods()).run("list_objects", kind="Pod", scope=TEAM)
    assert [row.key for row in found.rows] == ["search/a", "shared/b", "search/d"]
    assert found.status == "ok"
    assert "1 rows" in found.detail
    assert "other" not in found.model_dump_json()


async def test_rows_of_nobody_need_cluster_read() -> None:
    found = await Bench(kube=pods()).run("list_objects", kind="Node", scope=TEAM)
    assert (found.status, found.rows) == ("denied", ())
    assert "gpu-1" not in found.model_dump_json()
    assert (await Bench(kube=pods()).run("list_objects", kind="Node")).status == "ok"


async def test_a_namespace_outside_is_refused_before_anything_is_read() -> None:
    bench = Bench(kube=pods())
    found = await bench.run("list_objects", kind="Pod", namespace="other", scope=TEAM)
    assert found.status == "denied"
    assert bench.kube.requests == 0


async def test_a_team_sees_its_own_namespace_object() -> None:
    found = await Bench(kube=pods()).run("list_objects", kind="Namespace", scope=TEAM)
    assert [row.key for row in found.rows] == ["search"]


async def test_discovery_belongs_to_everybody() -> None:
    found = await Bench().run("capabilities", scope=TEAM)
    assert [row.key for row in found.rows] == ["server", "Pod"]


async def test_one_object_of_another_tenant_found_by_cluster_wide_get_is_withheld() -> None:
    kube = FakeKube(objects={"Pod": [named("Pod", "c", "other")]})
    found = await Bench(kube=kube).run("get_object", kind="Pod", name="c", scope=TEAM)
    assert (found.status, found.rows) == ("denied", ())


# --- writes, and tools that are not ours -----------------------------------------------------------------------


class Nothing(Frozen):
    """No arguments."""


def made(effect: str, rows: int = 1, raises: Exception | None = None) -> ToolSpec[BaseModel]:
    """A tool made for a test."""

    async def read(_args: BaseModel, _ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
        yield Page([{"n": n} for n in range(rows)])

    def scope_of(_args: BaseModel) -> CallScope:
        if raises is not None:
            raise raises
        return CallScope(kinds=(), namespaces=()) if rows == 0 else CallScope(metrics=True)

    def project(_args: BaseModel, item: JsonObject) -> Row | None:
        return Row(key="same", data=item)

    return ToolSpec(
        name="made",
        summary="made",
        args=Nothing,
        source="derived",
        trust="structured",
        wire="interactive",
        scope_of=scope_of,
        describe=lambda _a, _p: "made \x1b[2J",
        family=lambda _a, _p: "made",
        read=read,
        project=project,
        effect="write" if effect == "write" else "read",
    )


WRITES = Policy.model_validate(
    {"rules": [{"id": "w", "verdict": "allow", "effects": ["read", "write"], "kinds": ["*"], "namespaces": ["*"],
                "modes": ["apply"], "principals": ["user:ann"]}]}
)  # fmt: skip


async def test_a_write_needs_a_live_approval_of_exactly_its_digest() -> None:
    bench = Bench(policy=WRITES, tools={"made": made("write")})
    assert "no-approval" in (await bench.run("made", mode="apply")).detail
    bench.approvals.digests = {ToolCall(tool="made", args={"other": 1}).digest}
    assert (await bench.run("made", mode="apply")).status == "denied"
    bench.approvals.digests = {ToolCall(tool="made").digest}
    assert (await bench.run("made", mode="apply")).status == "ok"
    assert (await bench.run("made", mode="propose")).status == "denied"


async def test_keys_are_made_unique_and_text_is_cleaned() -> None:
    found = await Bench(policy=WRITES, tools={"made": made("read", rows=3)}).run("made", mode="apply")
    assert [row.key for row in found.rows] == ["same", "same#2", "same#3"]
    assert found.query == "made "


@pytest.mark.parametrize("spec", [made("read", rows=0), made("read", raises=ValueError("matches everything"))])
async def test_a_selector_of_nothing_is_denied(spec: ToolSpec[BaseModel]) -> None:
    found = await Bench(policy=WRITES, tools={"made": spec}).run("made", mode="apply")
    assert found.status == "denied"
    assert "empty-selector" in found.detail


async def test_list_and_call_time_agree_for_every_tool() -> None:
    bench = Bench(prom=FakeProm())
    shown = {spec.name for spec in bench.gate.shown(PERSON, "incident")}
    assert {"list_objects", "named_query", "pod_logs", "promql"} <= shown
    no_logs = Policy.model_validate(
        {"rules": [{"id": "l", "verdict": "allow", "effects": ["read"], "kinds": ["Pod"], "namespaces": ["search"],
                    "modes": ["*"], "principals": ["*"]}]}
    )  # fmt: skip
    bench = Bench(kube=pods(), policy=no_logs)
    assert {spec.name for spec in bench.gate.shown(PERSON, "incident")} == {
        "list_objects",
        "get_object",
        "rollout_history",
    }
    assert (await bench.run("pod_logs", namespace="search", pod="a")).status == "denied"
    assert (await bench.run("list_objects", kind="Pod")).status == "denied"
    assert (await bench.run("list_objects", kind="Pod", namespace="search", scope=CLUSTER)).status == "ok"
