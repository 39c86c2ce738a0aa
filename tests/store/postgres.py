"""A Postgres of the distribution's own package, started for the tests on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path("/usr/lib/postgresql")
USER = "postgres"
"""Postgres refuses to run as root: the package's own user runs it then."""


def binaries() -> Path | None:
    """The folder of the newest installed server; None without one."""
    found = sorted(PACKAGE.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found or (os.geteuid() == 0 and shutil.which("setpriv") is None):
        return None
    return found[-1].parent


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """The address of an empty database; the server ends with the block."""
    with tempfile.TemporaryDirectory(prefix="plumbline-pg-") as folder:
        data = Path(folder, "data")
        prefix: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
            prefix = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
        command = [*prefix, str(programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-N", "--no-locale"]
        _run([*command, "-E", "UTF8"], folder)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        _run([*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "30", "-o", options, "start"], folder)
        try:
            yield f"host={folder} user={USER} dbname=postgres"
        finally:
            _run([*prefix, str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop"], folder)


def _run(command: list[str], folder: str) -> None:
    subprocess.run(
        command, check=True, cwd=folder, timeout=60, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
