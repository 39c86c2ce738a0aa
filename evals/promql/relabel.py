"""label_replace, label_join, and the labels of absent(): all label work, done once a series, never once a step.

Rule: regular expressions are RE2's; what Python's engine would read differently is refused, not guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache

import promql_parser as pp

from evals.promql import nodes as n
from evals.promql.model import NAME, BadData, ExecutionError, Labels, Vector, escaped
from evals.promql.vectors import merged

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TEMPLATE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def replace_label(vector: Vector, dst: str, replacement: str, src: str, pattern: str) -> Vector:
    """label_replace: where `pattern` matches the whole of `src`, `dst` becomes the expanded replacement."""
    regex = compile_regex(pattern)
    _check_label(dst, "label_replace", "destination")
    out: Vector = []
    for labels, row in vector:
        match = regex.fullmatch(labels.get(src, ""))
        out.append((labels if match is None else _with(labels, dst, _expand(match, replacement)), row))
    return merged(out)


def join_labels(vector: Vector, dst: str, separator: str, sources: list[str]) -> Vector:
    """label_join: `dst` becomes the values of `sources` with the separator between them."""
    for source in sources:
        _check_label(source, "label_join", "source")
    _check_label(dst, "label_join", "destination")
    return merged(
        (_with(labels, dst, separator.join(labels.get(source, "") for source in sources)), row)
        for labels, row in vector
    )


def absent_labels(node: n.Node) -> Labels:
    """The labels absent() can know: those with one equality matcher and no later matcher of any kind."""
    if isinstance(node, n.Window):
        node = node.selector
    if not isinstance(node, n.Selector):
        return {}
    labels: Labels = {}
    seen: set[str] = set()
    for matcher in node.matchers:
        if matcher.label == NAME:
            continue
        if matcher.op == "=" and matcher.label not in seen:
            seen.add(matcher.label)
            labels[matcher.label] = matcher.value
        else:
            labels.pop(matcher.label, None)
    return {label: value for label, value in labels.items() if value}


def valid_label(name: str) -> bool:
    """True for a classic label name."""
    return _LABEL.fullmatch(name) is not None


@lru_cache(maxsize=512)
def compile_regex(pattern: str) -> re.Pattern[str]:
    """An RE2 pattern for Python's engine. Raises BadData where it is malformed or the two would disagree."""
    try:
        # The query parser checks matchers with an RE2-like engine: no look-around, no back references.
        pp.parse(f'x{{a=~"{escaped(pattern)}"}}')
        if "[[:" in pattern:
            raise re.error("POSIX character classes are not supported here")
        return re.compile(pattern, re.ASCII | re.DOTALL)
    except (ValueError, re.error) as error:
        raise BadData(f"invalid or unsupported regular expression {pattern!r}: {error}") from None


def _with(labels: Labels, name: str, value: str) -> Labels:
    changed = labels.copy()
    if value:
        changed[name] = value
    else:
        changed.pop(name, None)
    return changed


def _expand(match: re.Match[str], template: str) -> str:
    """The replacement with $1, ${name} and $$ filled in; unknown groups are empty."""

    def fill(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _TEMPLATE.sub(fill, template) if "$" in template else template


def _check_label(name: str, function: str, role: str) -> None:
    if not valid_label(name):
        raise ExecutionError(f"invalid {role} label name in {function}(): {name}")
