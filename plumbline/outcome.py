"""What becomes of a sub-command: an exit code and, when it went wrong, one line that says what to do."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

from agent.render.document import clean
from agent.settings import default_state_dir
from plumbline.cli import FAILED, INTERRUPTED, USAGE
from tools.errors import AuditUnavailable, PlumblineError, TargetError, UserError

MAX_LINE = 600
"""Characters of an error line at most."""


def say(text: str) -> None:
    """One line on stderr; a stderr that is gone is no reason to fail."""
    with contextlib.suppress(OSError):
        print(f"plumbline: {clean(text)[:MAX_LINE]}", file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Data on stdout. A reader that went away (`| head`) is no error; a full disk is. Raises TargetError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        raise TargetError(f"cannot write the output: {error.strerror}", hint="free space, or write elsewhere") from None


def _silence() -> None:
    """Send what is left in the buffer nowhere, so that the interpreter does not complain on its way out."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def guarded(arguments: argparse.Namespace) -> int:
    """Import and run a sub-command; every way it can end becomes an exit code."""
    try:
        return int(getattr(_imported(arguments.module), arguments.function)(arguments))
    except (UserError, AuditUnavailable) as error:
        say(str(error))
        return USAGE
    except PlumblineError as error:
        say(str(error))
        return FAILED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _silence()
        return 0
    except Exception as error:
        _report(error, verbose=getattr(arguments, "verbose", False))
        return FAILED


def _imported(name: str) -> ModuleType:
    """Import a sub-command without looking for garbage meanwhile: that costs a fifth of the start and finds none."""
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _report(error: Exception, *, verbose: bool) -> None:
    """Tell of a bug in one line; the traceback goes to a file, and to stderr where it was asked for. All redacted."""
    from tools.redact import Redactor

    redactor = Redactor(os.urandom(32))
    text, _ = redactor.text("".join(traceback.format_exception(error)))
    if verbose:
        sys.stderr.write(text)
    said, _ = redactor.text(f"a bug: {type(error).__name__}: {error}")
    say(said[:300] + _kept(text))


def _kept(text: str) -> str:
    """Keep a report in the state directory; says where."""
    try:
        directory = Path(os.environ.get("PLUMBLINE_STATE_DIR") or default_state_dir())
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"crash-{int(time.time())}-{os.getpid()}.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return ""
    return f" (traceback kept in {path})"
