"""Short ways to build a Reading, and to word numbers the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from agent.analysis.view import View
from agent.types import Claim, Reading
from tools.types import EvidenceRef, NamedQuery

MANY = 8
"""References quoted per claim at most; a claim over more objects quotes the first few and a Fact."""


def reading(signal: str, text: str, refs: Sequence[EvidenceRef | None], *, holds: bool) -> Reading:
    """A decided reading; undecided where no reference exists to carry it."""
    kept = tuple(ref for ref in refs if ref is not None)[:MANY]
    if not kept:
        return unknown(signal, f"evidence for: {text}")
    return Reading(signal=signal, holds=holds, claim=Claim(text=text, refs=kept))


def unknown(signal: str, lacks: str) -> Reading:
    """A reading that cannot be told, and what it lacks."""
    return Reading(signal=signal, holds=None, lacks=lacks)


def absent(signal: str, view: View, *queries: NamedQuery) -> Reading:
    """An undecided reading because the series of these queries are missing, denied or unavailable."""
    lacking = [q for q in queries if view.state(q) != "ok"] or queries
    needs = ", ".join(" or ".join(q.metrics) for q in lacking)
    because = "; ".join(dict.fromkeys(_because(view, q) for q in lacking))
    return unknown(signal, f"{needs} ({because})")


def _because(view: View, query: NamedQuery) -> str:
    if view.state(query) == "ok":
        return f"its pods have no such series though others do; enable {query.enable}"
    return view.lacking(query, ()).because


def percent(share: float) -> str:
    """A share as a percentage: `43 %`, `0.4 %`."""
    value = share * 100
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"


def amount(value: float) -> str:
    """A number with no more digits than it deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"


def plural(count: float, noun: str) -> str:
    """`1 pod`, `3 pods`."""
    return f"{count:,.0f} {noun}" if count == 1 else f"{count:,.0f} {noun}s"


def spell(names: Sequence[str], limit: int = 3) -> str:
    """The first few names and how many more."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
