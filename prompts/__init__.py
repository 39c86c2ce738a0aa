"""Prompts: Markdown with strict substitution, loaded by name, hashed into every run record.

Rules: a prompt is one file, `NAME.md`, in this folder; a placeholder is `{{name}}` and nothing else is special; a
missing or a superfluous value is an error, never an empty string; what is put in is never looked at again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MAX_BYTES = 64 << 10
"""Longest prompt; the first request to a model has a budget of 4,000 tokens."""
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")


class PromptError(ValueError):
    """A prompt that does not exist, is malformed, or was filled in wrongly: a mistake of ours, never of a user."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as it stands in its file."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes: what a run record keeps to say which words were used."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def wants(self) -> frozenset[str]:
        """Names of its placeholders."""
        return frozenset(_PLACEHOLDER.findall(self.text))

    def render(self, values: Mapping[str, str] | None = None) -> str:
        """The prompt with its placeholders filled. Raises PromptError unless exactly those are given."""
        given = dict(values or {})
        if missing := sorted(self.wants - given.keys()):
            raise PromptError(f"prompt {self.name} wants {', '.join(missing)}")
        if unknown := sorted(given.keys() - self.wants):
            raise PromptError(f"prompt {self.name} has no place for {', '.join(unknown)}")
        return _PLACEHOLDER.sub(lambda found: given[found.group(1)], self.text)


def names(folder: Path = FOLDER) -> list[str]:
    """Names of all prompts."""
    return sorted(path.stem for path in folder.glob("*.md"))


def load(name: str, folder: Path = FOLDER) -> Prompt:
    """The prompt of that name. Raises PromptError."""
    if not _NAME.fullmatch(name):
        raise PromptError(f"{name!r} is no name of a prompt")
    return _read(folder, name)


@cache
def _read(folder: Path, name: str) -> Prompt:
    path = folder / f"{name}.md"
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise PromptError(f"there is no prompt {name}; known are: {', '.join(names(folder)) or 'none'}") from None
    if len(body) > MAX_BYTES:
        raise PromptError(f"prompt {name} is longer than {MAX_BYTES:,} bytes")
    text = body.decode("utf-8")
    if odd := re.search(r"\{\{|\}\}", _PLACEHOLDER.sub("", text)):
        raise PromptError(f"prompt {name} holds a stray {odd.group()}; a placeholder is {{{{lower_case}}}}")
    return Prompt(name, text)
