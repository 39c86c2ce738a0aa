"""The catalogue of changes: what each takes, what it refuses, and what the one tool that proposes makes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from pydantic import JsonValue

from agent.llm.toolbox import of_spec
from tests.tools.change_cases import BAD as BAD
from tests.tools.change_cases import GOOD as GOOD
from tests.tools.fakes import Bench
from tools import fields, registry
from tools.changes import ChangeArgs, ChangeSpec, DraftOrder
from tools.errors import Refused
from tools.types import JsonObject, KindRef, Mode, Scope, canonical

CHAT: JsonObject = {"group": "apps", "kind": "Deployment", "namespace": "search", "name": "chat-70b", "replicas": 2}
CASES = [(name, args) for name, many in BAD.items() for args in many]
BECAUSE = "it idles"


@dataclass
class Keeper:
    """A Drafting that keeps what it is given, or refuses it."""

    refuses: str = ""
    orders: list[DraftOrder] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)

    async def draft(self, order: DraftOrder, scope: Scope) -> JsonObject:
        if self.refuses:
            raise Refused(self.refuses, hint="look again")
        self.orders.append(order)
        self.scopes.append(scope)
        return {"proposal": "0123456789ab", "state": "draft", "namespace": "search", "change": order.change}


def order(args: JsonValue = None, **more: JsonValue) -> JsonObject:
    """Arguments of propose_change."""
    return {"change": "scale", "args": args or dict(CHAT), "because": BECAUSE, "cites": ["E1", "E2/key"], **more}


@pytest.mark.parametrize("change", registry.changes().values(), ids=lambda change: change.name)
def test_good_arguments_name_one_object_of_a_kind_it_may_touch(change: ChangeSpec[ChangeArgs]) -> None:
    for args in GOOD[change.name]:
        parsed = change.parse(args)
        target = parsed.ref
        assert target.kind_ref in change.kinds
        assert target.name
        assert target.uid is None  # an order never says which uid: that is read
        assert change.parse(parsed.model_dump(mode="json")) == parsed


@pytest.mark.parametrize(("name", "args"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)])
def test_bad_arguments_are_refused_in_one_line_that_quotes_nothing(name: str, args: JsonObject) -> None:
    with pytest.raises(Refused) as refused:
        registry.changes()[name].parse(args)
    line = str(refused.value)
    assert line.startswith(f"args of {name}: ")
    assert "\n" not in line
    assert "evil" not in line


def test_no_change_takes_the_last_replica_or_touches_what_is_forbidden() -> None:
    forbidden = {"Secret", "Namespace", "CustomResourceDefinition", "ServiceAccount", "Pod", "ConfigMap", "Role",
                 "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ValidatingWebhookConfiguration",
                 "MutatingWebhookConfiguration"}  # fmt: skip
    for change in registry.changes().values():
        assert not {kind.kind for kind in change.kinds} & forbidden
        assert not {"delete", "exec", "patch", "apply"} & set(change.name.split("_"))
    assert KindRef(group="apps", kind="Deployment") in registry.changes()["scale"].kinds


# --- the tool --------------------------------------------------------------------------------------------------


async def test_a_draft_is_one_row_of_evidence() -> None:
    keeper, bench = Keeper(), Bench()
    found = await bench.call("propose_change", order(), drafting=keeper)
    assert (found.status, found.family, found.source) == ("ok", "draft", "derived")
    (row,) = found.rows
    assert (row.key, row.namespace) == ("0123456789ab", "search")
    assert row.data == {"state": "draft", "namespace": "search", "change": "scale"}
    assert keeper.orders == [DraftOrder(change="scale", args=CHAT, because=BECAUSE, cites=("E1", "E2/key"))]
    assert [kind for kind, _ in bench.audit.entries] == ["call", "outcome"]
    assert bench.audit.entries[0][1]["rule"] == "store-drafts"
    assert bench.kube.requests == 0


async def test_the_scope_of_the_call_reaches_who_keeps_it() -> None:
    keeper = Keeper()
    team = Scope(asked="team search", namespaces=("search",), permitted=("search",))
    await Bench().call("propose_change", order(), scope=team, drafting=keeper)
    assert keeper.scopes == [team]


async def test_a_refusal_is_denied_evidence_with_its_reason() -> None:
    found = await Bench().call("propose_change", order(), drafting=Keeper(refuses="too little evidence"))
    assert (found.status, found.rows) == ("denied", ())
    assert found.detail == "too little evidence (look again)"


async def test_without_a_keeper_nothing_can_be_drafted() -> None:
    found = await Bench().call("propose_change", order())
    assert found.status == "unavailable"
    assert "no proposal can be stored here" in found.detail


@pytest.mark.parametrize("change", ["drain", "delete", "Scale", "scale ", "../scale", "scale\n", "", 3, None])
async def test_an_unknown_change_fails_and_the_existing_ones_are_named(change: JsonValue) -> None:
    keeper = Keeper()
    found = await Bench().call("propose_change", order(change=change), drafting=keeper)
    assert found.status == "failed"
    assert not keeper.orders
    if change in ("drain", "delete"):
        assert "the changes are: cordon, restart, resume, rollback, scale," in found.detail
        assert "\n" not in found.detail


@pytest.mark.parametrize("args", BAD["scale"])
async def test_bad_arguments_of_a_change_never_reach_who_keeps_it(args: JsonObject) -> None:
    keeper = Keeper()
    found = await Bench().call("propose_change", {**order(), "args": args}, drafting=keeper)
    assert found.status == "failed"
    assert not keeper.orders
    assert "scale(group, kind, namespace, name, replicas)" in found.detail
    assert "evil" not in found.model_dump_json()


@pytest.mark.parametrize(
    "more",
    [
        {"approve": True}, {"state": "approved"}, {"uid": "x"}, {"apply": 1}, {"because": ""}, {"because": "x" * 1001},
        {"cites": []}, {"cites": ["E1"] * 21}, {"cites": ["1"]}, {"cites": ["E0"]}, {"cites": ["E1\r\n"]},
        {"cites": "E1"}, {"cites": ["E1/" + "x" * 1100]}, {"cites": ["E1/a\x1bb"]}, {"args": "{}"}, {"args": None},
    ],
)  # fmt: skip
async def test_an_order_carries_nothing_else(more: JsonObject) -> None:
    keeper = Keeper()
    found = await Bench().call("propose_change", {**order(), **more}, drafting=keeper)
    assert found.status == "failed"
    assert not keeper.orders


@pytest.mark.parametrize(("mode", "status"), [("incident", "denied"), ("propose", "ok"), ("apply", "ok")])
async def test_drafts_are_for_propose_and_apply_mode(mode: Mode, status: str) -> None:
    keeper = Keeper()
    found = await Bench().call("propose_change", order(), mode=mode, drafting=keeper)
    assert found.status == status
    assert len(keeper.orders) == (status == "ok")
    if status == "denied":
        assert "default-deny" in found.detail


async def test_a_target_of_another_tenant_is_refused_before_anybody_looks() -> None:
    keeper = Keeper()
    team = Scope(asked="team a", namespaces=("a",), permitted=("a",))
    found = await Bench().call("propose_change", order(), scope=team, drafting=keeper)
    assert found.status == "denied"
    assert "tenancy" in found.detail
    assert not keeper.orders


def test_the_whole_catalogue_is_shown_in_few_bytes_and_every_change_and_argument_is_named() -> None:
    """Every request of a model carries it; what a model writes is checked against the whole schema of the change."""
    schema = of_spec(registry.load()["propose_change"]).parameters
    assert len(canonical(schema)) <= 2_500
    assert "$ref" not in str(schema)
    assert set(fields.texts(schema, "required")) == {"change", "args", "because", "cites"}
    lines = [fields.text(one, "description") for one in fields.items(schema, "properties", "args", "anyOf")]
    assert [line.partition("(")[0] for line in lines] == list(registry.changes())
    for line, change in zip(lines, registry.changes().values(), strict=True):
        for name in change.args.model_fields.keys() - {"group", "kind", "namespace", "name"}:
            assert re.search(rf"[(, ]{name}[=,)]", line), name
        for kind in change.kinds:
            assert kind.kind in line.rpartition(")")[2].split()
