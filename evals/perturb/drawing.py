"""Which perturbations an epoch of a scenario gets, and the case that comes of them.

Rules: drawn from the seed, the scenario's name and the epoch by SHA-256, so that any machine, shard and number of
workers draws the same; one to three, those that do not fit are passed over; none is applied twice.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from random import Random

from evals.perturb import kinds
from evals.perturb.model import Case, Perturbation, Unfit
from evals.scenario import plan_of
from evals.types import Scenario
from evals.world.load import Blueprint, anchored
from tools.errors import UnknownName
from tools.types import Frozen

MOST = 3
"""Perturbations of one epoch at most."""


class Perturbing(Frozen):
    """That a run is perturbed, and by what; all a worker needs to make the same worlds again."""

    seed: int = 0
    only: tuple[str, ...] = ()
    """Names of those that are drawn from; all where empty."""


@cache
def load() -> dict[str, Perturbation]:
    """All perturbations by name, which is their module's with dashes."""
    names = sorted(info.name for info in pkgutil.iter_modules(kinds.__path__))
    found = {name: importlib.import_module(f"{kinds.__name__}.{name}") for name in names}
    return {name.replace("_", "-"): module.PERTURBATION for name, module in found.items()}


def perturbing(names: Sequence[str], *, seed: int) -> Perturbing:
    """A perturbed run, by all perturbations or by those named. Raises UnknownName."""
    known = load()
    for name in names:
        if name not in known:
            raise UnknownName("perturbation", name, known)
    return Perturbing(seed=seed, only=tuple(sorted(set(names))))


def chance(*parts: object) -> Random:
    """A source of chance that depends on its parts alone."""
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()
    return Random(int.from_bytes(digest[:16]))


def drawn(scenario: Scenario, epoch: int, how: Perturbing) -> Case:
    """The case of an epoch. Raises UnknownName and DocumentError as the world does."""
    dice = chance(how.seed, scenario.name, epoch)
    names = list(how.only or load())
    dice.shuffle(names)
    return applied(scenario, names, most=dice.randint(1, MOST), seed=(how.seed, scenario.name, epoch))


def applied(scenario: Scenario, names: Sequence[str], *, most: int, seed: Sequence[object]) -> Case:
    """The case after the first `most` of these perturbations that fit."""
    plan = plan_of(scenario)
    case: Case | None = None
    for name in names:
        before = case.names if case is not None else ()
        if len(before) < most:
            try:
                case = _made(scenario, plan, (*before, name), seed)
            except Unfit:
                continue  # for itself, or beside those that came before
    return case or _made(scenario, plan, (), seed)


def why_not(scenario: Scenario, name: str, plan: Blueprint, seed: Sequence[object]) -> str:
    """Why a perturbation does not fit a scenario, tried for itself; "" where it does."""
    try:
        _made(scenario, plan, [name], seed)
    except Unfit as reason:
        return str(reason)
    return ""


def _made(scenario: Scenario, plan: Blueprint, names: Sequence[str], seed: Sequence[object]) -> Case:
    known = load()
    chosen = sorted(names, key=lambda name: (known[name].order, name))
    for name in chosen:
        if (remake := known[name].plan) is not None:
            plan = remake(plan, chance(*seed, name))
    world = anchored(plan)
    for name in chosen:
        if (change := known[name].change) is not None:
            world, scenario = change(world, scenario, chance(*seed, name))
    return Case(world, scenario, tuple(chosen))
