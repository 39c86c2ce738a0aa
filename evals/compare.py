"""Stored runs side by side: where verdicts differ, whether that is more than chance, and what each engine took.

Rules: runs and reports are files that anybody may have edited: read within a bound, checked, and a bad one is named;
two are compared sample by sample, and only over samples that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        items = run.items()
        if not items:
            raise SettingsError(f"{path} holds no sample yet", hint="run it first")
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


def _paired(one: Report, other: Report) -> list[str]:
    """Two reports, sample by sample."""
    first = {item.sample: item for item in one.items}
    second = {item.sample: item for item in other.items}
    both = [(first[name], second[name]) for name in first if name in second]
    counted = [pair for pair in both if all(item.verdict in ("pass", "FAIL") for item in pair)]
    better = [b.sample for a, b in counted if a.verdict != "pass" and b.verdict == "pass"]
    worse = [b.sample for a, b in counted if a.verdict == "pass" and b.verdict != "pass"]
    chance = mcnemar(len(better), len(worse))
    word = "more than chance" if chance < CHANCE else "within chance"
    out = ["", f"B against A over {len(counted)} samples of both:"]
    out += [f"  better  {name}" for name in better] + [
        f"  worse   {b.sample}  {b.why}" for _, b in counted if b.sample in worse
    ]
    out.append(f"  {len(better)} better, {len(worse)} worse: {word} (exact McNemar test, p = {chance:.3g})")
    if counted:
        out.append(f"  seconds a sample: median {median(b.seconds - a.seconds for a, b in counted):+.2f}")
    costs = [
        b.model.cost - a.model.cost
        for a, b in counted
        if a.model and b.model and a.model.cost is not None and b.model.cost is not None
    ]
    if costs:
        out.append(f"  cost a sample: median {median(costs):+.4g}")
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
