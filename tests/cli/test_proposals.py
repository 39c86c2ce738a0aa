"""Drafts on the command line: listed, shown, and always said to change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.store import DraftRow
from agent.store.sqlite import SqliteStore
from tests.cli.conftest import UNSAFE, Command

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
        assert done.out.split() == ["ID", "STATE", "TARGET", "CHANGE", "EVIDENCE", "AUTHOR", "SESSION"]
    assert plumbline("proposals", "-o", "json").json["items"] == []


def test_a_list_newest_first(plumbline: Command, state_dir: Path) -> None:
    rows = [keep(state_dir, number) for number in (1, 2)]
    out = plumbline("proposals", "list").out
    assert out.index(rows[1].id) < out.index(rows[0].id)
    for words in (
        "draft",
        "ml/Deployment/chat",
        "scale replicas 5",
        "E1 E6",
        "model test-1",
        "a draft changes nothing",
    ):
        assert words in " ".join(out.split())
    body = plumbline("proposals", "list", "-o", "json").json
    assert body["kind"] == "ProposalList"
    assert body["items"] == [row.model_dump(mode="json") for row in reversed(rows)]


def test_one_draft_whole(plumbline: Command, state_dir: Path) -> None:
    row = keep(state_dir)
    done = plumbline("proposals", "show", row.id)
    assert done.code == 0
    for words in (
        f"{row.id} scale ml/Deployment/chat", "draft · a draft changes nothing", "replicas 5", "uid uid-1", "[E1] [E6]",
        "session a1b2c3, run 2", "by model test-1", row.digest, "the model's words: “it idles”",
    ):  # fmt: skip
        assert words in " ".join(done.out.split()), words
    body = plumbline("proposals", "show", row.id, "-o", "json").json
    assert body == {"apiVersion": body["apiVersion"], "kind": "Proposal", **row.model_dump(mode="json")}


def test_the_words_of_the_playbook_are_not_called_a_models(plumbline: Command, state_dir: Path) -> None:
    row = keep(state_dir, author="playbook")
    out = plumbline("proposals", "show", row.id).out
    assert "words of the playbook: " in out
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
        (("show",), "which proposal?"),
        (("show", "00000000002"), "no proposal named '00000000002' (did you mean 000000000001?)"),
        (("show", "'; DROP TABLE drafts; --"), "no proposal named"),
        (("list", "000000000001"), "takes no id"),
    ],
)
def test_bad_input_is_one_line(plumbline: Command, state_dir: Path, words: tuple[str, ...], line: str) -> None:
    keep(state_dir)
    done = plumbline("proposals", *words)
    assert done.code == 2
    assert line in done.line
    assert len(SqliteStore(state_dir).drafts()) == 1


def test_nothing_approves(plumbline: Command) -> None:
    for word in ("approve", "apply", "preview", "delete"):
        assert plumbline("proposals", word, "000000000001").code == 2
