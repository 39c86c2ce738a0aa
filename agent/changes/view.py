"""The approval view: a plan in words, a pure function of its bytes.

Rules: every byte of a plan shows, in one spelling; prose of an author never stands in here, it has a box of its own;
nothing is left out or shortened, so two plans that differ never look the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from agent.changes.patches import FieldChange, FieldValue
from agent.changes.plans import Plan, Verification
from agent.render.document import Document, Line, Span
from tools.changes import PLAN_ANNOTATION
from tools.fields import rfc3339

TIERS = {
    "A": "A: small, and undone at once",
    "B": "B: risky, pods are replaced or taken away",
    "C": "C: risky, shared by others",
    "D": "D: risky, a whole node",
}
LABEL = 13
OWN_SIGNS = "→×–±"
"""Signs of our own predictions that are shown as they are; everything else beyond ASCII is spelled out."""


def approval_view(plan: Plan) -> Document:
    """Everything that is approved."""
    document = Document()
    document.head(Span(plan.proposal, "cause"), Span("  "), Span(f"{plan.change} {plan.target}", "strong"), lead="")
    for label, line in _lines(plan):
        document.blocks.append(_line(label, line))
    return document


def as_text(plan: Plan) -> str:
    """The same, line by line."""
    return "".join(
        f"{label.ljust(LABEL)}{line}\n" for label, line in [("proposal", _text(plan.proposal)), *_lines(plan)]
    )


def _line(label: str, line: str) -> Line:
    return Line((Span(f"{label.ljust(LABEL)}{line}"),), whole=True)


def _lines(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.undoes:
        yield "undoes", f"{_text(plan.undoes)}, which was the change below"
    yield "change", f"{_text(plan.change)} {_json(plan.args)}"
    yield "object", f"{_json(plan.target.model_dump(mode='json'))} generation {_json(plan.generation)}"
    yield "cluster", _text(plan.cluster)
    yield from _labelled("field", [_change(change) for change in plan.dry_run])
    yield from _labelled("holds while", [_bound(value) for value in plan.before])
    yield "patch", f"{_json(plan.patch)} and annotation {PLAN_ANNOTATION}"
    yield "undo", _json(plan.inverse)
    yield from _labelled("predicted", [_text(line) for line in plan.predicted] or ["nothing"])
    yield "reach", _json(plan.blast.model_dump(mode="json"))
    yield "tier", TIERS[plan.tier]
    yield from _labelled(
        "verified by", [checked(one) for one in plan.verification] or ["nothing: a person has to look"]
    )
    yield from _labelled("asked by", [_text(one) for one in plan.requesters])
    yield "expires", f"{rfc3339(plan.expires)} ({plan.expires!r}), by the API server's clock"
    yield "policy", f"{_text(plan.policy)}, plan version {plan.version}"
    yield "nonce", _text(plan.nonce)
    yield "digest", plan.digest


def _labelled(label: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        yield (label if number == 0 else ""), line


def _change(change: FieldChange) -> str:
    before = "nothing" if change.added else _json(change.before)
    after = "nothing" if change.removed else _json(change.after)
    return f"{_json([*change.path])}: {before} → {after}"


def _bound(value: FieldValue) -> str:
    return f"{_json([*value.path])} is {_json(value.value) if value.present else 'absent'}"


def checked(one: Verification) -> str:
    """One check in words."""
    what = (
        f"query {_text(one.query)}" if one.query else f"condition {_text(one.condition)}" if one.condition else "field "
    )
    where = _json([*one.field]) if one.field else ""
    when = f"from {one.settle:g} s after the write, for {one.window:g} s"
    return f"{what}{where} {one.comparator} {_json(one.bound)}, {when}"


def _text(line: str) -> str:
    """Text of ours, and still written so that it cannot pretend to be another line."""
    text = _json(line)[1:-1]
    for sign in OWN_SIGNS:
        text = text.replace(json.dumps(sign)[1:-1], sign)
    return text


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(", ", ": "))
