"""`plumbline apply`: the applier, a process with credentials of its own, for one proposal or until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from agent.changes.applier import INTERVAL, Round, watch
from agent.changes.applier import work as one_round
from agent.changes.applying import apply as apply_plan
from plumbline.changing import applier_engine, doing, open_desk, running
from plumbline.cli import program
from plumbline.outcome import put, say
from plumbline.times import duration
from tools.errors import SettingsError

SHORTEST = 0.5
"""Seconds between rounds at least: each asks the API server for its time."""


def apply(arguments: argparse.Namespace) -> int:
    """Apply one approved proposal, or every one that is, until told to stop."""
    if arguments.watch and arguments.id:
        raise SettingsError("--watch applies whatever is approved", hint="leave the id out, or --watch")
    if arguments.watch:
        return _watching(arguments)
    if not arguments.id:
        raise SettingsError("which proposal?", hint=f"{program()} apply ID, or {program()} apply --watch")
    return doing(arguments, lambda engine, row, _who: apply_plan(engine, row.id))


def _heard(done: Round) -> None:
    """What a round did, one line each."""
    for row in done.moved.values():
        put(f"{row.id} {row.change} {row.target}: {row.state}{f' ({row.note})' if row.note else ''}\n")
    for name, why in done.waiting.items():
        say(why if name in why else f"{name}: {why}")


def _watching(arguments: argparse.Namespace) -> int:
    every = max(duration(arguments.every, "--every"), SHORTEST) if arguments.every else INTERVAL

    async def work() -> int:
        async with open_desk(arguments) as desk, applier_engine(desk) as (engine, _):
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            if arguments.beside:  # the surface that started us may be killed: our stdin ends with it
                asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
            say(f"applier {engine.name} watches {engine.writer.address}")
            if arguments.once:
                _heard(await one_round(engine))
            else:
                await watch(engine, stop=stop, heard=_heard, every=every)
            return 0

    return running(work())
