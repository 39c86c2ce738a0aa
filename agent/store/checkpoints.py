"""Checkpoints that cannot be forged: strict msgpack inside, an HMAC around it.

LangGraph's serializer loads any type by default; here no module is allowed (state is plain JSON values), and bytes
that this installation did not write are refused before they are decoded.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from tools.errors import UserError

SEAL_BYTES = 32


class TamperedCheckpoint(UserError):
    """A checkpoint that this installation did not write, or that was changed since."""


class SealedSerializer(JsonPlusSerializer):
    """LangGraph's serializer without any importable type, each value under an HMAC-SHA256 seal."""

    def __init__(self, key: bytes) -> None:
        super().__init__(allowed_msgpack_modules=None)
        self._key = key

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> SealedSerializer:
        """Itself: types that a graph's state mentions earn no right to be imported."""
        return self

    def _seal(self, kind: str, body: bytes) -> bytes:
        return hmac.new(self._key, kind.encode() + b"\0" + body, hashlib.sha256).digest()

    def dumps_typed(self, obj: object) -> tuple[str, bytes]:
        """(type, sealed bytes) of a value."""
        kind, body = super().dumps_typed(obj)
        return kind, self._seal(kind, body) + body

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        """The value of sealed bytes. Raises TamperedCheckpoint before decoding anything foreign."""
        kind, sealed = data
        seal, body = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
        if len(sealed) < SEAL_BYTES or not hmac.compare_digest(seal, self._seal(kind, body)):
            raise TamperedCheckpoint(
                "this session's checkpoint was not written by this installation, or was changed",
                hint="start a new session",
            )
        result: object = super().loads_typed((kind, body))
        return result


@asynccontextmanager
async def open_checkpoints(directory: Path, key: bytes) -> AsyncIterator[AsyncSqliteSaver]:
    """A saver in the state directory."""
    async with aiosqlite.connect(directory / "checkpoints.db") as connection:
        os.chmod(directory / "checkpoints.db", 0o600)
        await connection.execute("PRAGMA busy_timeout=10000")
        yield AsyncSqliteSaver(connection, serde=SealedSerializer(key))
