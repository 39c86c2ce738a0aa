"""`plumbline eval replay`: walk through a stored sample step by step, or print it."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.render import terminal
from agent.render.document import Document
from agent.settings import load_settings
from evals.replay import steps
from evals.rundir import open_run
from plumbline.asking import colored, columns
from plumbline.outcome import put
from tools.errors import SettingsError

HELP = "Enter: next · b: back · N: step N · a: all the rest · q: quit"


def replayed(arguments: argparse.Namespace) -> int:
    """Show a sample's steps: those asked for, or one after the other on a terminal."""
    found = steps(open_run(Path(arguments.run)).find(arguments.sample))
    color = colored(load_settings({"color": "never" if arguments.no_color else None}))
    if arguments.step is not None:
        if not 1 <= arguments.step <= len(found):
            raise SettingsError(f"there is no step {arguments.step}", hint=f"1 to {len(found)}")
        _show(found, arguments.step - 1, color=color)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        walk(found, color=color)
    else:
        for number in range(len(found)):
            _show(found, number, color=color)
    return 0


def _show(found: Sequence[Document], number: int, *, color: bool) -> None:
    put(f"── {number + 1} of {len(found)} ──\n{terminal.draw(found[number], width=columns(), color=color)}\n")


def walk(found: Sequence[Document], *, color: bool) -> None:
    """One step at a time, as the keyboard says; ends with the last step, with q, or where the input ends."""
    number = 0
    while number < len(found):
        _show(found, number, color=color)
        if number == len(found) - 1:
            return
        word = _asked(f"{HELP} ")
        if word == "q":
            return
        if word == "a":
            for rest in range(number + 1, len(found)):
                _show(found, rest, color=color)
            return
        if word.isdecimal() and 1 <= int(word[:6]) <= len(found):
            number = int(word[:6]) - 1
        else:
            number = max(0, number - 1) if word == "b" else number + 1


def _asked(prompt: str) -> str:
    with contextlib.suppress(EOFError):
        return input(prompt).strip().casefold()
    return "q"
