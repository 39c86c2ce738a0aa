"""The page about the causes, made from the causes themselves, so that it cannot lag behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.analysis.diagnoser import Diagnoser
from agent.analysis.judging import Signal
from agent.types import Objects

HEAD = """# Causes

<!-- Generated from agent/diagnosers by `python -m evals.scenario_docs`; do not edit. -->

A cause is found on an object when every confirming signal holds and no excluding one does. A signal that cannot be
told leaves the matter open, and the answer says what to enable.
"""


def page(diagnosers: Mapping[str, Diagnoser], signals: Mapping[str, Signal]) -> str:
    """docs/causes.md: a table with one row a cause, then each cause's own explanation, tests and reads."""
    rows = ["| Cause | What | Family | Severity | Source |", "|---|---|---|---|---|"]
    for cause_id, diagnoser in diagnosers.items():
        cause = diagnoser.CAUSE
        link = f"[{cause_id}](#{cause_id.lower()})"
        rows.append(f"| {link} | {cause.title} | {cause.family} | {cause.severity} | {cause.doc} |")
    sections = [_section(diagnoser, signals) for diagnoser in diagnosers.values()]
    return "\n".join([HEAD, *rows, "", *sections])


def _section(diagnoser: Diagnoser, signals: Mapping[str, Signal]) -> str:
    cause = diagnoser.CAUSE
    lines = [f'## <a id="{cause.id.lower()}"></a>{cause.id} {cause.title}', "", (diagnoser.__doc__ or "").strip(), ""]
    lines += ["Confirmed when all of these hold:", "", *_signals(diagnoser.CONFIRMS, signals)]
    if diagnoser.EXCLUDES:
        lines += ["Never when one of these holds:", "", *_signals(diagnoser.EXCLUDES, signals)]
    kinds = [str(need.kind) for need in diagnoser.NEEDS if isinstance(need, Objects)]
    queries = [need.query.name for need in diagnoser.NEEDS if not isinstance(need, Objects)]
    lines += [f"Reads {', '.join(kinds)}" + (f"; queries {', '.join(queries)}." if queries else "."), ""]
    return "\n".join(lines)


def _signals(names: Sequence[str], signals: Mapping[str, Signal]) -> list[str]:
    """One item a signal: its name and the first line of what it says of itself."""
    return [*(f"- `{name}`: {first_line(signals[name])}" for name in names), ""]


def first_line(signal: Signal) -> str:
    """The first line of a signal's docstring, "" where it has none."""
    return (signal.__doc__ or "").strip().partition("\n")[0]
