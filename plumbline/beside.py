"""An applier beside a surface (`--with-applier`): started with it, ended with it, also where the surface is killed.

Rules: it is a process of its own with credentials of its own, started before ours locks itself down; a surface follows
its proposals in the ledger, never through the process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from agent.changes.ledger import Ledger
from agent.changes.records import Proposal
from agent.render.document import clean
from tools.errors import SettingsError

START_SECONDS = 60.0
"""How long an applier may take to sign in."""
EVERY = "1s"
"""Time between the rounds of an applier beside a surface: somebody waits for its preview."""
END_SECONDS = 10.0
"""How long an applier may take to end: a write that has begun is brought to its end."""
FOLLOW_SECONDS = 30.0
"""How long a surface waits for the previews of what it has proposed."""
FOLLOW_EVERY = 0.2


@asynccontextmanager
async def applier(arguments: argparse.Namespace, told: Callable[[str], None]) -> AsyncIterator[Process]:
    """An applier that runs as long as the body; `told` gets each line it prints.

    Start it before the process locks itself down. Raises SettingsError where a world is asked about, or where there is
    no applier to be had with those credentials.
    """
    if arguments.world:
        raise SettingsError("--with-applier is for a cluster", hint="serve the world: `plumbline world serve NAME`")
    if arguments.mode == "incident":
        raise SettingsError("--with-applier and --mode incident contradict each other", hint="drop one of the two")
    flags = {
        "kubeconfig": arguments.with_applier,
        "prometheus": arguments.prometheus,
        "request-timeout": arguments.request_timeout,
        "every": EVERY,
    }
    words = [word for name, value in flags.items() if value for word in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "plumbline",
        "apply",
        "--watch",
        "--beside",
        *words,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,  # Ctrl-C is for the surface, which ends it
    )
    try:
        await _started(process, told)
    except SettingsError:
        await _end(process)
        raise
    listening = asyncio.create_task(_listen(process, told))
    try:
        yield process
    finally:
        await _end(process)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _started(process: Process, told: Callable[[str], None]) -> None:
    """Hear what it says until it watches."""
    said = ""
    try:
        async with asyncio.timeout(START_SECONDS):
            while line := await _line(process):
                told(f"applier: {line}")
                if " watches " in line:
                    return
                said = line.removeprefix("plumbline: ")
    except TimeoutError:
        said = f"it did not sign in within {START_SECONDS:.0f} s"
    raise SettingsError(f"--with-applier: {said or 'it ended'}", hint="`plumbline apply --watch` shows the same")


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return clean((await process.stdout.readline()).decode(errors="replace").rstrip())


async def _listen(process: Process, told: Callable[[str], None]) -> None:
    while line := await _line(process):
        told(f"applier: {line}")
    told(f"applier: ended ({await process.wait()})")


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def follow(ledger: Ledger, names: Sequence[str]) -> list[Proposal]:
    """Proposals as they stand once each has been previewed or refused, or when nobody has done so in time."""
    deadline = asyncio.get_running_loop().time() + FOLLOW_SECONDS
    while True:
        rows = [row for name in names for row in ledger.find(name)]
        waiting = any(row.state in ("draft", "previewed") for row in rows)
        if not waiting or asyncio.get_running_loop().time() >= deadline:
            return rows
        await asyncio.sleep(FOLLOW_EVERY)
