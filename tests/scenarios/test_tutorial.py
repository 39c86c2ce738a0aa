"""docs/adding-a-scenario.md, "In ten minutes": its files written and its commands typed, in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-scenario.md"
FILE = re.compile(r"^`(?P<path>[^`\n]+\.yaml)`:\n\n```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial(tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## In ten minutes")[2].partition("\n## ")[0]
    for step in FILE.finditer(section):
        path = tmp_path / step["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step["text"], encoding="utf-8")
    commands = 0
    for block in TYPED.findall(section):
        for typed in block.removeprefix("$ ").split("\n$ "):
            command, *shown = typed.strip("\n").split("\n")
            name, *words = shlex.split(command)
            assert name == "plumbline"
            commands += 1
            whole = [sys.executable, "-m", "plumbline", *words]
            done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, done
            for line in shown:
                assert line in done.stdout, (command, done.stdout)
    assert commands == 5
