"""`plumbline eval report`: a stored run as a page, or as a log of Inspect."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
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
    if arguments.html:
        text = page.written(run, engine=_engine(run, arguments.engine), base=arguments.base)
        with _writing(arguments.html):
            write(Path(arguments.html), text)
        put(f"{arguments.html}\n")
    if arguments.inspect:
        with _writing(arguments.inspect):
            done = inspect_log.write(run, Path(arguments.inspect))
        put("".join(f"{path}\n" for path in done))
    return 0


@contextlib.contextmanager
def _writing(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"cannot write {where}: {error.strerror}", hint="write elsewhere") from None


def _engine(run: RunDir, number: int) -> int:
    if not 1 <= number <= len(run.info.engines):
        raise SettingsError(f"there is no engine {number}", hint=f"1 to {len(run.info.engines)}")
    return number - 1
