"""reactions.yaml: what follows, and when, once a field of an object becomes a value.

    - when: {kind: Deployment, namespace: search, name: chat, field: spec.replicas, above: 6}
      then:
      - pods: {ready_after: 90s, nodes: [gpu-6, gpu-7]}
      - {after: 2m, signals: {match: {namespace: search, workload: chat}, vllm: {waiting: 0}}}
      - {after: 2m, patch: {kind: HorizontalPodAutoscaler, namespace: search, name: chat, body: {status: {…}}}}

Rules: a reaction starts at the write that gives its field another value for which `when` holds, and ends at the write
that changes it again; delays count from the write; every mistake has file, line and field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from evals.world.manifests import Identity
from evals.world.places import Place
from evals.world.profiles import Profile, parse_profile
from tools.types import JsonObject

Token = str | int | tuple[str, str]
"""One step of a field path: a name, an index, or (key, value) of a list item; key "--" is a command-line flag."""
Test = Callable[[JsonValue], bool]

_STEP = re.compile(
    r"\.?(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<flag>--[^\]=]+)\]|\[\"(?P<quoted>[^\"]+)\"\]"
    r"|\[(?P<key>\w+)=(?P<value>[^\]]+)\]"
)
_FIELDS = "a field such as spec.replicas, spec.template.spec.containers[name=vllm].args[--max-num-seqs]"
_TESTS = ("is", "above", "below", "matches", "changes")


@dataclass(frozen=True, slots=True)
class Condition:
    """Which field of which object, and the values that count."""

    kind: str
    namespace: str
    name: str
    path: tuple[Token, ...]
    holds: Test

    def about(self, identity: Identity) -> bool:
        """True for the object that is meant."""
        return identity[1:] == (self.kind, self.namespace, self.name)

    def value(self, body: JsonObject) -> JsonValue:
        """The field's value; None where it is absent."""
        return value_at(body, self.path)


@dataclass(frozen=True, slots=True)
class Pods:
    """The object's controller makes, replaces and removes pods until they are what the object asks for."""

    ready_after: float
    """Seconds from a pod's creation to Ready."""
    nodes: tuple[str | None, ...]
    """Where new pods go, in turn; None is a pod that finds no node."""
    pending: str
    """What the scheduler says about such a pod."""
    count: int | None
    """How many pods there should be; None is what the object says."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON merge patch of an object; None removes it."""

    kind: str
    namespace: str
    name: str
    body: JsonObject | None


@dataclass(frozen=True, slots=True)
class Shift:
    """Signals that are replaced (or, with `scaled`, multiplied) while the reaction lasts."""

    profile: Profile
    scaled: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that follows, `after` seconds from the write."""

    after: float
    does: Pods | Patch | Shift


@dataclass(frozen=True, slots=True)
class Reaction:
    """One entry of reactions.yaml."""

    place: Place
    when: Condition
    then: tuple[Effect, ...]


def read_reactions(places: Iterable[Place]) -> tuple[Reaction, ...]:
    """The reactions of all layers, base first. Raises DocumentError."""
    return tuple(_reaction(place) for place in places)


def _reaction(place: Place) -> Reaction:
    place.only(("when", "then"))
    effects = tuple(_effect(entry) for entry in place.at("then").items())
    if not effects:
        place.at("then").fail("nothing follows; name at least one of pods, patch, signals, scale")
    return Reaction(place, _condition(place.at("when")), effects)


def _condition(place: Place) -> Condition:
    given = place.only(("kind", "namespace", "name", "field", *_TESTS))
    asked = [name for name in _TESTS if name in given]
    if len(asked) != 1:
        place.fail(f"exactly one of {', '.join(_TESTS)} is wanted here")
    return Condition(
        kind=place.at("kind").text(),
        namespace=place.at("namespace").text(""),
        name=place.at("name").text(),
        path=_path(place.at("field")),
        holds=_test(asked[0], place.at(asked[0])),
    )


def _path(place: Place) -> tuple[Token, ...]:
    text = place.text()
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            place.fail(f"{text!r} is no field; write {_FIELDS}")
        tokens.append(_token(match))
        at = match.end()
    if not tokens:
        place.fail(f"name {_FIELDS}")
    return tuple(tokens)


def _token(match: re.Match[str]) -> Token:
    if match["index"] is not None:
        return int(match["index"])
    if match["flag"] is not None:
        return ("--", match["flag"])
    if match["key"] is not None:
        return (match["key"], match["value"])
    return match["name"] or match["quoted"]


def value_at(value: JsonValue, path: tuple[Token, ...]) -> JsonValue:
    """What a field path leads to; None where it leads nowhere. A flag's value is text."""
    for token in path:
        if isinstance(token, str):
            value = value.get(token) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif isinstance(token, int):
            value = value[token] if token < len(value) else None
        elif token[0] == "--":
            value = _flag(value, token[1])
        else:
            value = next((one for one in value if isinstance(one, dict) and str(one.get(token[0])) == token[1]), None)
    return value


def _flag(words: list[JsonValue], flag: str) -> JsonValue:
    for number, word in enumerate(words):
        if word == flag:
            return words[number + 1] if number + 1 < len(words) else ""
        if isinstance(word, str) and word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _test(name: str, place: Place) -> Test:
    if name == "changes":
        if not place.flag(default=True):
            place.fail("write `changes: true`, or another test")
        return lambda _: True
    if name == "matches":
        try:
            pattern = re.compile(place.text())
        except re.error as error:
            place.fail(f"not a regular expression: {error}")
        return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
    if name == "is":
        wanted = place.value
        return lambda value: value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
    bound = place.number()
    return _compare(bound, above=name == "above")


def _compare(bound: float, *, above: bool) -> Test:
    def holds(value: JsonValue) -> bool:
        try:
            number = float(value) if isinstance(value, str | int | float) else None
        except ValueError:
            return False
        return number is not None and (number > bound if above else number < bound)

    return holds


_EFFECTS = ("pods", "patch", "signals", "scale")


def _effect(place: Place) -> Effect:
    given = place.only(("after", *_EFFECTS))
    named = [name for name in _EFFECTS if name in given]
    if len(named) != 1:
        place.fail(f"exactly one of {', '.join(_EFFECTS)} is wanted here")
    after = place.at("after").seconds(0.0)
    if after < 0:
        place.at("after").fail("nothing happens before the write")
    return Effect(after, _READERS[named[0]](place.at(named[0])))


def _pods(place: Place) -> Pods:
    place.only(("ready_after", "nodes", "pending", "count"))
    nodes = tuple(None if node.value is None else node.text() for node in place.at("nodes").items())
    ready = place.at("ready_after").seconds(20.0)
    if ready < 0:
        place.at("ready_after").fail("a duration is wanted here")
    count = place.at("count")
    return Pods(ready, nodes, place.at("pending").text(""), None if count.value is None else int(count.number()))


def _patch(place: Place) -> Patch:
    given = place.only(("kind", "namespace", "name", "body", "delete"))
    if ("body" in given) == ("delete" in given):
        place.fail("either a body or `delete: true` is wanted here")
    body = place.at("body").mapping() if "body" in given else None
    return Patch(place.at("kind").text(), place.at("namespace").text(""), place.at("name").text(), body)


def _signals(place: Place) -> Shift:
    return Shift(parse_profile(place), scaled=False)


def _scale(place: Place) -> Shift:
    profile = parse_profile(place)
    for name in place.mapping():
        if name not in ("match", "vllm"):
            place.at(name).number()
    for name in place.at("vllm").mapping():
        place.at("vllm", name).number()
    return Shift(profile, scaled=True)


_READERS: dict[str, Callable[[Place], Pods | Patch | Shift]] = {
    "pods": _pods,
    "patch": _patch,
    "signals": _signals,
    "scale": _scale,
}
