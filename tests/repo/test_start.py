"""What starting the command costs: `--help` loads argparse and nothing of ours or of the big libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.repo.test_house_style import ROOT

HEAVY = (
    "langgraph",
    "openai",
    "kubernetes",
    "textual",
    "pydantic",
    "aiohttp",
    "prometheus_api_client",
    "yaml",
    "asyncio",
)
PROBE = """
import sys
sys.argv = ["plumbline", *sys.argv[1:]]
from plumbline.__main__ import main
try:
    code = main()
finally:
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["world", "serve", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "usage: plumbline" in done.stdout
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert "argparse" in loaded
    assert not set(loaded) & {*HEAVY, "agent", "tools", "evals", "tui"}


def test_asking_loads_no_model_client_and_no_screen() -> None:
    code = "import sys, plumbline.asking; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "langgraph" in loaded, done.stderr
    assert not loaded & {"openai", "textual", "evals"}
