"""G29: a tampered or foreign checkpoint is refused, never deserialised into code; strict msgpack is on."""

from __future__ import annotations

import datetime
import os
import pickle
import sqlite3
from pathlib import Path

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.store.checkpoints import SealedSerializer, TamperedCheckpoint, open_checkpoints
from agent.store.keys import derive, install_key

KEY = b"k" * 32
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_was_sealed_comes_back(value: object) -> None:
    serializer = SealedSerializer(KEY)
    assert serializer.loads_typed(serializer.dumps_typed(value)) == value


@given(st.data())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    serializer = SealedSerializer(KEY)
    kind, sealed = serializer.dumps_typed({"question": "why?", "gathered": ["E1", "E2"]})
    at = data.draw(st.integers(0, len(sealed) - 1))
    forged = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    with pytest.raises(TamperedCheckpoint):
        serializer.loads_typed((kind, forged))


@pytest.mark.parametrize("cut", [0, 1, 31, 32, 33])
def test_cut_and_retyped_checkpoints_are_refused(cut: int) -> None:
    serializer = SealedSerializer(KEY)
    kind, sealed = serializer.dumps_typed({"a": 1})
    with pytest.raises(TamperedCheckpoint):
        serializer.loads_typed((kind, sealed[:cut]))
    with pytest.raises(TamperedCheckpoint):
        serializer.loads_typed(("json", sealed))


def test_another_installations_checkpoint_is_foreign() -> None:
    with pytest.raises(TamperedCheckpoint):
        SealedSerializer(KEY).loads_typed(SealedSerializer(b"x" * 32).dumps_typed({"a": 1}))


class _Gadget:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /nonexistent/gadget",)


GADGETS = (
    ("pickle", pickle.dumps(_Gadget())),
    ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "system", "true"])))),
    ("msgpack", ormsgpack.packb(ormsgpack.Ext(5, ormsgpack.packb(["pathlib", "Path", "/etc/passwd"])))),
    ("json", b'{"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["true"]}'),
)


@pytest.mark.parametrize(("kind", "body"), GADGETS)
def test_gadgets_are_refused_unsealed_and_never_run_sealed(
    kind: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with the key in an attacker's hands, no payload names code that would run."""
    ran: list[str] = []
    monkeypatch.setattr(os, "system", ran.append)
    serializer = SealedSerializer(KEY)
    with pytest.raises(TamperedCheckpoint):
        serializer.loads_typed((kind, body))
    try:
        loaded = serializer.loads_typed((kind, serializer._seal(kind, body) + body))
    except Exception as error:
        loaded = error
    assert ran == []
    assert not isinstance(loaded, Path)


def test_types_outside_json_do_not_come_back_as_objects() -> None:
    """Strict msgpack: a type that is not on LangGraph's own safe list stays data."""
    kind, body = JsonPlusSerializer().dumps_typed({"p": Path("/etc/passwd"), "d": datetime.timedelta(1)})
    serializer = SealedSerializer(KEY)
    assert os.environ.get("LANGGRAPH_STRICT_MSGPACK", "true") == "true"
    serializer.loads_typed((kind, serializer._seal(kind, body) + body))


async def test_a_changed_database_is_refused_on_resume(tmp_path: Path) -> None:
    key = derive(install_key(tmp_path), "checkpoints")
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    checkpoint = {
        "v": 4, "ts": "2026-01-01T00:00:00Z", "id": "1", "channel_values": {"question": "why?"},
        "channel_versions": {}, "versions_seen": {}, "updated_channels": None,
    }  # fmt: skip
    async with open_checkpoints(tmp_path, key) as saver:
        await saver.aput(config, checkpoint, {}, {})  # type: ignore[arg-type]
        assert await saver.aget_tuple(config) is not None  # type: ignore[arg-type]
    with sqlite3.connect(tmp_path / "checkpoints.db") as database:
        database.execute(
            "UPDATE checkpoints SET checkpoint = CAST(substr(checkpoint, 1, length(checkpoint) - 1) || x'00' AS BLOB)"
        )
    async with open_checkpoints(tmp_path, key) as saver:
        with pytest.raises(TamperedCheckpoint):
            await saver.aget_tuple(config)  # type: ignore[arg-type]
