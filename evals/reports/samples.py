"""The samples of a run on its page: verdict, grades, the calls over time, and every step."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import islice

from agent.render.answer import answer
from agent.render.html import Part, draw, element, grid
from evals.items import Item
from evals.replay import steps
from evals.reports.charts import Call, timeline
from evals.rundir import RunDir, Sample
from evals.types import Grade
from tools import fields

WHOLE = 200
"""Samples shown with grades, calls and answer, those that failed first and step by step."""
LINES = 2_000
"""Samples that have a line."""
VERDICTS = {"pass": "good", "FAIL": "bad", "error": "warn", "fallback": "warn"}


def samples(run: RunDir, items: Sequence[Item]) -> Iterator[ET.Element]:
    """Each sample in full, as far as there is room; the order is the caller's."""
    yield element("h2", "Samples")
    for item in islice(items, WHOLE):
        yield _sample(run.sample(item), item)
    if rest := items[WHOLE:]:
        failed = sum(item.verdict != "pass" for item in rest)
        told = f"{len(rest)} more samples, {failed} of them not passed, have at most their line here; "
        yield element("p", told + "`plumbline eval replay` shows each step by step.", class_="quiet")
        rows: Iterator[list[Part]] = (
            [element("span", item.verdict, class_=VERDICTS[item.verdict]), item.sample, item.why] for item in rest
        )
        yield grid(("verdict", "sample", "why"), islice(rows, LINES))


def _sample(sample: Sample | None, item: Item) -> ET.Element:
    verdict = element("span", item.verdict, class_=VERDICTS[item.verdict])
    told = f" {item.sample}  ", element("span", " · ".join(_about(item)), class_="quiet")
    made = element("details", element("summary", verdict, *told, f" {item.why}"))
    if item.verdict != "pass":
        made.set("open", "open")
    if sample is None:
        made.append(element("p", "Its file cannot be read.", class_="warn"))
        return made
    made.append(grid(("grader", "", "why"), (_graded(one) for one in sorted(item.grades, key=lambda one: one.passed))))
    calls, length = calls_of(sample)
    if calls:
        made.append(element("h3", "Calls over time"))
        made.append(timeline(f"{len(calls)} tool calls of {item.sample} over {length:.2f} seconds", calls, length))
    if item.verdict != "pass":
        parts = [draw(step) for step in steps(sample)]
        made.append(element("details", element("summary", f"{len(parts)} steps: calls, evidence, answer"), *parts))
    elif sample.result.record.diagnosis is not None:
        made.append(element("h3", "Answer"))
        made.append(draw(answer(sample.result.record.diagnosis)))
    return made


def _about(item: Item) -> list[str]:
    told = [item.expected, f"{item.seconds:.2f} s", ", ".join(item.perturbations)]
    return [text for text in told if text]


def _graded(grade: Grade) -> list[Part]:
    word, kind = ("passed", "good") if grade.passed else ("FAILED", "bad")
    return [grade.grader, element("span", word, class_=kind), grade.detail]


def calls_of(sample: Sample) -> tuple[list[Call], float]:
    """(calls in order, seconds of the whole) by the audit log's clock; calls that were never answered are left out."""
    begun: dict[str, tuple[float, str]] = {}
    calls: list[Call] = []
    first = last = 0.0
    for line in sample.result.record.audit:
        entry = json.loads(line)
        at, body = fields.number(entry, "time") or 0.0, fields.mapping(entry, "body")
        first, last = first or at, max(last, at)
        name = fields.text(body, "evidence")
        if entry.get("kind") == "call" and name:
            begun[name] = (at - first, f"{name} {fields.text(body, 'tool')}")
        elif entry.get("kind") == "outcome" and name in begun:
            start, label = begun[name]
            calls.append(Call(label, start, at - first, fields.text(body, "status")))
    return calls, last - first
