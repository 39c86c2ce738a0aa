"""Who decides about a proposal, as the API server knows them, and that no decision counts before it is audited."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.ledger_sqlite import FILE
from evals.world.load import load
from evals.world.model import Access
from tests.cli.conftest import Command, Serve, Site
from tools import fields
from tools.audit import entries, verify
from tools.types import JsonObject

TARGET = ("group=apps", "kind=StatefulSet", "namespace=vision", "name=describe")
PEOPLE = ("ada", "grace", "applier")
Flags = Callable[..., tuple[str, ...]]


@pytest.fixture
def flags(serve: Serve, tmp_path: Path) -> Flags:
    """The flags of a person, on a world that several people use; `borrowed` is whom their kubeconfig impersonates."""
    world = load("kv-exhausted-small")
    world.access = Access(tokens={f"token-{name}": (name, ()) for name in PEOPLE})
    site: Site = serve(world)

    def of(user: str, borrowed: str = "") -> tuple[str, ...]:
        config = site.kube.kubeconfig(user)
        if borrowed:
            fields.items(config, "users")[0]["user"] = {"token": f"token-{user}", "as": borrowed}
        path = tmp_path / f"{user}-{borrowed}.json"
        path.write_text(json.dumps(config))
        return ("--kubeconfig", str(path), "--prometheus", site.prom_url)

    return of


@pytest.fixture
def waiting(plumbline: Command, flags: Flags) -> JsonObject:
    """A risky change that ada wrote and the applier's credentials previewed."""
    made = plumbline("proposals", "new", "restart", *TARGET, "-o", "json", *flags("ada")).json
    row = plumbline("proposals", "preview", str(made["id"]), "-o", "json", *flags("applier")).json
    assert (row["state"], row["tier"], row["author"], row["requester"]) == ("awaiting approval", "B", "ada", "applier")
    return row


def approve(row: JsonObject) -> tuple[str, ...]:
    """The words that approve a proposal."""
    return "proposals", "approve", str(row["id"]), "--digest", str(row["digest"])


def rows(state_dir: Path) -> list[str]:
    """Everything that decisions change."""
    with closing(sqlite3.connect(state_dir / FILE)) as db:
        return [*db.iterdump()]


def test_who_wrote_a_risky_change_does_not_approve_it(plumbline: Command, flags: Flags, waiting: JsonObject) -> None:
    done = plumbline(*approve(waiting), *flags("ada"))
    assert (done.code, "somebody else has to approve it" in done.line) == (2, True)
    assert plumbline(*approve(waiting), "-o", "json", *flags("grace")).json["state"] == "approved"


@pytest.mark.parametrize("decision", ["approve", "reject", "revoke"])
def test_without_the_audit_log_nothing_is_decided(
    plumbline: Command, flags: Flags, waiting: JsonObject, state_dir: Path, decision: str
) -> None:
    (state_dir / "audit.jsonl").rename(state_dir / "kept")
    (state_dir / "audit.jsonl").symlink_to(state_dir / "kept")
    before = rows(state_dir)
    words = approve(waiting) if decision == "approve" else ("proposals", decision, str(waiting["id"]))
    done = plumbline(*words, *flags("grace"))
    assert done.code != 0
    assert "audit log" in done.line
    assert rows(state_dir) == before


@pytest.mark.parametrize(("decision", "kind"), [("approve", "approval"), ("reject", "reject"), ("revoke", "revoke")])
def test_a_decision_stands_in_the_chain(
    plumbline: Command, flags: Flags, waiting: JsonObject, state_dir: Path, decision: str, kind: str
) -> None:
    words = approve(waiting) if decision == "approve" else ("proposals", decision, str(waiting["id"]))
    assert plumbline(*words, *flags("grace")).code in (0, 1)
    log = state_dir / "audit.jsonl"
    (entry,) = [entry for entry in entries(log) if entry["kind"] == kind]
    body = entry["body"]
    assert isinstance(body, dict)
    assert (body["proposal"], body["digest"], body["actor"]) == (waiting["id"], waiting["digest"], "grace")
    assert verify(log).ok
    log.write_text(log.read_text().replace('"actor":"grace"', '"actor":"alan"'))
    assert "was edited" in verify(log).problem or "does not match" in verify(log).problem


@pytest.mark.parametrize("decision", ["approve", "reject", "revoke"])
def test_nobody_decides_as_somebody_they_impersonate(
    plumbline: Command, flags: Flags, waiting: JsonObject, state_dir: Path, decision: str
) -> None:
    before = rows(state_dir)
    words = approve(waiting) if decision == "approve" else ("proposals", decision, str(waiting["id"]))
    done = plumbline(*words, *flags("ada", "grace"))
    assert (done.code, "impersonates grace; people decide as themselves" in done.line) == (2, True)
    assert rows(state_dir) == before


def test_another_clusters_word_does_not_count(
    plumbline: Command, serve: Serve, flags: Flags, waiting: JsonObject, state_dir: Path, tmp_path: Path
) -> None:
    """Whoever runs a cluster of their own can be anybody there."""
    world = load("kv-exhausted-small")
    world.access = Access(tokens={"token-grace": ("grace", ())})
    for obj in world.objects:
        if obj.get("kind") == "Namespace" and fields.text(obj, "metadata", "name") == "kube-system":
            fields.mapping(obj, "metadata")["uid"] = "00000000-0000-4000-8000-000000000000"
    config = serve(world).kube.kubeconfig("grace")
    (tmp_path / "own.json").write_text(json.dumps(config))
    before = rows(state_dir)
    for words in (approve(waiting), ("proposals", "reject", str(waiting["id"]))):
        done = plumbline(*words, "--kubeconfig", str(tmp_path / "own.json"))
        assert (done.code, "is of another cluster" in done.line) == (2, True)
    assert rows(state_dir) == before


def test_what_people_write_is_kept_without_secrets(
    plumbline: Command, flags: Flags, waiting: JsonObject, state_dir: Path
) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    made = plumbline(
        "proposals", "new", "scale", *TARGET, "replicas=3", "--because", f"as {secret} said", *flags("ada")
    )
    assert made.code == 0
    done = plumbline("proposals", "reject", str(waiting["id"]), "--because", f"it has {secret}", *flags("grace"))
    assert done.code == 0
    assert secret not in "".join(rows(state_dir))


def test_a_decision_that_cannot_be_made_is_not_in_the_log(
    plumbline: Command, flags: Flags, waiting: JsonObject, state_dir: Path
) -> None:
    words = ("proposals", "reject", str(waiting["id"]))
    assert plumbline(*words, *flags("grace")).code == 0
    before = len([*entries(state_dir / "audit.jsonl")])
    again = plumbline(*words, *flags("grace"))
    assert (again.code, "cannot reject" in again.line) == (2, True)
    assert len([*entries(state_dir / "audit.jsonl")]) == before


def test_one_proposal_is_not_watched(plumbline: Command, flags: Flags, waiting: JsonObject) -> None:
    done = plumbline("apply", str(waiting["id"]), "--watch", "--once", *flags("applier"))
    assert (done.code, "--watch applies whatever is approved" in done.line) == (2, True)
