"""Prompts are substituted strictly, and every one that ships is well formed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prompts
from prompts import Prompt, PromptError, load, names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one prompt."""
    (tmp_path / "greet-all.md").write_text("Hello {{who}}, this is {{me}}. {not one} $neither\n")
    return tmp_path


def test_values_go_where_they_belong(folder: Path) -> None:
    prompt = load("greet-all", folder)
    assert prompt.wants == {"who", "me"}
    assert prompt.render({"who": "you", "me": "us"}) == "Hello you, this is us. {not one} $neither\n"


@pytest.mark.parametrize("values", [{}, {"who": "x"}, {"who": "x", "me": "y", "more": "z"}])
def test_too_few_or_too_many_values_are_an_error(folder: Path, values: dict[str, str]) -> None:
    with pytest.raises(PromptError, match="greet-all"):
        load("greet-all", folder).render(values)


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_is_put_in_is_never_looked_at_again(one: str, two: str) -> None:
    prompt = Prompt("p", "<{{a}}|{{b}}>")
    assert prompt.render({"a": one, "b": two}) == f"<{one}|{two}>"
    assert prompt.render({"a": "{{b}}", "b": "\\1"}) == "<{{b}}|\\1>"


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", "A", "greet_all", "greet-all.md", "-", "a--b", "x\n"])
def test_a_name_is_a_name_and_no_path(folder: Path, name: str) -> None:
    with pytest.raises(PromptError, match="no name of a prompt"):
        load(name, folder)


def test_an_unknown_prompt_names_the_known_ones(folder: Path) -> None:
    with pytest.raises(PromptError, match="greet-all"):
        load("greet", folder)


@pytest.mark.parametrize("text", ["{{Who}}", "{{ who }}", "{{who}", "}}", "{{}}"])
def test_a_stray_brace_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.md").write_text(text)
    with pytest.raises(PromptError, match="stray"):
        load("odd", tmp_path)


def test_the_digest_follows_every_byte(tmp_path: Path) -> None:
    assert Prompt("a", "x").digest != Prompt("a", "x ").digest
    assert Prompt("a", "x").digest == Prompt("b", "x").digest


def test_every_prompt_that_ships_loads() -> None:
    for name in names():
        assert load(name).text.strip()
    assert {path.name for path in prompts.FOLDER.iterdir() if path.is_file()} == {
        "__init__.py",
        *(f"{name}.md" for name in names()),
    }
