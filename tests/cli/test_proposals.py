"""Proposals on the command line: drafts that change nothing, and the way of one from words to an undo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.store import DraftRow
from agent.store.sqlite import SqliteStore
from tests.cli.conftest import UNSAFE, Command, Serve
from tools import fields

APP = ("group=apps", "kind=Deployment", "namespace=vision")
HOSTILE = "reads fine\x1b]52;c;ZXZpbA==\x07\u202e [/] [@click=app.quit]"


def keep(state_dir: Path, number: int = 1, **update: object) -> DraftRow:
    """A draft in the state directory."""
    row = DraftRow(
        id=f"{number:012x}", session="a1b2c3", run=2, at=1_780_000_000.0, change="scale",
        args={"group": "apps", "kind": "Deployment", "namespace": "ml", "name": "chat", "replicas": 5},
        target="ml/Deployment/chat", uid="uid-1", because="it idles", cites=("E1/ml/chat/status", "E6/ml/chat-0", "E6"),
        author="model test-1", digest=f"{number:064x}",
    ).model_copy(update=update)  # fmt: skip
    SqliteStore(state_dir).draft(row)
    return row


def test_none_yet(plumbline: Command) -> None:
    for words in (("proposals",), ("proposals", "list")):
        done = plumbline(*words)
        assert done.code == 0
        assert done.out.split() == ["ID", "STATE", "TIER", "TARGET", "CHANGE", "AUTHOR", "NOTE"]
    assert plumbline("proposals", "-o", "json").json["items"] == []


def test_a_list_newest_first(plumbline: Command, state_dir: Path) -> None:
    rows = [keep(state_dir, number) for number in (1, 2)]
    out = plumbline("proposals", "list").out
    assert out.index(rows[1].id) < out.index(rows[0].id)
    for words in (
        "draft",
        "ml/Deployment/chat",
        "scale replicas 5",
        "model test-1",
        "a draft changes nothing",
    ):
        assert words in " ".join(out.split())
    body = plumbline("proposals", "list", "-o", "json").json
    assert body["kind"] == "ProposalList"
    assert [fields.text(item, "id") for item in fields.items(body, "items")] == [row.id for row in reversed(rows)]


def test_one_draft_whole(plumbline: Command, state_dir: Path) -> None:
    row = keep(state_dir)
    done = plumbline("proposals", "show", row.id)
    assert done.code == 0
    for words in (
        f"{row.id} scale ml/Deployment/chat", "draft · a draft changes nothing", "replicas 5", "[E1] [E6]",
        "session a1b2c3, run 2", "by model test-1", "the model's words, which count for nothing: “it idles”",
    ):  # fmt: skip
        assert words in " ".join(done.out.split()), words
    body = plumbline("proposals", "show", row.id, "-o", "json").json
    assert (body["kind"], body["id"], body["state"], body["args"]) == ("Proposal", row.id, "draft", row.args)


def test_the_words_of_the_playbook_are_not_called_a_models(plumbline: Command, state_dir: Path) -> None:
    row = keep(state_dir, author="playbook")
    out = plumbline("proposals", "show", row.id).out
    assert "words of playbook, which count for nothing: " in out
    assert "model's" not in out


def test_hostile_words_are_shown_harmless_and_last(plumbline: Command, state_dir: Path) -> None:
    row = keep(state_dir, because=HOSTILE)
    for words in (("list",), ("show", row.id), ("list", "-o", "json"), ("show", row.id, "-o", "json")):
        assert not UNSAFE.search(plumbline("proposals", *words).out)
    out = plumbline("proposals", "show", row.id).out
    assert out.index("replicas 5") < out.index("reads fine")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("show", "00000000002"), "no proposal named '00000000002' (did you mean 000000000001?)"),
        (("show", "'; DROP TABLE drafts; --"), "no proposal named"),
        (("show", "f"), "no proposal named 'f'"),
        (("show", "000000000001", "--at", "now"), "nothing is changed in the past"),
        (("list", "--state", "aproved"), "no state named 'aproved' (did you mean approved"),
    ],
)
def test_bad_input_is_one_line(plumbline: Command, state_dir: Path, words: tuple[str, ...], line: str) -> None:
    keep(state_dir)
    done = plumbline("proposals", *words)
    assert done.code == 2
    assert line in done.line
    assert len(SqliteStore(state_dir).drafts()) == 1


def test_a_draft_is_not_approved(plumbline: Command, state_dir: Path, served: Sequence[str]) -> None:
    keep(state_dir)
    for words in (("approve", "--digest", "0" * 64), ("revoke",)):
        done = plumbline("proposals", words[0], "000000000001", *words[1:], *served)
        assert done.code == 2
        assert "is draft" in done.line
    assert plumbline("proposals", "delete", "000000000001").code == 2


@pytest.fixture
def served(serve: Serve) -> Sequence[str]:
    """Flags of a world that is served."""
    return serve("kv-exhausted-small").flags


def test_from_words_to_an_undo(plumbline: Command, served: Sequence[str]) -> None:
    target = ("group=apps", "kind=StatefulSet", "namespace=vision", "name=describe")
    made = plumbline("proposals", "new", "scale", *target, "replicas=3", "-o", "json", *served).json
    name = str(made["id"])
    assert (made["state"], made["author"]) == ("draft", "world-admin")
    shown = plumbline("proposals", "preview", name, *served)
    assert '["spec", "replicas"]: 2 → 3' in shown.out
    digest = str(plumbline("proposals", "show", name[:6], "-o", "json").json["digest"])
    asked = plumbline("proposals", "approve", name, *served)
    assert (asked.code, digest[:12] in asked.line) == (2, True)
    assert "not the digest" in plumbline("proposals", "approve", name, "--digest", "0" * 64, *served).line
    assert "not approved" in plumbline("proposals", "apply", name, *served).line
    assert plumbline("proposals", "approve", name, "--digest", digest[:12], *served).code == 0
    done = plumbline("apply", "--watch", "--once", *served)
    assert f"{name} scale vision/StatefulSet/describe: applied" in done.out
    assert plumbline("proposals", "verify", name, "-o", "json", *served).json["state"] == "applied"
    seen = plumbline("proposals", "verify", name, *served)
    for words in ("held the fields stand as they were set", "pending", "state applied", f"proposals undo {name}"):
        assert words in " ".join(seen.out.split()), words
    assert len(seen.out.splitlines()) < 14, "how its checks stand, and not the whole plan again"
    undone = plumbline("proposals", "undo", name, "-o", "json", *served).json
    assert (undone["state"], undone["undoes"]) == ("awaiting approval", name)
    assert f"undo of {name}: back from scale replicas 3" in plumbline("proposals", "list").out
    assert plumbline("proposals", "reject", str(undone["id"]), "--because", "kept", *served).code == 0
    assert plumbline("audit", "verify").code == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("new", "drain", "name=x"), "no change named 'drain'"),
        (("new", "scale", "replicas"), "is no argument"),
        (
            ("new", "scale", "group=apps", "kind=Deployment", "namespace=vision", "name=*", "replicas=3"),
            "args of scale",
        ),
        (("new", "scale", "group=apps", "kind=Deployment", "namespace=a", "name=b", "replicas=0"), "args of scale"),
        (("preview", "abc"), "no proposal named"),
    ],
)
def test_bad_orders_are_one_line(plumbline: Command, served: Sequence[str], words: tuple[str, ...], line: str) -> None:
    done = plumbline("proposals", *words, *served)
    assert done.code == 2
    assert line in done.line


def test_export_makes_a_patch_of_the_repository(plumbline: Command, served: Sequence[str], tmp_path: Path) -> None:
    source = tmp_path / "repo"
    source.mkdir()
    (source / "describe.yaml").write_text(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: describe, namespace: vision}\n"
        "spec:\n  replicas: 2  # one a GPU\n"
    )
    target = ("group=apps", "kind=StatefulSet", "namespace=vision", "name=describe")
    made = plumbline("proposals", "new", "scale", *target, "replicas=3", "-o", "json", *served).json
    assert "no checkout is known" in plumbline("proposals", "export", str(made["id"]), *served).line
    done = plumbline("proposals", "export", str(made["id"]), "--source", str(source), *served)
    assert "-  replicas: 2  # one a GPU\n+  replicas: 3  # one a GPU\n" in done.out
    assert "## Verification" in done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[changes]\napprovals = {B = 0}\n", "changes.approvals.B: Input should be greater"),
        ('[changes]\nfreezes = [{days=["sat"]}]\n', "changes.freezes.0: give begins and ends"),
        ("[changes]\nnonsense = 1\n", "changes.nonsense: Extra inputs"),
        ('[changes]\nstore = "mysql://x"\n', "no address of a Postgres"),
        ('[changes]\nstop_configmap = "x"\n', "changes.stop_configmap"),
    ],
)
def test_settings_that_are_wrong_are_named(
    plumbline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(tmp_path / "config.toml"))
    done = plumbline("proposals")
    assert done.code == 2
    assert said in done.line
