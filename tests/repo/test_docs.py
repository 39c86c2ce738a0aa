"""The documentation is true: links resolve, what is made from the code is current, nothing is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent import diagnosers
from evals import scenario_docs
from tests.repo.generated import PARTS, ROOT, SCHEMA, contract, filled
from tests.repo.test_house_style import name

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|`|\s)plumbline ((?:world |audit )?[a-z]+)")


def slugs(page: Path) -> set[str]:
    """Anchors of a page: its own, and those GitHub makes of headings."""
    text = page.read_text(encoding="utf-8")
    found = set(re.findall(r'<a id="([\w-]+)">', text))
    for heading in re.findall(r"(?m)^#+ (.+)$", text):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in slugs(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_and_commands_named_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:agent|tools|evals|plumbline|prompts|tests|docs|tui)/[\w./-]*\w/?)`", text):
        if not re.search(r"NAME|FAMILY|NNNN|_app", path):
            assert (ROOT / path).exists(), f"{path} is not there"
    from plumbline.cli import parser

    known = parser().format_help()
    for command in COMMAND.findall(re.sub(r"<!-- \w+ -->.*?<!-- /\w+ -->", "", text, flags=re.DOTALL)):
        assert re.search(rf"(?m)^ +{command.split()[0]}\b", known), f"there is no command {command}"


@pytest.mark.parametrize("file", PARTS)
def test_generated_parts_are_current(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert text == filled(text, PARTS[file]), f"{file} is stale: run `make docs`"


@pytest.mark.parametrize("page", scenario_docs.pages(), ids=name)
def test_generated_pages_are_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == scenario_docs.pages()[page], f"{name(page)} is stale: run `make docs`"


def test_every_cause_has_its_row() -> None:
    text = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    for cause in diagnosers.load():
        assert re.search(rf"(?m)^\| \[{cause}\]", text), f"{cause} has no row"


def test_every_cause_has_worlds_where_it_is_right_and_one_where_it_is_silent() -> None:
    from evals.scenario import load_all

    scenarios = load_all("*")
    for cause in diagnosers.load():
        right = {s.name for s in scenarios if s.expect.cause == cause}
        silent = {s.name for s in scenarios if cause in s.expect.must_not_claim}
        assert len(right) >= 2, f"{cause} is shown right in {sorted(right)} only"
        assert silent, f"{cause} has no near neighbour in which it must stay silent"


OPTIONAL = {"/explanation", "/disputed", "/notes", "/drafts", "/properties/usage/model"}
"""Fields that stand only where a language model was asked."""


def test_the_schema_forbids_what_it_does_not_name_and_explains_what_it_does() -> None:
    def walk(node: object, path: str) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node.get("additionalProperties") is False, path
                always = {key for key in node["properties"] if f"{path}/{key}" not in OPTIONAL}
                assert set(node["required"]) == always, path
            for key, child in node.get("properties", {}).items():
                assert child.get("description"), f"{path}.{key} is not explained"
            for key, child in node.items():
                walk(child, f"{path}/{key}")

    walk(json.loads(SCHEMA.read_text(encoding="utf-8")), "")
    table = contract()
    for field in (
        "apiVersion",
        "findings[].refs[].value",
        "ruledOut[].because",
        "evidence[].observedAt",
        "usage.seconds",
    ):
        assert f"| `{field}` |" in table


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 80


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24])
    assert "make demo" in first
    assert "make test" in first


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"(?m)^\.PHONY: (.+)$", text)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"(?m)^{target}:.*## \S", text), f"{target} has no help"
    assert {"setup", "demo", "test", "prove", "lint", "types", "eval", "bench", "docs", "check"} <= set(
        phony[1].split()
    )


def test_ci_runs_what_people_run() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for step in ("make inspect", "make test", "lint", "types", "eval", "demo"):
        assert step in script
    assert "set -euo pipefail" in script
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_examples_of_settings_are_valid(tmp_path: Path) -> None:
    from agent.settings import load_settings

    found = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    path = tmp_path / "config.toml"
    path.write_text(found[1])
    settings = load_settings({}, {"PLUMBLINE_CONFIG": str(path)})
    assert settings.teams["search"] == ("search", "search-staging")
