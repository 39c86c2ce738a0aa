"""Adding a tool is adding one file, its policy rule and its row in docs/tools.md: nothing less."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from tools import registry
from tools.policy import default_policy
from tools.types import Mode, Principal, ToolSpec

ROOT = Path(__file__).parents[2]
TOOLS = registry.load()
PERSON = Principal(source="cli", user="ann", established="world")
MODES: tuple[Mode, ...] = ("incident", "propose", "apply")


def test_every_file_is_a_tool_of_its_own_name() -> None:
    files = [p.stem for part in ("read", "write") for p in (ROOT / "tools" / part).glob("*.py") if p.stem != "__init__"]
    assert sorted(files) == sorted(TOOLS)


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_policy_rule_could_allow_it(name: str) -> None:
    tool, policy = TOOLS[name], default_policy()
    modes = MODES if tool.effect == "read" else ("apply",)
    assert all(policy.could_allow(tool.effect, tool.touches, PERSON, mode) for mode in modes)
    if tool.effect == "write":
        assert not any(policy.could_allow("write", tool.touches, PERSON, mode) for mode in ("incident", "propose"))


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_it_has_its_row_in_the_docs(name: str) -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", (ROOT / "docs/tools.md").read_text("utf-8"), re.MULTILINE)
    assert dict(rows).get(name) == TOOLS[name].summary


def test_the_docs_name_no_tool_that_is_not_there() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/tools.md").read_text("utf-8"), re.MULTILINE)
    assert rows == sorted(TOOLS)


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_model_cannot_send_it_unbounded_arguments(name: str) -> None:
    schema = TOOLS[name].args.model_json_schema()
    assert schema.get("additionalProperties") is False
    for field, rule in schema.get("properties", {}).items():
        for one in rule.get("anyOf", [rule]):
            assert bounded(one), f"{field}: {one}"


def bounded(rule: dict[str, object]) -> bool:
    """True for a JSON Schema that admits no endless value."""
    match rule.get("type"):
        case "string":
            return "pattern" in rule or "maxLength" in rule
        case "integer" | "number":
            return "maximum" in rule or "exclusiveMaximum" in rule
        case "boolean" | "null":
            return True
        case _:
            return False


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_no_argument_names_where_a_request_goes(name: str) -> None:
    words = re.compile(r"url|host|port|header|path|token|server|endpoint", re.IGNORECASE)
    assert not [field for field in TOOLS[name].args.model_fields if words.search(field)]


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_it_sees_ports_and_types_and_no_client(name: str) -> None:
    module = inspect.getmodule(TOOLS[name].read)
    assert module is not None
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    banned = (
        "tools.kube",
        "tools.prom.",
        "tools.gate",
        "tools.policy",
        "tools.audit",
        "tools.read.",
        "kubernetes",
        "aiohttp",
    )
    assert not [module_name for module_name in imported if module_name.startswith(banned)]


def fits(tool: ToolSpec[BaseModel]) -> bool:
    """A summary is one sentence a model can choose by."""
    return tool.summary.endswith(".") and "\n" not in tool.summary and len(tool.summary) <= 120


def test_summaries_are_one_short_sentence() -> None:
    assert [tool.name for tool in TOOLS.values() if not fits(tool)] == []
