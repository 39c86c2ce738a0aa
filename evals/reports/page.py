"""A stored run as one self-contained page: score, confusion, baselines, flips, cost, and every sample in steps.

Rules: what failed comes first and open; of a large run only so many samples are shown in full, and how many are not is
said; the run is read sample by sample.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from agent.render.html import Part, element, grid, page, pairs
from evals.compare import Flips, Report, flips, read
from evals.items import Item
from evals.report import Summary, summarize
from evals.reports.charts import Bar, bars
from evals.reports.samples import samples
from evals.reports.style import STYLE
from evals.rundir import RunDir
from evals.score import NEAR, STATUSES, Score, scored
from evals.stats import wilson
from tools.errors import SettingsError


def written(run: RunDir, *, engine: int = 0, base: str = "") -> str:
    """The page of one engine of a run, compared with another run where one is named. Raises SettingsError."""
    every = [item for item in run.whole_items() if item.engine == engine]
    items = sorted(every, key=lambda item: (item.verdict == "pass", item.scenario, item.epoch))
    if not items:
        raise SettingsError(f"engine {engine + 1} of {run.folder} holds no sample yet", hint="run it first")
    summary, score = summarize(items, sum(item.seconds for item in items)), scored(items)
    title = f"{summary.passed} of {summary.runs} samples passed"
    return page(
        f"Plumbline: {title}",
        STYLE,
        element("h1", title),
        element("p", _about(run, engine), class_="quiet"),
        *_broken(run),
        _numbers(summary, score),
        *_families(score),
        *_confusion(score),
        *(_compared(run, engine, items, summary, base) if base else ()),
        *_spent(items, summary),
        *samples(run, items),
    )


def _about(run: RunDir, engine: int) -> str:
    info = run.info
    epochs = f"{len(info.scenarios)} scenarios" + (f" in {info.epochs} epochs" if info.epochs > 1 else "")
    return f"{info.engines[engine].title} · {epochs}{' · perturbed' if info.perturbing else ''} · seed {info.seed}"


def _broken(run: RunDir) -> Iterator[ET.Element]:
    if names := run.broken():
        told = f"{len(names)} of the files hold no whole sample and count as not run: {', '.join(names[:5])}"
        yield element("p", told, class_="warn")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _numbers(summary: Summary, score: Score) -> ET.Element:
    low, high = summary.interval or (0.0, 0.0)
    rank = score.ranking
    told = [
        (_share(summary.pass_rate), f"passed; 95 % interval {low:.1%} to {high:.1%}"),
        (_share(score.recall), f"of {score.caused} causes found as root (recall)"),
        (_share(score.precision), f"precision; {score.wrong} wrongly claimed"),
        (f"{score.alarms}", f"false alarms on {score.healthy} healthy samples"),
    ]
    if rank is not None:
        told.append((_share(rank.first), f"right cause first; in the first {NEAR}: {_share(rank.near)}"))
    if (several := score.several) is not None:
        told.append((f"{several.all:.3f}", f"pass^{several.k}; pass@{several.k} {several.some:.3f}"))
    if summary.errors:
        told.append((f"{summary.errors}", "could not be run: the machine's fault, counted nowhere"))
    return element("div", *(element("div", element("b", number), text) for number, text in told), class_="numbers")


def _families(score: Score) -> Iterator[ET.Element]:
    rows = []
    for family, (passed, count) in sorted(score.families.items(), key=lambda one: _placed(one[0])):
        kind = "bar" if passed == count else "short"
        rows.append(Bar(family or "–", passed / count, wilson(passed, count), f"{passed} of {count}", kind))
    yield element("h2", "By what is expected")
    yield bars("Share of samples passed by expected cause or status, with 95 % intervals", rows)
    total, right = sum(n for _, n in score.families.values()), sum(p for p, _ in score.families.values())
    looked = [Bar("this run", right / total if total else 0.0, None, f"{right} of {total}")]
    blind = [Bar(name, share, None, f"{share:.0%}", "other") for name, share in score.baselines]
    yield element("h3", "Without looking")
    yield element(
        "p", "What the same answer to everything would score. A run near it has shown nothing.", class_="quiet"
    )
    yield bars("Share of right answers of this run and of answers given without looking", [*looked, *blind])


def _confusion(score: Score) -> Iterator[ET.Element]:
    found = sorted({name for row in score.confusion.values() for name in row}, key=_placed)
    head = ["expected ↓ found →", *(name or "–" for name in found)]
    rows = []
    for name in sorted(score.confusion, key=_placed):
        cells = [_cell(score.confusion[name].get(other, 0), right=other == name) for other in found]
        rows.append(element("tr", element("th", name or "–", scope="row"), *cells))
    top = element("thead", element("tr", *(element("th", name, scope="col") for name in head)))
    yield element("h2", "Confusion")
    table = element("table", top, element("tbody", *rows), class_="confusion")
    yield element("div", table, class_="wide")


def _placed(name: str) -> tuple[bool, str]:
    """Causes before statuses."""
    return name in STATUSES, name


def _cell(count: int, *, right: bool) -> ET.Element:
    kind = "muted" if not count else "right" if right else "wrong"
    return element("td", str(count) if count else "·", class_=kind)


def _compared(run: RunDir, engine: int, items: Sequence[Item], summary: Summary, base: str) -> Iterator[ET.Element]:
    others = read(base)
    if len(others) > 1:
        raise SettingsError(f"{base} has {len(others)} engines", hint="compare with a run of one")
    done: Flips = flips(others[0], Report(engine=run.info.engines[engine], summary=summary, items=items))
    yield element("h2", "Against the other run")
    took = f", median {done.seconds:+.2f} s a sample" if done.seconds is not None else ""
    yield element("p", f"{done.samples} samples of both; {done.verdict}{took}.")
    flipped = [("better", "good", item) for item in done.better] + [("worse", "bad", item) for item in done.worse]
    if flipped:
        rows: list[list[Part]] = [[element("span", w, class_=kind), one.sample, one.why] for w, kind, one in flipped]
        yield grid(("flip", "sample", "why"), rows)


def _spent(items: Sequence[Item], summary: Summary) -> Iterator[ET.Element]:
    slow = sorted(items, key=lambda item: -item.seconds)[:5]
    yield element("h2", "What it took")
    rows = [
        ("seconds, all samples", f"{summary.seconds:,.1f}"),
        ("median tool calls", _shown(summary.median_calls)),
        ("median calls of the model", _shown(summary.median_model_calls)),
        ("tokens sent and received", f"{summary.tokens_in:,} and {summary.tokens_out:,}" if summary.tokens_in else "–"),
        ("cost", _shown(summary.cost)),
        ("slowest", ", ".join(f"{item.sample} {item.seconds:.2f} s" for item in slow)),
    ]
    yield pairs(rows)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"
