"""Generators as they are written in metrics/*.yaml: a number, or a mapping with one shape and its fields.

The noise of a spec is salted with where it stands (`signal name / position`), not with the file or line: an
overlay that changes one signal leaves the samples of all others as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from evals.world import generators as g
from evals.world.noise import CLIP, seed_of
from evals.world.places import Place

Parser = Callable[[Place, str], g.Generator]

MODIFIERS = ("min", "max", "round", "scale", "offset", "lag")


def parse(place: Place, name: str) -> g.Generator:
    """The generator written at `place`; `name` salts its noise. Raises DocumentError."""
    if not isinstance(place.value, dict):
        return g.Constant(place.number())
    shapes = [key for key in place.value if key in SHAPES]
    if len(shapes) != 1:
        place.fail(f"exactly one shape is wanted here, of: {', '.join(sorted(SHAPES))}")
    place.only((shapes[0], *MODIFIERS))
    shape = SHAPES[shapes[0]](place.at(shapes[0]), f"{name}/{shapes[0]}")
    return _modified(place, shape)


def _modified(place: Place, shape: g.Generator) -> g.Generator:
    scale, offset = place.at("scale").number(1.0), place.at("offset").number(0.0)
    lag = place.at("lag").seconds(0.0)
    if scale != 1.0 or offset or lag:
        shape = g.Linear(shape, scale, offset, lag)
    low, high = place.at("min").number(-math.inf), place.at("max").number(math.inf)
    whole = place.at("round").flag(default=False)
    if low > high:
        place.at("min").fail("min is above max")
    if low > -math.inf or high < math.inf or whole:
        return g.Clamp(shape, low, high, whole)
    return shape


def _noise(place: Place, name: str) -> g.Generator:
    fields = place.only(("mean", "spread", "min", "max"))
    mean, spread = place.at("mean").number(), place.at("spread").number(0.0)
    shape = g.Noise(mean, spread, seed_of(name))
    low, high = place.at("min").number(-math.inf), place.at("max").number(math.inf)
    reach = CLIP * spread * 1.02
    if ("min" in fields and mean - reach < low) or ("max" in fields and mean + reach > high):
        return g.Clamp(shape, low, high)
    return shape


def _ramp(place: Place, name: str) -> g.Generator:
    place.only(("from", "to", "start", "end"))
    start, end = place.at("start").seconds(), place.at("end").seconds(0.0)
    if start >= end:
        place.fail("start must be before end")
    return g.Ramp(place.at("from").number(), place.at("to").number(), start, end)


def _saw(place: Place, name: str) -> g.Generator:
    place.only(("low", "high", "period", "phase"))
    return g.Saw(
        place.at("low").number(),
        place.at("high").number(),
        _period(place.at("period")),
        place.at("phase").seconds(0.0),
    )


def _pulse(place: Place, name: str) -> g.Generator:
    place.only(("low", "high", "period", "width", "phase"))
    period, width = _period(place.at("period")), place.at("width").seconds()
    if not 0 < width < period:
        place.at("width").fail("the width must lie between 0 and the period")
    return g.Pulse(
        place.at("low").number(0.0), place.at("high").number(), period, width, place.at("phase").seconds(0.0)
    )


def _daily(place: Place, name: str) -> g.Generator:
    place.only(("low", "high", "peak"))
    return g.Daily(place.at("low").number(), place.at("high").number(), place.at("peak").seconds(-6 * 3600.0))


def _bursts(place: Place, name: str) -> g.Generator:
    place.only(("base", "height", "every", "length"))
    every, length = _period(place.at("every")), place.at("length").seconds()
    if not 0 < length <= every:
        place.at("length").fail("the length must lie between 0 and `every`")
    return g.Bursts(place.at("base").number(0.0), place.at("height").number(), every, length, seed_of(name))


def _steps(place: Place, name: str) -> g.Generator:
    place.only(("before", "then"))
    changes = []
    for number, change in enumerate(place.at("then").items()):
        change.only(("at", "value"))
        value = parse(change.at("value"), f"{name}[{number}]")
        changes.append((change.at("at").seconds(), value))
    if not changes or changes != sorted(changes, key=lambda item: item[0]):
        place.at("then").fail("at least one change is wanted, in order of time: [{at: -2h, value: 3}]")
    return g.Steps(parse(place.at("before"), f"{name}[before]"), tuple(changes))


def _counter(place: Place, name: str) -> g.Generator:
    place.only(("rate", "resets", "round"))
    resets = tuple(reset.seconds() for reset in place.at("resets").items())
    return g.Counter(parse(place.at("rate"), f"{name}/rate"), resets, place.at("round").flag(default=False))


def _signal(place: Place, name: str) -> g.Generator:
    return g.Signal(place.text())


def _parts(place: Place, name: str) -> tuple[g.Generator, ...]:
    parts = tuple(parse(part, f"{name}[{number}]") for number, part in enumerate(place.items()))
    if not parts:
        place.fail("a list of generators is wanted here")
    return parts


def _sum(place: Place, name: str) -> g.Generator:
    return g.Sum(_parts(place, name))


def _product(place: Place, name: str) -> g.Generator:
    return g.Product(_parts(place, name))


def _constant(place: Place, name: str) -> g.Generator:
    return g.Constant(place.number())


def _period(place: Place) -> float:
    seconds = place.seconds()
    if seconds <= 0:
        place.fail("a duration above zero is wanted here")
    return seconds


SHAPES: dict[str, Parser] = {
    "constant": _constant,
    "noise": _noise,
    "ramp": _ramp,
    "saw": _saw,
    "pulse": _pulse,
    "daily": _daily,
    "bursts": _bursts,
    "steps": _steps,
    "counter": _counter,
    "of": _signal,
    "sum": _sum,
    "product": _product,
}


def signals_of(generator: g.Generator) -> set[str]:
    """Names of the other signals a generator refers to."""
    if isinstance(generator, g.Signal):
        return {generator.name}
    if isinstance(generator, g.Linear | g.Clamp):
        return signals_of(generator.of)
    if isinstance(generator, g.Sum | g.Product):
        return set().union(*map(signals_of, generator.parts))
    if isinstance(generator, g.Steps):
        return signals_of(generator.before).union(*(signals_of(piece) for _, piece in generator.changes))
    return signals_of(generator.rate) if isinstance(generator, g.Counter) else set()
