"""`plumbline eval import`: a folder of files becomes a world and a scenario, and a word on what is not in them."""

from __future__ import annotations

import argparse
from pathlib import Path

from evals.importing.importer import import_case
from plumbline.cli import program
from plumbline.outcome import put, say
from plumbline.recording import told
from tools.errors import SettingsError


def imported(arguments: argparse.Namespace) -> int:
    """Import, and say what was left out."""
    out = Path(arguments.out)
    try:
        done = import_case(Path(arguments.case), out.absolute())
    except OSError as error:
        raise SettingsError(f"cannot import to {out}: {error.strerror}", hint="name another folder") from None
    grade = f"grade it with: {program()} eval --scenarios {out} {done.scenario.stem}"
    put("\n".join([*told(done.world, str(out / done.scenario.stem)), grade]) + "\n")
    if done.expect.told:
        say(f"no answer is right before {out / done.scenario.name} says which cause it is: expect.cause")
    return 0
