"""Results as text: a line each and a summary, JSON, JUnit XML.

Rules: a run in which the model could not be used is told apart from a wrong answer and never counts for the model;
a judge's score stands beside the verdict; nothing here holds a key, a header or the body of evidence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import mean, median
from typing import Literal, TypeAlias
from xml.sax.saxutils import quoteattr

from evals.engine import Engine
from evals.types import Result
from tools.types import Frozen, JsonObject

Verdict: TypeAlias = Literal["pass", "FAIL", "error", "fallback"]


class Summary(Frozen):
    """All results in numbers. Tokens, calls and cost are of runs that a model answered."""

    runs: int
    passed: int
    failed: int
    errors: int
    """Runs that could not be made: the machine's fault, not the answer's."""
    fallbacks: int
    """Runs in which a model was set and could not be used."""
    fallbacks_right: int = 0
    """Those of them whose answer, the playbook's, is right."""
    pass_rate: float | None
    """Of the runs that were really answered; None where there is none."""
    seconds: float
    median_calls: float | None = None
    """Tool calls of a run, those of the causes included."""
    median_model_calls: float | None = None
    median_tokens_in: float | None = None
    max_tokens_in: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    counted: bool = True
    """False where some tokens are estimates, because the endpoint reports none."""
    cost: float | None = None
    """None without a price for the model."""
    removed: int = 0
    marked: int = 0
    clarity: float | None = None
    usefulness: float | None = None
    judge_failures: int = 0


def verdict(result: Result) -> Verdict:
    """pass; FAIL; error for what was not the answer's fault; fallback where the model could not be used."""
    if result.record.infrastructure:
        return "error"
    if result.record.fallback:
        return "fallback"
    return "pass" if result.passed else "FAIL"


def why(result: Result) -> str:
    """What is wrong with a result, in one line; "" where nothing is."""
    record = result.record
    if record.failure:
        return record.failure
    failed = [f"{grade.grader}: {grade.detail}" for grade in result.grades if not grade.passed]
    return "; ".join([*([record.fallback] if record.fallback else []), *failed])


def line(result: Result) -> str:
    """One line about one run."""
    record = result.record
    name = record.scenario if record.epoch == 1 else f"{record.scenario} #{record.epoch}"
    spent = ""
    if record.model is not None:
        spent = f"  {record.model.input:6,} in {record.model.output:5,} out {record.model_calls:2} calls"
    if record.judged is not None:
        scores = record.judged
        spent += f"  prose {scores.clarity}/{scores.usefulness}" if not scores.failure else "  prose not scored"
    reason = why(result)
    return f"{verdict(result):8} {name:36} {record.seconds:5.2f} s{spent}{'  ' + reason if reason else ''}"


def summarize(done: Sequence[Result], seconds: float) -> Summary:
    """All results in numbers."""
    verdicts = [verdict(result) for result in done]
    answered = verdicts.count("pass") + verdicts.count("FAIL")
    records = [result.record for result in done]
    models = [(record.model, record) for record in records if record.model is not None]
    tokens = [usage.input for usage, _ in models]
    costs = [usage.cost for usage, _ in models if usage.cost is not None]
    words = [record.judged for record in records if record.judged is not None]
    return Summary(
        runs=len(done),
        passed=verdicts.count("pass"),
        failed=verdicts.count("FAIL"),
        errors=verdicts.count("error"),
        fallbacks=verdicts.count("fallback"),
        fallbacks_right=sum(result.passed for result, word in zip(done, verdicts, strict=True) if word == "fallback"),
        pass_rate=round(verdicts.count("pass") / answered, 4) if answered else None,
        seconds=round(seconds, 3),
        median_calls=_median([record.calls for record in records if record.diagnosis]),
        median_model_calls=_median([record.model_calls for _, record in models]),
        median_tokens_in=_median(tokens),
        max_tokens_in=max(tokens, default=None),
        tokens_in=sum(tokens),
        tokens_out=sum(usage.output for usage, _ in models),
        counted=all(usage.counted for usage, _ in models),
        cost=round(sum(costs), 6) if costs else None,
        removed=sum(record.removed for record in records),
        marked=sum(record.marked for record in records),
        clarity=_mean([word.clarity for word in words if word.clarity is not None]),
        usefulness=_mean([word.usefulness for word in words if word.usefulness is not None]),
        judge_failures=sum(bool(word.failure) for word in words),
    )


def _median(values: Sequence[int]) -> float | None:
    return float(median(values)) if values else None


def _mean(values: Sequence[int]) -> float | None:
    return round(mean(values), 2) if values else None


def as_table(done: Sequence[Result], seconds: float, engine: Engine) -> str:
    """The last lines of a table."""
    total = summarize(done, seconds)
    runs = "scenarios" if all(result.record.epoch == 1 for result in done) else "runs"
    text = f"{total.passed} of {total.runs} {runs} passed in {seconds:.1f} s ({total.runs / seconds:.1f} a second)"
    text += f"; {total.errors} could not be run" if total.errors else ""
    if total.fallbacks:
        text += (
            f"; in {total.fallbacks} the model could not be used, {total.fallbacks_right} of which passed without it"
        )
    return "\n".join([text, *_model_lines(total, engine)])


def _model_lines(total: Summary, engine: Engine) -> list[str]:
    """What the model took, and what was done to its words."""
    lines: list[str] = []
    if engine.reasoner == "llm":
        rate = "no run was answered by the model" if total.pass_rate is None else f"pass rate {total.pass_rate:.1%}"
        lines.append(f"{engine.title}: {rate}")
    if total.median_tokens_in is not None:
        cost = "no price set" if total.cost is None else f"cost {total.cost:g}"
        lines.append(
            f"tokens in: median {total.median_tokens_in:,.0f}, max {total.max_tokens_in:,}, "
            f"{'counted by the endpoint' if total.counted else 'estimated'}; "
            f"median calls {total.median_calls:g}, of the model {total.median_model_calls:g}; {cost}"
        )
        lines.append(f"citation check: {total.removed} statements left out, {total.marked} details marked")
    if engine.judge:
        lines.append(
            f"prose, scored by {engine.judge} (never part of a verdict): clarity {total.clarity}, "
            f"usefulness {total.usefulness}, {total.judge_failures} not scored"
        )
    return lines


def as_json(done: Sequence[Result], seconds: float, engine: Engine) -> str:
    """A list of results with their grades and answers, without evidence bodies; `--compare` reads it."""
    body = {
        "apiVersion": "plumbline.dev/v1alpha1",
        "kind": "EvalReport",
        "engine": engine.model_dump(),
        "versions": next((r.record.versions for r in done if r.record.versions), {}),
        "summary": summarize(done, seconds).model_dump(),
        "items": [_item(result) for result in done],
    }
    return json.dumps(body, indent=2)


def _item(result: Result) -> JsonObject:
    record = result.record
    return {
        "scenario": record.scenario,
        "epoch": record.epoch,
        "verdict": verdict(result),
        "passed": result.passed,
        "seconds": round(record.seconds, 3),
        "grades": [grade.model_dump() for grade in result.grades],
        "failure": record.failure,
        "fallback": record.fallback,
        "reasoner": record.reasoner,
        "calls": record.calls,
        "modelCalls": record.model_calls,
        "model": record.model.model_dump() if record.model else None,
        "removed": record.removed,
        "marked": record.marked,
        "judged": record.judged.model_dump() if record.judged else None,
        "diagnosis": record.diagnosis.model_dump(mode="json") if record.diagnosis else None,
    }


def as_junit(done: Sequence[Result], seconds: float, engine: Engine) -> str:
    """JUnit XML for pipelines. A run on the playbook instead of the model is skipped where its answer was right."""
    tags = [_tag(result) for result in done]
    head = (
        f'<testsuite name="plumbline" tests="{len(done)}" failures="{tags.count("failure")}" '
        f'errors="{tags.count("error")}" skipped="{tags.count("skipped")}" time="{seconds:.3f}">'
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *map(_case, done), "</testsuite>"])


def _tag(result: Result) -> str:
    match verdict(result):
        case "pass":
            return ""
        case "FAIL":
            return "failure"
        case "fallback" if result.passed:
            return "skipped"
        case _:
            return "error"


def _case(result: Result) -> str:
    record = result.record
    name = quoteattr(record.scenario if record.epoch == 1 else f"{record.scenario} #{record.epoch}")
    head = f'  <testcase classname="scenarios" name={name} time="{record.seconds:.3f}"'
    tag = _tag(result)
    return f"{head}><{tag} message={quoteattr(why(result))}/></testcase>" if tag else f"{head}/>"
