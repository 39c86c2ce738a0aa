"""What happens while an answer is made, on stderr: lines that come and go on a terminal, nothing otherwise."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TextIO

from agent.events import CallFinished, CallStarted, Degraded, Event, FindingMade, ModelAsked, Planned
from agent.render.document import clean

ERASE = "\r\x1b[2K"


class Progress:
    """Draws events. Quiet unless stderr is a terminal; with `verbose`, one lasting line a call."""

    def __init__(self, *, verbose: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._verbose = verbose
        self._planned = self._done = 0
        self.show("connecting")

    def show(self, text: str) -> None:
        """Replace the passing line; it never wraps, or it could not be taken away again."""
        if self._live:
            self._write(f"{ERASE}{clean(text)[: shutil.get_terminal_size().columns - 1]}")

    def keep(self, text: str) -> None:
        """Write a lasting line where somebody watches or asked for it."""
        if self._live or self._verbose:
            self.note(text)

    def note(self, text: str) -> None:
        """Write a lasting line, whoever reads."""
        self._write(f"{ERASE if self._live else ''}{clean(text)}\n")

    def close(self) -> None:
        """Take the passing line away."""
        if self._live:
            self._write(ERASE)

    def hear(self, event: Event) -> None:
        """Draw one event."""
        match event:
            case Planned():
                self._planned += event.calls
                self.show(f"reading {event.calls} things about {event.scope.asked}")
            case CallStarted():
                self.show(f"[{self._done}/{max(self._planned, self._done + 1)}] {event.query}")
            case CallFinished():
                self._done += 1
                if self._verbose:
                    self.keep(f"{event.evidence:>4} {event.status:11} {event.rows:6} rows {event.seconds:6.2f} s")
            case ModelAsked():
                self.show(f"asking {event.model} (request {event.request}, about {event.tokens:,} tokens)")
            case FindingMade():
                self.show(f"found {event.finding.cause}: {event.finding.title}")
            case Degraded():
                self.note(f"note: {event.what}: {event.because}")
            case _:
                pass

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody left to watch is no reason to fail
            self._stream.write(text)
            self._stream.flush()
