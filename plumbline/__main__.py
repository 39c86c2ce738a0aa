"""Puts our folders first on sys.path, so that nothing installed beside us can stand in for them, and starts."""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run the command line; returns the exit code."""
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here / "_app" if (here / "_app").is_dir() else here.parent))
    from plumbline import cli, environment

    environment.scrub(os.environ)
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
