"""What becomes of a sub-command: an exit code and, when it went wrong, one line that says what to do."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from agent.render.document import clean
from agent.settings import default_state_dir
from plumbline.cli import FAILED, INTERRUPTED, USAGE
from tools.errors import AuditUnavailable, PlumblineError, UserError


def say(text: str) -> None:
    """One line on stderr."""
    print(f"plumbline: {clean(text)}", file=sys.stderr, flush=True)


def guarded(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a sub-command."""
    try:
        return command(arguments)
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if getattr(arguments, "verbose", False):
            traceback.print_exc()
        say(f"a bug: {type(error).__name__}: {error}"[:300] + _kept(error))
        return FAILED


def _kept(error: BaseException) -> str:
    """Keep the traceback, redacted, in the state directory; says where."""
    from tools.redact import Redactor

    try:
        directory = Path(os.environ.get("PLUMBLINE_STATE_DIR") or default_state_dir())
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"crash-{int(time.time())}-{os.getpid()}.txt"
        text, _ = Redactor(os.urandom(32)).text("".join(traceback.format_exception(error)))
        path.write_text(text, encoding="utf-8")
    except OSError:
        return ""
    return f" (traceback kept in {path})"
