"""The parts of the documentation that are made from the code: `make docs` writes them, test_docs.py holds them to it.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; the rest of the file is written by people.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from evals import scenario_docs
from tools import fields

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "schema" / "diagnosis.schema.json"
Make: TypeAlias = Callable[[], str]


def demo() -> str:
    """What `plumbline demo` prints, on a fresh state directory and without a terminal."""
    with tempfile.TemporaryDirectory() as state:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
        done = subprocess.run(
            [sys.executable, "-m", "plumbline", "demo"],
            cwd=ROOT,
            env={**plain, "PLUMBLINE_STATE_DIR": state},
            capture_output=True,
            text=True,
            timeout=60,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer = re.sub(r"\d+\.\d s · playbook", "1.0 s · playbook", done.stdout.partition("\nTry next")[0])
    return f"```\n{answer}```"


def graph() -> str:
    """The graph of a run, from the tables in agent/graph.py."""
    from agent.graph import diagram

    return f"```mermaid\n{diagram().strip()}\n```"


def layers() -> str:
    """The layers, from the import-linter contract that holds them."""
    import tomllib

    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = fields.items(document, "tool", "importlinter", "contracts")
    (stack,) = (fields.texts(contract, "layers") for contract in contracts if contract["type"] == "layers")
    return "```\n" + "\n".join(stack) + "\n```"


def commands() -> str:
    """Every command and flag, from the parser itself."""
    from plumbline.cli import parser

    return "\n".join(_command(parser()))


def _command(parser: argparse.ArgumentParser, about: str = "") -> Iterator[str]:
    actions = [a for a in parser._actions if a.dest != "help" and a.help != argparse.SUPPRESS]
    below = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    words = " ".join(str(a.metavar or a.dest.upper()) for a in actions if not a.option_strings and a not in below)
    if not below:
        yield f"\n### `{parser.prog}{' ' + words if words else ''}`\n"
        yield f"{about[:1].upper()}{about[1:]}.\n"
    flags = [action for action in actions if action.option_strings]
    if flags and not below:
        yield "| flag | what |\n|---|---|"
        yield from (_flag(action) for action in flags)
    for action in below:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, child in action.choices.items():
            yield from _command(child, helps.get(name, ""))


def _flag(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    value = "" if action.nargs == 0 else f" {action.metavar or choices}"
    spelled = ", ".join(f"`{name}{value}`" for name in action.option_strings)
    default = action.default if action.default not in (None, False, "", 0, argparse.SUPPRESS) else None
    text = (action.help or "") + (f" (default: {default})" if default and "default" not in (action.help or "") else "")
    return f"| {spelled.replace('|', chr(92) + '|')} | {text} |"


def settings() -> str:
    """Every setting, from the source of agent/settings.py: name, default, meaning."""
    import ast

    from agent.settings import ENVIRONMENT, TABLES, Settings

    tree = ast.parse((ROOT / "agent" / "settings.py").read_text())
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    meanings: dict[str, str] = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            meanings[field.target.id] = str(ast.literal_eval(text.value))
    rows = ["| key | variable | meaning |", "|---|---|---|"]
    for name in Settings.model_fields:
        if name != "sources":
            variable = "" if name in TABLES else f"`{ENVIRONMENT}{name.upper()}`"
            rows.append(f"| `{name}` | {variable} | {meanings[name].split(chr(10))[0]} |")
    return "\n".join(rows)


def change_settings() -> str:
    """The table `changes` of the settings, from its source."""
    import ast

    tree = ast.parse((ROOT / "agent" / "changes" / "settings.py").read_text())
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "ChangeSettings")
    rows = ["| key | meaning |", "|---|---|"]
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            rows.append(f"| `{field.target.id}` | {str(ast.literal_eval(text.value)).split(chr(10))[0]} |")
    return "\n".join(rows)


def states() -> str:
    """What may follow what, from the table in agent/changes/states.py."""
    from agent.changes.states import diagram

    return f"```mermaid\n{diagram().strip()}\n```"


def contract() -> str:
    """Every field of `-o json`, from the JSON Schema."""
    schema: JsonValue = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *_fields(schema, "", schema)])


def _fields(node: JsonValue, path: str, root: JsonValue) -> Iterator[str]:
    target = _resolved(node, root)
    if path:
        meaning = fields.text(node, "description") or fields.text(target, "description")
        yield f"| `{path}` | {_type(target)} | {meaning} |"
    for name, child in fields.mapping(target, "properties").items():
        yield from _fields(child, f"{path}.{name}" if path else name, root)
    if fields.mapping(target, "items", "properties"):
        for name, child in fields.mapping(target, "items", "properties").items():
            yield from _fields(child, f"{path}[].{name}", root)


def _resolved(node: JsonValue, root: JsonValue) -> JsonValue:
    reference = fields.text(node, "$ref")
    return fields.dig(root, *reference.removeprefix("#/").split("/")) if reference else node


def _type(node: JsonValue) -> str:
    if choices := fields.texts(node, "enum"):
        return " \\| ".join(choices)
    if constant := fields.text(node, "const"):
        return f'"{constant}"'
    named = fields.dig(node, "type")
    return " or ".join(map(str, named)) if isinstance(named, list) else str(named or "any")


PARTS: dict[str, dict[str, Make]] = {
    "README.md": {"demo": demo},
    "docs/architecture.md": {"layers": layers, "graph": graph},
    "docs/changes.md": {"states": states, "settings": change_settings},
    "docs/cli.md": {"commands": commands, "settings": settings, "contract": contract},
}
"""File → part → how it is made."""


def filled(text: str, parts: dict[str, Make]) -> str:
    """The text with its parts made again. Raises ValueError when a marker is missing."""
    for name, make in parts.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"there must be exactly one part {name}")
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = rest.partition(f"<!-- /{name} -->")[2]
        text = f"{before}<!-- {name} -->\n{make().strip(chr(10))}\n<!-- /{name} -->{after}"
    return text


def main() -> None:
    """Write everything again."""
    scenario_docs.main()
    for file, parts in PARTS.items():
        path = ROOT / file
        path.write_text(filled(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
