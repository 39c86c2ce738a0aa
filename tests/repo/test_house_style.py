"""House style that linters do not know: sizes, names, and what must never stand in the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("plumbline", "agent", "tools", "prompts", "evals", "tui")
MAX_FILE, MAX_FUNCTION = 400, 60


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def tracked() -> list[Path]:
    """Every file of the project as git knows it, or, outside a checkout, every source."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.CalledProcessError):
        return sources(*PACKAGES)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name)
def test_size_and_docstrings(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MAX_FILE, f"{lines} lines"
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no module docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"
            if not node.name.startswith("_") and not _nested(tree, node):
                assert ast.get_docstring(node), f"{node.name} has no docstring"
    assert path.name != "utils.py"


def _nested(tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        function in ast.walk(outer) and outer is not function
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
    )


FORBIDDEN = (
    ("a path of somebody's machine", re.compile(r"(?<![\w.])/(?:work|root|home/\w+|opt/wheels)/")),
    ("a package registry", re.compile(r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs|static\.crates)")),
    ("a private folder", re.compile(r"\.\./(?:shared|\.library)\b")),
)


def test_nothing_of_the_workshop_is_left() -> None:
    for path in tracked():
        if path == Path(__file__) or path.suffix in (".jsonl", ".png"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for what, pattern in FORBIDDEN:
            found = [match.group() for match in pattern.finditer(text)]
            assert not found, f"{name(path)} holds {what}: {found[0]}"


def test_no_boolean_positional_arguments() -> None:
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for argument in node.args.args:
                    annotation = argument.annotation
                    flagged = isinstance(annotation, ast.Name) and annotation.id == "bool"
                    assert not flagged, f"{name(path)}: {node.name}({argument.arg}: bool)"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-inspect.lock"])
def test_the_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = re.findall(r"(?m)^[A-Za-z0-9_.\[\]-]+==[^\s;\\]+", text)
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text


def test_causes_answer_in_the_order_of_their_ids() -> None:
    from agent import diagnosers

    known = diagnosers.load()
    assert list(known) == sorted(known)
    assert {"U00", "U01", "U08", "U13", "U16", "U25", "U35", "D03"} <= set(known)
