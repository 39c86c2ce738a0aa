"""Label selectors as kubectl's `-l` takes them: equality and set expressions, all of which must hold.

Source: Kubernetes documentation, Labels and Selectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?(/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_VALUE = r"[A-Za-z0-9]?([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_EQUALITY = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==?|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s+\((?P<values>[^()]*)\)")
_EXISTS = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")
LONGEST = 2048
"""Characters of a selector."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression: the label is (or, `negated`, is not) among the values; no values: it exists."""

    key: str
    values: frozenset[str] | None
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """True when the labels satisfy it."""
        present = self.key in labels if self.values is None else labels.get(self.key) in self.values
        return present is not self.negated


def parse(selector: str) -> tuple[Requirement, ...]:
    """The requirements of a selector; none for an empty one. Raises ValueError for anything else."""
    if len(selector) > LONGEST:
        raise ValueError("the selector is too long")
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", selector)] if selector.strip() else []
    return tuple(_requirement(part) for part in parts)


def _requirement(part: str) -> Requirement:
    if found := _EQUALITY.fullmatch(part):
        return Requirement(found["key"], frozenset({found["value"]}), found["op"] == "!=")
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], values, found["op"] == "notin")
    if found := _EXISTS.fullmatch(part):
        return Requirement(found["key"], None, bool(found["no"]))
    raise ValueError(f"{part!r} is no label requirement")


def matches(requirements: tuple[Requirement, ...], labels: Mapping[str, str]) -> bool:
    """True when every requirement holds."""
    return all(requirement.holds(labels) for requirement in requirements)
