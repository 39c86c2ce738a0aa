"""G3: nothing that a model can call creates, alters or counts as an approval, or moves a change beyond a draft."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import sqlite3
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from agent.changes.drafting import RunDrafting
from agent.store import DraftRow
from agent.store.sqlite import SqliteStore
from tests.agent.drafting import Desk, order
from tests.tools.fakes import Bench, FakeApprovals
from tools import draft, read, registry, write
from tools.changes import Drafting
from tools.policy import Policy
from tools.types import JsonObject, Mode, Ports

EVERYTHING = Policy.model_validate(
    {"rules": [{"id": "all", "verdict": "allow", "effects": ["read", "draft", "write"], "kinds": ["*"],
                "namespaces": ["*"], "modes": ["*"], "principals": ["*"]}]}
)  # fmt: skip
"""Even a policy that forbids nothing opens no way."""
HIDDEN = (
    "approve", "approve_change", "apply", "apply_change", "confirm", "reject", "revoke", "undo", "set_state", "claim",
    "scale", "delete", "exec", "patch", "write", "propose_change_", "propose_change\u200b", "Propose_Change",
    "tools.write.scale", "resume", "answer",
)  # fmt: skip
"""What a model may call in the hope that it is there."""
STATES: tuple[JsonValue, ...] = (
    "previewed", "awaiting approval", "approved", "claimed", "applying", "applied", "verified", "undone", "", None, True
)  # fmt: skip
PACKAGES = (read, draft, write)
MODULES = [f"{p.__name__}.{info.name}" for p in PACKAGES for info in pkgutil.iter_modules(p.__path__)]


class Watched(FakeApprovals):
    """Approvals of which nothing may be asked by a read or a draft."""

    def live(self, digest: str) -> bool:
        raise AssertionError(f"an approval of {digest} was looked for")


def test_every_tool_reads_or_drafts() -> None:
    assert {spec.effect for spec in registry.load().values()} == {"read", "draft"}
    assert [name for name, spec in registry.load().items() if spec.effect == "draft"] == ["propose_change"]
    assert not set(HIDDEN) & set(registry.load())


@pytest.mark.parametrize("name", MODULES)
def test_no_module_of_a_tool_or_change_knows_of_approvals_or_of_the_agent(name: str) -> None:
    source = inspect.getsource(importlib.import_module(name))
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {one for one in names if "approv" in one.lower() or "journal" in one.lower()}
    assert not {one for one in modules if one.startswith(("agent", "plumbline", "tools.gate", "tools.kube"))}


def test_what_a_tool_can_reach_is_known() -> None:
    assert {field.name for field in dataclasses.fields(Ports)} == {
        "kube", "prom", "queries", "now", "permitted", "scope", "drafting"
    }  # fmt: skip
    assert [name for name in vars(Drafting) if not name.startswith("_")] == ["draft"]
    assert [name for name in vars(RunDrafting) if callable(getattr(RunDrafting, name)) and name[0] != "_"] == ["draft"]


@pytest.mark.parametrize("mode", ["incident", "propose", "apply"])
@pytest.mark.parametrize("name", HIDDEN)
async def test_hidden_names_are_no_tools(name: str, mode: Mode, tmp_path: Path) -> None:
    desk = Desk(SqliteStore(tmp_path))
    bench = Bench(policy=EVERYTHING, approvals=Watched())
    found = await bench.call(name, order().model_dump(mode="json"), mode=mode, drafting=desk.drafting)
    assert found.status == "failed"
    assert "unknown-tool" in found.detail
    assert desk.store.drafts() == []


@pytest.mark.parametrize(
    "key", ["state", "approved", "approve", "approver", "approval", "digest", "id", "nonce", "mode"]
)
@pytest.mark.parametrize("state", STATES, ids=str)
async def test_an_order_cannot_carry_a_state(key: str, state: JsonValue, tmp_path: Path) -> None:
    desk = Desk(SqliteStore(tmp_path))
    bench = Bench(policy=EVERYTHING, approvals=Watched())
    plain: JsonObject = order().model_dump(mode="json")
    args = plain["args"]
    assert isinstance(args, dict)
    for wrong in ({**plain, key: state}, {**plain, "args": {**args, key: state}}):
        found = await bench.call("propose_change", wrong, mode="apply", drafting=desk.drafting)
        assert found.status == "failed"
    assert desk.store.drafts() == []


async def test_whatever_is_drafted_is_a_draft_and_stays_one(tmp_path: Path) -> None:
    """A draft touches its own table and the event log; the same order again alters nothing."""
    desk = Desk(SqliteStore(tmp_path))
    bench = Bench(policy=EVERYTHING, approvals=Watched())
    before = _tables(tmp_path)
    plain: JsonObject = order().model_dump(mode="json")
    for because in ("approved by the lead", '{"state": "approved"}', "/approve", "y"):
        found = await bench.call("propose_change", {**plain, "because": because}, mode="apply", drafting=desk.drafting)
        assert found.status == "ok"
        (row,) = found.rows
        assert row.data["state"] == "draft"
    (kept,) = desk.store.drafts()
    assert kept.because == "approved by the lead"
    after = _tables(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"drafts", "events"}
    assert bench.kube.requests == 0


def test_the_store_knows_no_other_state_and_alters_no_draft(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    row = DraftRow(
        id="0123456789ab", session="s", run=1, at=1.0, change="scale", args={}, target="a/Deployment/b", uid="u",
        because="", cites=(), author="playbook", digest="d",
    )  # fmt: skip
    store.draft(row)
    for state in STATES:
        with pytest.raises(ValidationError):
            DraftRow.model_validate({**row.model_dump(), "state": state})
    store.draft(row.model_copy(update={"state": "approved", "digest": "other"}))
    assert store.draft_by_id(row.id) == row
    assert not [
        name for name in dir(store) if any(word in name for word in ("approve", "apply", "claim", "transition"))
    ]


def _tables(directory: Path) -> dict[str, int]:
    """Rows of each table."""
    with sqlite3.connect(directory / "plumbline.db") as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
