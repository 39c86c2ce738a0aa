"""`record`: from a live target to a world folder, and a word on what is not in it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections import Counter
from pathlib import Path

from agent.render.document import clean
from evals.recording.recorder import Wish
from evals.recording.recorder import record as recorded
from evals.recording.writer import LeftOut, Recorded, Written, check_free, write_world
from plumbline.cli import program
from plumbline.outcome import put, say
from plumbline.targets import lock_down, open_target, settings_of, with_metrics
from plumbline.times import duration

SHOWN = 12
"""Things left out that are named on the terminal; all stand in report.json."""


def record(arguments: argparse.Namespace) -> int:
    """Record, write, and say what was left out."""
    folder = Path(arguments.out).absolute()
    check_free(folder)  # before minutes are spent on reading
    wish = Wish(
        question=" ".join(arguments.question).strip(),
        namespaces=tuple(sorted(set(arguments.namespace or ()))),
        since=duration(arguments.since, "--since"),
    )
    found = asyncio.run(_read(arguments, wish, folder))
    put("\n".join(told(write_world(folder, found), arguments.out)) + "\n")
    return 0


async def _read(arguments: argparse.Namespace, wish: Wish, folder: Path) -> Recorded:
    settings = settings_of(arguments)
    async with open_target(arguments, settings) as opened:
        lock_down(settings, *opened.urls, writable=[folder.parent])
        target = await with_metrics(opened)
        if target.prom is None:
            say(f"only objects are recorded: {target.prom_note or 'there is no Prometheus'}")
        task = asyncio.ensure_future(recorded(settings, target, wish))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGINT, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def told(done: Written, out: str) -> list[str]:
    """What a new world holds, what it does not, and how to ask it."""
    return [
        f"{out}: {done.objects:,} objects, {done.series:,} series with {done.samples:,} samples, {done.logs} logs; "
        f"{done.redacted:,} values redacted",
        *_left_out(done.left_out, out),
        f'ask it with: {program()} ask --world {out if "/" in out else f"./{out}"} "what changed?"',
    ]


def _left_out(what: tuple[LeftOut, ...], folder: str) -> list[str]:
    """A line on each thing that a world does not hold, the first few by name."""
    lines = [f"  left out: {clean(one.what)}: {clean(one.why)}" for one in what[:SHOWN]]
    if len(what) > SHOWN:
        lines.append(f"  and {_kinds(what[SHOWN:])} more, all in {folder}/report.json")
    return lines


def _kinds(rest: tuple[LeftOut, ...]) -> str:
    """`3 series, 2 log`: what is not named one by one."""
    counts = Counter(one.what.partition(" ")[0] for one in rest)
    return ", ".join(f"{number} {clean(kind)}" for kind, number in counts.most_common(4))
