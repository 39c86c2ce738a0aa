"""`plumbline eval import`: a folder of files becomes a world and a scenario, and a word on what is not in them."""

from __future__ import annotations

import argparse
from pathlib import Path

from evals.importing.importer import Imported, import_case
from plumbline.cli import program
from plumbline.outcome import put, say
from plumbline.recording import left_out
from tools.errors import SettingsError


def imported(arguments: argparse.Namespace) -> int:
    """Import, and say what was left out."""
    out = Path(arguments.out)
    try:
        done = import_case(Path(arguments.case), out.absolute())
    except OSError as error:
        raise SettingsError(f"cannot import to {out}: {error.strerror}", hint="name another folder") from None
    put(_told(done, out))
    if done.expect.told:
        say(f"no answer is right before {out / done.scenario.name} says which cause it is: expect.cause")
    return 0


def _told(done: Imported, out: Path) -> str:
    name, world = done.scenario.stem, done.world
    lines = [
        f"{out / name}: {world.objects:,} objects, {world.series:,} series with {world.samples:,} samples, "
        f"{world.logs} logs; {world.redacted:,} values redacted",
        *left_out(world.left_out, str(out / name)),
        f'ask it with: {program()} ask --world {_path(out / name)} "what changed?"',
        f"grade it with: {program()} eval --scenarios {out} {name}",
    ]
    return "\n".join(lines) + "\n"


def _path(folder: Path) -> str:
    text = str(folder)
    return text if "/" in text else f"./{text}"
