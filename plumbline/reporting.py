"""`plumbline eval report`: a stored run as a page, or as a log of Inspect."""

from __future__ import annotations

import argparse
from pathlib import Path

from evals.reports import inspect_log, page
from evals.rundir import RunDir, open_run, write
from plumbline.outcome import put
from tools.errors import SettingsError


def reported(arguments: argparse.Namespace) -> int:
    """Write what is asked for, whole or not at all, and say where it is."""
    if not arguments.html and not arguments.inspect:
        raise SettingsError("nothing to write", hint="name a file with --html, or a folder with --inspect")
    run = open_run(Path(arguments.run))
    try:
        if arguments.html:
            text = page.written(run, engine=_engine(run, arguments.engine), base=arguments.base)
            write(Path(arguments.html), text)
            put(f"{arguments.html}\n")
        if arguments.inspect:
            put("".join(f"{path}\n" for path in inspect_log.write(run, Path(arguments.inspect))))
    except OSError as error:
        where = arguments.html if not arguments.inspect else f"{arguments.html or ''} {arguments.inspect}".strip()
        raise SettingsError(f"cannot write {where}: {error.strerror}", hint="write elsewhere") from None
    return 0


def _engine(run: RunDir, number: int) -> int:
    if not 1 <= number <= len(run.info.engines):
        raise SettingsError(f"there is no engine {number}", hint=f"1 to {len(run.info.engines)}")
    return number - 1
