"""The audit log: append-only JSON lines, each carrying the digest of the one before.

Rules: an entry is on disk before the thing it announces happens; if it cannot be written, AuditUnavailable and
nothing runs. Every byte of every line is covered, so an edit, deletion or reordering breaks the chain; a cut tail
shows only against a head kept elsewhere (each run record keeps one). Two processes may append to one log.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.errors import AuditUnavailable
from tools.types import JsonObject, canonical

GENESIS = "0" * 64
"""What the first entry names as its predecessor."""
MAX_LINE = 4 << 20
"""Longest line; a call's arguments are bounded far below it."""


class AuditLog:
    """One hash-chained file in the state directory, shared by all runs and processes that use that directory."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time, durable: bool = True) -> None:
        """Open or create the log. `durable=False` skips fsync (worlds and tests, where nothing is at stake).

        Raises AuditUnavailable when the file cannot be opened for writing or its last line is no entry.
        """
        self.path = path
        self._clock = clock
        self._durable = durable
        self._size = 0
        self._seq = 0
        self._head = GENESIS
        self._threads = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise _unavailable(path, error) from None
        with self._locked():
            self._catch_up()

    def append(self, kind: str, body: JsonObject) -> str:
        """Append one entry; returns the new head. Raises AuditUnavailable, leaving the log as it was."""
        with self._locked():
            self._catch_up()
            entry: JsonObject = {
                "body": body,
                "digest": hashlib.sha256(canonical(body)).hexdigest(),
                "kind": kind,
                "prev": self._head,
                "seq": self._seq + 1,
                "time": round(self._clock(), 3),
            }
            head = _hash(entry)
            line = canonical({**entry, "hash": head}) + b"\n"
            if len(line) > MAX_LINE:
                raise AuditUnavailable(f"an audit entry of {len(line):,} bytes is too long to write")
            self._write(line)
            self._size += len(line)
            self._seq += 1
            self._head = head
            return head

    @property
    def head(self) -> str:
        """Digest of the newest entry this object has seen."""
        return self._head

    def close(self) -> None:
        """Close the file; the log stays valid."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the threads of this process, then among processes."""
        with self._threads:
            if self._fd < 0:
                raise AuditUnavailable(f"the audit log {self.path} is closed")
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            except OSError as error:
                raise _unavailable(self.path, error) from None
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(28, "no space left")
            if self._durable:
                os.fdatasync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise _unavailable(self.path, error) from None

    def _catch_up(self) -> None:
        """Read what other processes appended since; the lock is held."""
        try:
            size = os.fstat(self._fd).st_size
            if size == self._size:
                return
            last = _last_line(self._fd, size)
        except OSError as error:
            raise _unavailable(self.path, error) from None
        entry = _parse(last)
        if entry is None:
            raise AuditUnavailable(
                f"the audit log {self.path} ends in a line that is no entry",
                hint="run `plumbline audit verify`, then move the file away",
            )
        self._size, self._seq, self._head = size, int(str(entry["seq"])), str(entry["hash"])


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found. `problem` is "" when the chain is whole."""

    entries: int
    head: str
    problem: str = ""
    line: int | None = None
    """First line (from 1) that is wrong, where there is one."""

    @property
    def ok(self) -> bool:
        """True when nothing was edited, deleted, reordered or cut."""
        return not self.problem


def verify(path: Path, *, head: str | None = None) -> Verification:
    """Check every line. With `head` (kept elsewhere), also that this entry is still there: a cut tail shows.

    Entries after `head` are later ones and fine. Raises AuditUnavailable when the file cannot be read.
    """
    previous, count = GENESIS, 0
    seen_head = head is None or head == GENESIS
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                problem = _check(line, previous, count + 1)
                if problem:
                    return Verification(count, previous, problem, count + 1)
                count += 1
                previous = str(json.loads(line)["hash"])
                seen_head = seen_head or previous == head
    except OSError as error:
        raise AuditUnavailable(f"cannot read the audit log {path}: {error.strerror}") from None
    if not seen_head:
        return Verification(count, previous, f"the entry {head} is gone: the end of the log was cut", count + 1)
    return Verification(count, previous)


def entries(path: Path) -> Iterator[JsonObject]:
    """The entries in order, unchecked (see `verify`); lines that are no entries are left out."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            entry = _parse(line)
            if entry is not None:
                yield entry


def _check(line: bytes, previous: str, seq: int) -> str:
    """What is wrong with one line, or ""."""
    entry = _parse(line)
    if entry is None:
        return "not an entry as written by Plumbline"
    stated = entry.pop("hash")
    if _hash(entry) != stated:
        return "its digest does not match its content"
    if hashlib.sha256(canonical(entry["body"])).hexdigest() != entry["digest"]:
        return "its body was edited"
    if entry["prev"] != previous:
        return "it does not follow the line before: an entry was removed, added or moved"
    if entry["seq"] != seq:
        return f"it has number {entry['seq']} instead of {seq}"
    return ""


_FIELDS = {"body", "digest", "hash", "kind", "prev", "seq", "time"}


def _parse(line: bytes) -> JsonObject | None:
    """One line as an entry; None unless it is byte for byte what `append` would have written."""
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or set(entry) != _FIELDS or type(entry["seq"]) is not int:
            return None
        return entry if canonical(entry) + b"\n" == line else None
    except (ValueError, RecursionError):
        return None


def _hash(entry: JsonObject) -> str:
    """Digest of an entry without its own hash; the body counts through its digest."""
    return hashlib.sha256(canonical({k: v for k, v in entry.items() if k != "body"})).hexdigest()


def _last_line(fd: int, size: int) -> bytes:
    """The last line of a file of that size, read backwards in bounded steps."""
    block = 4096
    while True:
        start = max(0, size - block)
        tail = os.pread(fd, size - start, start)
        cut = tail.rfind(b"\n", 0, -1)
        if cut >= 0 or start == 0:
            return tail[cut + 1 :]
        if block > MAX_LINE:
            return tail
        block *= 8


def _unavailable(path: Path, error: OSError) -> AuditUnavailable:
    reason = error.strerror or type(error).__name__
    return AuditUnavailable(
        f"the audit log {path} cannot be written: {reason.lower()}",
        hint="nothing runs without it; free space or choose another state directory",
    )
