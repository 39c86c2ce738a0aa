"""Stored runs side by side: where verdicts differ, whether that is more than chance, and what each engine took.

Rules: runs and reports are files that anybody may have edited: read within a bound, checked, and a bad one is named;
two are compared sample by sample, and only over samples that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.engine import Engine
from evals.items import Item
from evals.report import Summary, summarize
from evals.rundir import open_run
from evals.stats import mcnemar
from tools.errors import DocumentError, SettingsError

MAX_BYTES = 256 << 20
"""Bytes of a report at most: a thousand answers take some hundred MB."""
MAX_REPORTS = 8
WIDTH = 14
"""Characters of a column."""
CHANCE = 0.05
"""Below this chance two engines are said to differ: the usual bar."""


class _Item(Item):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Report(BaseModel):
    """What a comparison needs of a run, or of `plumbline eval run -o json`."""

    model_config = ConfigDict(extra="ignore")

    engine: Engine
    summary: Summary
    items: Sequence[_Item | Item] = Field(max_length=100_000)

    def shown(self, scenario: str) -> str:
        """The verdict of a scenario; of several runs that differ, how many passed."""
        found = [item.verdict for item in self.items if item.scenario == scenario]
        if len(set(found)) <= 1:
            return found[0] if found else "-"
        return f"{found.count('pass')}/{len(found)} pass"


def read(path: str) -> list[Report]:
    """A stored run, one report an engine, or a stored report. Raises SettingsError and DocumentError."""
    if Path(path).is_dir():
        run = open_run(Path(path))
        items = run.whole_items()
        parts = [[item for item in items if item.engine == number] for number in range(len(run.info.engines))]
        return [
            Report(engine=engine, summary=summarize(part, sum(item.seconds for item in part)), items=part)
            for engine, part in zip(run.info.engines, parts, strict=True)
        ]
    return [_file(path)]


def _file(path: str) -> Report:
    try:
        with Path(path).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "give a folder of `eval run --out`, or a file of `eval run -o json`"
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    if len(body) > MAX_BYTES:
        raise DocumentError(path, None, "", f"larger than {MAX_BYTES >> 20} MiB")
    try:
        return Report.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(token) for token in first["loc"])
        raise DocumentError(path, None, where, "no report of `plumbline eval run -o json`") from None


def lines(paths: Sequence[str]) -> list[str]:
    """The reports as columns: every scenario whose verdict differs, then the totals. Raises as `read` does."""
    if len(paths) > MAX_REPORTS:
        raise SettingsError(f"{len(paths)} reports are too many", hint=f"compare at most {MAX_REPORTS} at once")
    reports = [report for path in paths for report in read(path)]
    if len(reports) > MAX_REPORTS:
        raise SettingsError(f"{len(reports)} engines are too many", hint=f"compare at most {MAX_REPORTS} at once")
    letters = "ABCDEFGH"[: len(reports)]
    out = [f"{letter}  {report.engine.title}" for letter, report in zip(letters, reports, strict=True)]
    scenarios = list(dict.fromkeys(item.scenario for report in reports for item in report.items))
    rows = [(name, [report.shown(name) for report in reports]) for name in scenarios]
    differing = [(name, shown) for name, shown in rows if len(set(shown)) > 1]
    out += ["", _row("", list(letters))]
    out += [_row(name, shown) for name, shown in differing]
    out.append(f"{len(rows) - len(differing)} of {len(rows)} scenarios have the same verdict everywhere")
    out += _paired(*reports) if len(reports) == 2 else []
    out += ["", *(_row(label, [_number(report.summary, name) for report in reports]) for label, name in _TOTALS)]
    return out


@dataclass(frozen=True, slots=True)
class Flips:
    """Two runs over the samples of both."""

    samples: int
    better: tuple[Item, ...]
    """As the second run has them."""
    worse: tuple[Item, ...]
    chance: float
    """Of so uneven a split, were both as good (exact McNemar test)."""
    seconds: float | None
    """Median difference of a sample."""
    cost: float | None

    @property
    def verdict(self) -> str:
        """Whether that is more than chance."""
        word = "more than chance" if self.chance < CHANCE else "within chance"
        return f"{len(self.better)} better, {len(self.worse)} worse: {word} (exact McNemar test, p = {self.chance:.3g})"


def flips(one: Report, other: Report) -> Flips:
    """Two reports, sample by sample; what could not be run, or was not answered by the model, is left out."""
    first = {item.sample: item for item in one.items}
    second = {item.sample: item for item in other.items}
    both = [(first[name], second[name]) for name in first if name in second]
    counted = [pair for pair in both if all(item.verdict in ("pass", "FAIL") for item in pair)]
    better = tuple(b for a, b in counted if a.verdict != "pass" and b.verdict == "pass")
    worse = tuple(b for a, b in counted if a.verdict == "pass" and b.verdict != "pass")
    costs = [
        b.model.cost - a.model.cost
        for a, b in counted
        if a.model and b.model and a.model.cost is not None and b.model.cost is not None
    ]
    return Flips(
        samples=len(counted),
        better=better,
        worse=worse,
        chance=mcnemar(len(better), len(worse)),
        seconds=median(b.seconds - a.seconds for a, b in counted) if counted else None,
        cost=median(costs) if costs else None,
    )


def _paired(one: Report, other: Report) -> list[str]:
    found = flips(one, other)
    out = ["", f"B against A over {found.samples} samples of both:"]
    out += [f"  better  {item.sample}" for item in found.better]
    out += [f"  worse   {item.sample}  {item.why}" for item in found.worse]
    out.append(f"  {found.verdict}")
    out += [f"  seconds a sample: median {found.seconds:+.2f}"] if found.seconds is not None else []
    out += [f"  cost a sample: median {found.cost:+.4g}"] if found.cost is not None else []
    return out


_TOTALS = (
    ("runs", "runs"),
    ("passed", "passed"),
    ("failed", "failed"),
    ("model could not be used", "fallbacks"),
    ("could not be run", "errors"),
    ("pass rate", "pass_rate"),
    ("median tokens in", "median_tokens_in"),
    ("max tokens in", "max_tokens_in"),
    ("median calls", "median_calls"),
    ("median calls of the model", "median_model_calls"),
    ("cost", "cost"),
    ("statements left out", "removed"),
    ("details marked", "marked"),
    ("clarity (judge)", "clarity"),
    ("usefulness (judge)", "usefulness"),
)


def _number(summary: Summary, name: str) -> str:
    value = getattr(summary, name)
    if name.endswith("_rate") and value is not None:
        return f"{value:.1%}"
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) and value < 1_000 else f"{value:,.0f}"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:36}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)
