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
from tools.types import Effect, Mode, Principal, ToolSpec

ROOT = Path(__file__).parents[2]
TOOLS = registry.load()
PERSON = Principal(source="cli", user="ann", established="world")
MODES: tuple[Mode, ...] = ("incident", "propose", "apply")


def test_every_file_is_a_tool_of_its_own_name() -> None:
    for part, effect in (("read", "read"), ("draft", "draft")):
        files = [p.stem for p in (ROOT / "tools" / part).glob("*.py") if p.stem != "__init__"]
        assert sorted(files) == sorted(name for name, tool in TOOLS.items() if tool.effect == effect)


def test_no_tool_writes() -> None:
    assert {tool.effect for tool in TOOLS.values()} == {"read", "draft"}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_policy_rule_could_allow_it(name: str) -> None:
    tool, policy = TOOLS[name], default_policy()
    modes: dict[Effect, tuple[Mode, ...]] = {"read": MODES, "draft": ("propose", "apply"), "write": ()}
    allowed = tuple(mode for mode in MODES if policy.could_allow(tool.effect, tool.touches, PERSON, mode))
    assert allowed == modes[tool.effect]


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_it_has_its_row_in_the_docs(name: str) -> None:
    assert dict(rows_of("# Tools")).get(name) == TOOLS[name].summary


def test_the_docs_name_no_tool_that_is_not_there() -> None:
    assert [name for name, _ in rows_of("# Tools")] == sorted(TOOLS)


def rows_of(heading: str) -> list[tuple[str, str]]:
    """(name, summary) of each row of the table under a heading of docs/tools.md."""
    text = (ROOT / "docs/tools.md").read_text("utf-8")
    part = re.split(r"(?m)^(?=#)", text.partition(f"{heading}\n")[2])[0]
    return re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", part, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_model_cannot_send_it_unbounded_arguments(name: str) -> None:
    schema = TOOLS[name].args.model_json_schema()
    assert schema.get("additionalProperties") is False
    for field, rule in schema.get("properties", {}).items():
        if (name, field) == ("propose_change", "args"):
            continue  # shown short: each change has arguments of its own, bounded as the last test here says
        assert bounded(rule), f"{field}: {rule}"


def bounded(rule: dict[str, object]) -> bool:
    """True for a JSON Schema that admits no endless value."""
    if isinstance(options := rule.get("anyOf"), list):
        return all(bounded(one) for one in options)
    match rule.get("type"):
        case "string":
            return "pattern" in rule or "maxLength" in rule or "enum" in rule
        case "integer" | "number":
            return "maximum" in rule or "exclusiveMaximum" in rule
        case "boolean" | "null":
            return True
        case "array":
            items = rule.get("items")
            return "maxItems" in rule and isinstance(items, dict) and bounded(items)
        case "object":
            fields = rule.get("properties")
            closed = rule.get("additionalProperties") is False and isinstance(fields, dict)
            return closed and isinstance(fields, dict) and all(bounded(field) for field in fields.values())
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


# --- the catalogue of changes ----------------------------------------------------------------------------------


def test_every_file_is_a_change_of_its_own_name() -> None:
    files = [p.stem for p in (ROOT / "tools" / "write").glob("*.py") if p.stem != "__init__"]
    assert sorted(files) == sorted(registry.changes())
    assert not set(registry.changes()) & set(TOOLS)  # a change is never called, only proposed


def test_every_change_has_its_row_in_the_docs() -> None:
    told = {name: change.summary for name, change in registry.changes().items()}
    assert dict(rows_of("## Changes that can be proposed")) == told


def test_every_change_has_arguments_that_its_tests_take_and_refuse() -> None:
    from tests.tools.test_changes import BAD, GOOD

    assert set(GOOD) == set(BAD) == set(registry.changes())
    assert all(len(many) >= 10 for many in BAD.values())


@pytest.mark.parametrize("name", sorted(registry.changes()))
def test_a_change_is_bounded_and_its_drafts_are_allowed_for_every_kind_it_may_touch(name: str) -> None:
    change, policy = registry.changes()[name], default_policy()
    assert bounded(change.args.model_json_schema())
    assert change.summary.endswith(".")
    for kind in change.kinds:
        assert policy.could_allow("draft", (str(kind),), PERSON, "propose")
