"""Each outside library has one home; the layers hold."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.repo.test_house_style import PACKAGES, ROOT, name, sources

HOMES: dict[str, tuple[str, ...]] = {
    "kubernetes": ("tools/kube/",),
    "certifi": ("tools/kube/",),
    "multidict": ("tools/kube/", "evals/servers/kube/"),
    "yarl": ("tools/kube/",),
    "prometheus_api_client": ("tools/prom/",),
    "requests": ("tools/prom/", "agent/telemetry/sdk.py"),
    "opentelemetry": ("agent/telemetry/sdk.py",),
    "httpx2": ("agent/llm/",),
    "anyio": ("agent/llm/transport.py",),
    "vcr": ("evals/cassettes.py",),
    "urllib3": ("tools/prom/",),
    "promql_parser": ("tools/", "evals/promql/", "evals/servers/prom/"),
    "openai": ("agent/llm/",),
    "langgraph": ("agent/graph.py", "agent/nodes.py", "agent/session.py", "agent/app.py", "agent/store/"),
    "ormsgpack": ("agent/store/",),
    "aiosqlite": ("agent/store/",),
    "textual": ("tui/",),
    "aiohttp": ("tools/kube/", "evals/servers/", "evals/bench/"),
    "aiohttp.web": ("evals/servers/",),
    "yaml": ("tools/documents.py", "tools/yamledit.py", "agent/render/contract.py", "evals/servers/kube/views.py"),
    "pydantic": ("",),
}
"""Library → the only places that may import it. pydantic is the language of the types and lives everywhere."""
OURS = {*PACKAGES, "tests"}


def imported(path: Path) -> set[str]:
    """Dotted names a file imports; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def outside(names: set[str]) -> set[str]:
    return {n for n in names if n.partition(".")[0] not in OURS | sys.stdlib_module_names}


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name)
def test_libraries_stay_at_home(path: Path) -> None:
    for found in outside(imported(path)):
        home = HOMES.get(found) or HOMES.get(found.partition(".")[0])
        assert home is not None, f"{found} has no home: give it one in HOMES and say why in a decision record"
        assert name(path).startswith(home), f"{found} lives in {', '.join(home)}"


def test_a_library_outside_its_home_would_be_noticed(tmp_path: Path) -> None:
    stray = tmp_path / "stray.py"
    stray.write_text("from aiohttp import web\nimport json\nfrom agent.types import Cause\n")
    assert outside(imported(stray)) == {"aiohttp", "aiohttp.web"}


def test_relative_imports_are_not_used() -> None:
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), name(path)


def test_the_layers_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS
