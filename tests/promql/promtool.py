"""Unit test files of promtool, run on our engine: input series in its notation, recording rules, expected samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from evals.promql.engine import Engine
from evals.promql.memory import MemorySource
from evals.promql.model import NAME, STALE, Labels, Semantics
from evals.promql.vectors import Identity, identity
from evals.world.model import RawSeries
from tools.documents import load_yaml

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
TOLERANCE = 1e-9
_SERIES = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ITEM = re.compile(r"(_|stale|[^x+\s-]+|-[^x+\s-]+|[+-]?Inf)(?:([+-][^x\s]+))?(?:x(\d+))?")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Sample(_Model):
    """One expected sample."""

    labels: str = "{}"
    value: float


class Expectation(_Model):
    """A query and what it must yield at a moment."""

    expr: str
    eval_time: str
    exp_samples: list[Sample] = Field(default_factory=list)


class Input(_Model):
    """One input series."""

    series: str
    values: str


class Case(_Model):
    """One test group: its own series, its own clock from zero."""

    name: str = ""
    interval: str = "1m"
    input_series: list[Input] = Field(default_factory=list)
    promql_expr_test: list[Expectation] = Field(default_factory=list)


class Tests(_Model):
    """A whole test file."""

    rule_files: list[str] = Field(default_factory=list)
    evaluation_interval: str = "1m"
    tests: list[Case]


class Rule(_Model):
    """One recording rule."""

    record: str
    expr: str
    labels: dict[str, str] = Field(default_factory=dict)


class Group(_Model):
    """Rules evaluated one after the other."""

    name: str
    interval: str = ""
    rules: list[Rule]


class Rules(_Model):
    """A rule file."""

    groups: list[Group]


def duration(text: str) -> float:
    """Seconds of a duration such as 1h30m; a bare number is seconds."""
    parts = re.findall(r"(\d+)(ms|[smhdw])", text)
    return sum(int(number) * UNITS[unit] for number, unit in parts) if parts else float(text)


def labels_of(text: str) -> Labels:
    """The labels of a series as written; a metric name becomes __name__. Raises ValueError."""
    match = _SERIES.fullmatch(text)
    if match is None:
        raise ValueError(f"not a series: {text!r}")
    labels = {NAME: match[1]} if match[1] else {}
    position, inner = 0, match[2] or ""
    while position < len(inner):
        pair = _LABEL.match(inner, position)
        if pair is None:
            raise ValueError(f"not labels: {inner[position:]!r}")
        labels[pair[1]] = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), pair[2])
        position = pair.end()
    return labels


def values_of(text: str) -> list[float | None]:
    """The samples of promtool's notation: `1 2 _ stale 0+10x5 8x60 _x3`; None is a missing sample."""
    out: list[float | None] = []
    for item in text.split():
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"not a sample: {item!r}")
        first, step, times = match.groups()
        if first == "_":
            out += [None] * int(times or 1)
            continue
        start = STALE if first == "stale" else float(first)
        out += [start + float(step or 0) * i if step else start for i in range(int(times or 0) + 1)]
    return out


@dataclass
class Bench:
    """A source under test: input series and what the rules have recorded so far."""

    source: MemorySource = field(default_factory=MemorySource)
    recorded: dict[Identity, tuple[list[float], list[float]]] = field(default_factory=dict)

    def load(self, case: Case) -> None:
        """Add the input series of a case."""
        interval = duration(case.interval)
        for given in case.input_series:
            points = [(i * interval, v) for i, v in enumerate(values_of(given.values)) if v is not None]
            self.source.add(RawSeries(labels_of(given.series), [t for t, _ in points], [v for _, v in points]))

    def append(self, labels: Labels, at: float, value: float) -> None:
        """One more sample of a recorded series."""
        key = identity(labels)
        if key not in self.recorded:
            self.recorded[key] = ([], [])
            self.source.add(RawSeries(labels, *self.recorded[key]))
        times, values = self.recorded[key]
        times.append(at)
        values.append(value)


def run_case(case: Case, rules: list[Group], interval: float, semantics: Semantics) -> Iterator[str]:
    """The failures of one case, each as a line of text."""
    bench = Bench()
    bench.load(case)
    engine = Engine(bench.source, semantics=semantics, subquery_step=interval)
    last = max((duration(test.eval_time) for test in case.promql_expr_test), default=0.0)
    for group in rules:
        _evaluate(bench, engine, group, duration(group.interval) if group.interval else interval, last)
    for test in case.promql_expr_test:
        wanted = {identity(labels_of(sample.labels)): sample.value for sample in test.exp_samples}
        answer = engine.instant(test.expr, duration(test.eval_time))
        got = {identity(labels): points[0][1] for labels, points in answer.series}
        if not same(wanted, got):
            yield f"{case.name}: {test.expr} at {test.eval_time}: want {wanted}, got {got}"


def _evaluate(bench: Bench, engine: Engine, group: Group, interval: float, last: float) -> None:
    before: dict[str, dict[Identity, Labels]] = {}
    for step in range(int(last / interval) + 1):
        at = step * interval
        for rule in group.rules:
            now: dict[Identity, Labels] = {}
            for labels, points in engine.instant(rule.expr, at).series:
                full = {**labels, **rule.labels, NAME: rule.record}
                now[identity(full)] = full
                bench.append(full, at, points[0][1])
            for key, labels in before.get(rule.record, {}).items():
                if key not in now:
                    bench.append(labels, at, STALE)
            before[rule.record] = now


def same(wanted: dict[Identity, float], got: dict[Identity, float]) -> bool:
    """True when both have the same series, with values equal to 1e-9."""
    return wanted.keys() == got.keys() and all(close(value, got[key]) for key, value in wanted.items())


def close(a: float, b: float) -> bool:
    """Equal to 1e-9, relative to the larger or absolute below 1; NaN equals NaN."""
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def read_tests(text: str, name: str) -> Tests:
    """A unit test file."""
    return Tests.model_validate(load_yaml(text, name=name))


def read_rules(text: str, name: str) -> list[Group]:
    """The groups of a rule file."""
    return Rules.model_validate(load_yaml(text, name=name)).groups
