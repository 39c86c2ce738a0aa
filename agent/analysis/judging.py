"""The one way a cause is confirmed: every confirming signal holds, no excluding one does.

Signals are named once in agent/analysis/signals and shared, so that the test that confirms a cause is the very
test that rules it out as somebody else's neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.analysis.view import View
from agent.types import Claim, Reading
from tools.types import ResourceRef

Signal = Callable[[View, ResourceRef], Reading]


@dataclass(frozen=True, slots=True)
class Judged:
    """How a subject fared: confirmed with claims, excluded by a reading, or undecided for lack of something."""

    confirmed: bool
    claims: tuple[Claim, ...] = ()
    against: Reading | None = None
    undecided: tuple[Reading, ...] = ()


def read(view: View, subject: ResourceRef, signals: Mapping[str, Signal], name: str) -> Reading:
    """One signal on one subject, worked out once per view."""
    return view.once(("signal", name, subject.identity), lambda: signals[name](view, subject))


def weigh(
    view: View,
    subject: ResourceRef,
    signals: Mapping[str, Signal],
    confirms: Sequence[str],
    excludes: Sequence[str],
) -> Judged:
    """Apply signals to a subject. An excluding signal that cannot be told leaves the cause standing, but noted."""
    claims: list[Claim] = []
    undecided: list[Reading] = []
    for name in confirms:
        reading = read(view, subject, signals, name)
        if reading.holds is False:
            return Judged(confirmed=False, against=reading)
        if reading.holds is None:
            undecided.append(reading)
        elif reading.claim:
            claims.append(reading.claim)
    if undecided:
        return Judged(confirmed=False, claims=tuple(claims), undecided=tuple(undecided))
    for name in excludes:
        reading = read(view, subject, signals, name)
        if reading.holds:
            return Judged(confirmed=False, claims=tuple(claims), against=reading)
        if reading.holds is None:
            undecided.append(reading)
    return Judged(confirmed=True, claims=tuple(claims), undecided=tuple(undecided))
