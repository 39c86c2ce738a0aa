"""The flags of `record`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_record(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    target_flags: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add the command."""
    record = commands.add_parser("record", help="record a cluster into a world, to ask again without it")
    record.add_argument("question", nargs="*", help="a question whose evidence is to be recorded as well")
    record.add_argument("--out", required=True, metavar="FOLDER", help="new folder of the world")
    target_flags(record)
    group = record.add_argument_group("scope")
    group.add_argument(
        "-n", "--namespace", action="append", metavar="NAME", help="only this namespace (repeatable; default: all)"
    )
    group.add_argument("--since", default="1h", metavar="DURATION", help="history of every series at least, such as 6h")
    record.set_defaults(module="plumbline.recording", function="record")
