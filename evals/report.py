"""Results as text: a line each and a summary, JSON, JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from statistics import mean, median
from typing import TextIO
from xml.sax.saxutils import quoteattr

from evals.engine import Engine
from evals.items import Item
from evals.rundir import Sample
from evals.score import NEAR, scored
from evals.stats import wilson
from tools.types import Frozen


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
    interval: tuple[float, float] | None = None
    """In which the pass rate lies (Wilson, 95 %)."""
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


def line(item: Item) -> str:
    """One line about one run."""
    spent = ""
    if item.model is not None:
        spent = f"  {item.model.input:6,} in {item.model.output:5,} out {item.model_calls:2} calls"
    if item.judged is not None:
        scores = item.judged
        spent += f"  prose {scores.clarity}/{scores.usefulness}" if not scores.failure else "  prose not scored"
    tried = f"  tried {item.attempts} times" if item.attempts > 1 else ""
    reason = f"  {item.why}" if item.why else ""
    if item.perturbations:
        reason = f"  {', '.join(item.perturbations)}{reason}"
    return f"{item.verdict:8} {item.sample:36} {item.seconds:5.2f} s{spent}{tried}{reason}"


def summarize(done: Sequence[Item], seconds: float) -> Summary:
    """All results in numbers."""
    verdicts = [item.verdict for item in done]
    answered = verdicts.count("pass") + verdicts.count("FAIL")
    models = [(item.model, item) for item in done if item.model is not None]
    tokens = [usage.input for usage, _ in models]
    costs = [usage.cost for usage, _ in models if usage.cost is not None]
    words = [item.judged for item in done if item.judged is not None]
    return Summary(
        runs=len(done),
        passed=verdicts.count("pass"),
        failed=verdicts.count("FAIL"),
        errors=verdicts.count("error"),
        fallbacks=verdicts.count("fallback"),
        fallbacks_right=sum(item.passed for item in done if item.verdict == "fallback"),
        pass_rate=round(verdicts.count("pass") / answered, 4) if answered else None,
        interval=wilson(verdicts.count("pass"), answered) if answered else None,
        seconds=round(seconds, 3),
        median_calls=_median([item.calls for item in done if item.status]),
        median_model_calls=_median([item.model_calls for _, item in models]),
        median_tokens_in=_median(tokens),
        max_tokens_in=max(tokens, default=None),
        tokens_in=sum(tokens),
        tokens_out=sum(usage.output for usage, _ in models),
        counted=all(usage.counted for usage, _ in models),
        cost=round(sum(costs), 6) if costs else None,
        removed=sum(item.removed for item in done),
        marked=sum(item.marked for item in done),
        clarity=_mean([word.clarity for word in words if word.clarity is not None]),
        usefulness=_mean([word.usefulness for word in words if word.usefulness is not None]),
        judge_failures=sum(bool(word.failure) for word in words),
    )


def _median(values: Sequence[int]) -> float | None:
    return float(median(values)) if values else None


def _mean(values: Sequence[int]) -> float | None:
    return round(mean(values), 2) if values else None


def as_table(done: Sequence[Item], seconds: float, engine: Engine, *, fresh: int | None = None) -> str:
    """The last lines of a table; `fresh` of the results took the seconds, all of them unless it is given."""
    total = summarize(done, seconds)
    runs = "scenarios" if all(item.epoch == 1 for item in done) else "runs"
    ran = total.runs if fresh is None else fresh
    text = f"{total.passed} of {total.runs} {runs} passed"
    text += f" in {seconds:.1f} s ({ran / seconds:.1f} a second)" if ran else ", all of them there already"
    text += f"; {total.errors} could not be run" if total.errors else ""
    if total.fallbacks:
        text += (
            f"; in {total.fallbacks} the model could not be used, {total.fallbacks_right} of which passed without it"
        )
    return "\n".join([text, *_score_lines(done), *_model_lines(total, engine)])


def _score_lines(done: Sequence[Item]) -> list[str]:
    """How right the answers are, and what answering without looking would score."""
    score = scored(done)
    lines = [
        f"right root {score.right} of {score.caused} (recall {_share(score.recall)}), wrongly claimed {score.wrong} "
        f"(precision {_share(score.precision)}); false alarms {score.alarms} of {score.healthy} healthy"
    ]
    if (rank := score.ranking) is not None:
        lines.append(
            f"the right cause is first in {rank.first:.1%} and in the first {NEAR} in {rank.near:.1%}; "
            f"precision down to it {rank.precision:.3f}"
        )
    if (several := score.several) is not None:
        lines.append(f"pass@{several.k} {several.some:.3f}, pass^{several.k} {several.all:.3f}")
    return [*lines, "without looking: " + ", ".join(f"{name} {share:.0%}" for name, share in score.baselines)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


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


def as_json(samples: Iterable[Sample], seconds: float, engine: Engine, out: TextIO) -> None:
    """Write a list of results with their grades and answers, without evidence bodies, one at a time."""
    items: list[Item] = []
    versions: dict[str, str] = {}
    out.write('{\n  "apiVersion": "plumbline.dev/v1alpha1",\n  "kind": "EvalReport",\n  "items": [')
    for sample in samples:
        answer = sample.result.record.diagnosis
        versions = versions or sample.result.record.versions
        body = {**sample.item.model_dump(mode="json"), "diagnosis": answer.model_dump(mode="json") if answer else None}
        out.write(f"{',' if items else ''}\n{json.dumps(body)}")
        items.append(sample.item)
    rest = {
        "engine": engine.model_dump(),
        "versions": versions,
        "summary": summarize(items, seconds).model_dump(),
        "score": scored(items).model_dump(),
    }
    out.write("\n  ],\n" + json.dumps(rest, indent=2).removeprefix("{\n"))
    out.write("\n")


def as_junit(done: Sequence[Item], seconds: float) -> str:
    """JUnit XML for pipelines. A run on the playbook instead of the model is skipped where its answer was right."""
    tags = [_tag(item) for item in done]
    head = (
        f'<testsuite name="plumbline" tests="{len(done)}" failures="{tags.count("failure")}" '
        f'errors="{tags.count("error")}" skipped="{tags.count("skipped")}" time="{seconds:.3f}">'
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *map(_case, done), "</testsuite>"])


def _tag(item: Item) -> str:
    match item.verdict:
        case "pass":
            return ""
        case "FAIL":
            return "failure"
        case "fallback" if item.passed:
            return "skipped"
        case _:
            return "error"


def _case(item: Item) -> str:
    head = f'  <testcase classname="scenarios" name={quoteattr(item.sample)} time="{item.seconds:.3f}"'
    tag = _tag(item)
    return f"{head}><{tag} message={quoteattr(item.why)}/></testcase>" if tag else f"{head}/>"
