"""From the names in a question, the flags and what exists, to one Scope; or to a choice the user must make.

Rules: pure; several meanings are asked, never guessed; a certain name that does not exist is an error with near
names, an uncertain one is just a word; what the principal may not see is left out, and said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agent.grammar import Parsed
from agent.mentions import Mention, ordinary
from agent.names import WORKLOADS as WORKLOADS
from agent.names import Names as Names
from agent.names import Option, options
from agent.names import QueueName as QueueName
from agent.names import names_of as names_of
from agent.phrases import MentionKind
from tools.errors import SettingsError, UnknownName
from tools.types import Scope

MOST_CANDIDATES = 20
"""Candidates shown at most; with more, the prompt says so and how to narrow."""
_NEEDS: dict[MentionKind, frozenset[str]] = {
    "namespace": frozenset({"namespaces"}),
    "team": frozenset({"namespaces", "queues"}),
    "queue": frozenset({"queues"}),
    "node": frozenset({"nodes"}),
    "pod": frozenset({"workloads"}),
    "workload": frozenset({"workloads"}),
    "any": frozenset({"namespaces", "nodes", "queues", "workloads"}),
}
"""What must be listed to check a mention of each kind."""
_FORMS = re.compile(r"(?:ly|ing|ed)$")
"""Endings of verbs and adverbs, which stand where a name would."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The one scope a question has."""

    scope: Scope
    left_out: tuple[str, ...] = ()
    """Namespaces that belong to it and that the principal may not see."""
    unknown: tuple[str, ...] = ()
    """What is named and does not exist, as it is printed: `'zeta'`, `team 'zeta'`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Several scopes a question may have; `scopes` in the order of `candidates`, each of which parses back."""

    prompt: str
    candidates: tuple[str, ...]
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the surface fixed, and what the principal may see."""

    namespace: str | None
    selector: str
    permitted: tuple[str, ...] | None


def needs_names(parsed: Parsed) -> set[str]:
    """What must be listed before `resolve`: of "namespaces", "nodes", "queues", "workloads"."""
    needed: set[str] = set()
    for mention in parsed.mentions:
        needed |= _NEEDS[mention.kind]
        if _may_be_a_place(mention):
            needed.add("namespaces")
    return needed


def _may_be_a_place(mention: Mention) -> bool:
    """True for "the vision pods" and "the vision nodes", which may be those of a namespace."""
    return mention.kind in ("node", "pod", "workload") and not mention.namespace


def resolve(
    parsed: Parsed,
    names: Names,
    *,
    namespace_flag: str | None,
    all_namespaces: bool,
    selector: str,
    permitted: tuple[str, ...] | None,
) -> Resolved | Choice:
    """The scope of a question. `all_namespaces` beats `namespace_flag`, as with kubectl.

    Raises UnknownName for a flag or certain name that does not exist, SettingsError where text and flag disagree.
    """
    flag = None if all_namespaces else namespace_flag
    names = _visible(names, permitted)
    if flag and flag not in names.namespaces and "namespaces" not in names.unseen:
        raise UnknownName("namespace", flag, names.namespaces)
    frame = _Frame(namespace=flag, selector=selector, permitted=permitted)
    meanings = [(mention, _meanings(mention, names, frame)) for mention in parsed.mentions]
    meanings = [(mention, found) for mention, found in meanings if found]
    known = [mention for mention, _ in meanings]
    places = [found[0] for _, found in meanings if len(found) == 1 and found[0].place]
    within = _within(places, frame)
    things: list[tuple[Mention, list[Option]]] = []
    for mention, found in meanings:
        if len(found) > 1 or not found[0].place:
            things.append((mention, _narrowed(mention, found, within)))
    decided = _decided(places, things, names, frame)
    return decided if isinstance(decided, Choice) else replace(decided, unknown=_strangers(parsed, known, names))


def _strangers(parsed: Parsed, known: Collection[Mention], names: Names) -> tuple[str, ...]:
    """Uncertain mentions that mean nothing here; none where not all that has a name could be listed."""
    if names.unseen:
        return ()
    understood = {mention.name for mention in known}
    strange = [m for m in parsed.mentions if not m.certain and m.name not in understood]
    strange = [m for m in strange if not ordinary(m.name) and not _FORMS.search(m.name)]
    return tuple(repr(m.name) if m.kind == "any" else f"{_what(m)} {m.name!r}" for m in strange)


def _visible(names: Names, permitted: tuple[str, ...] | None) -> Names:
    """The names a principal may be told of; namespaces stay, so that what is left out can be said."""
    if permitted is None:
        return names
    known: dict[str, dict[str, str]] = {**{ns: {} for ns in permitted}, **names.namespaces}
    return names.model_copy(
        update={
            "namespaces": known,
            "workloads": tuple(ref for ref in names.workloads if ref.namespace in permitted),
            "local_queues": tuple(queue for queue in names.local_queues if queue.namespace in permitted),
        }
    )


def _meanings(mention: Mention, names: Names, frame: _Frame) -> list[Option]:
    """What a mention can mean, the flag considered; raises UnknownName where a certain one means nothing."""
    found = options(mention, names)
    if not found and _may_be_a_place(mention):
        found = options(mention.model_copy(update={"kind": "namespace"}), names)
    if frame.namespace:
        inside = [o for o in found if o.place or o.namespaces is None or frame.namespace in o.namespaces]
        if found and not inside and mention.namespace:
            raise SettingsError(
                f"the question names namespace {mention.namespace!r}, the flag says {frame.namespace!r}",
                hint="drop one of the two",
            )
        found = inside
    if not found and mention.certain:
        raise _unknown(mention, names)
    return found


def _within(places: Sequence[Option], frame: _Frame) -> tuple[str, ...] | None:
    """The namespaces that places and flag leave; None where nothing narrows."""
    named = tuple(dict.fromkeys(ns for place in places for ns in place.namespaces or ()))
    if not places:
        return (frame.namespace,) if frame.namespace else None
    if frame.namespace and frame.namespace not in named:
        raise SettingsError(
            f"the question is about {places[0].label!r}, the flag says namespace {frame.namespace!r}",
            hint="drop one of the two",
        )
    return (frame.namespace,) if frame.namespace else named


def _narrowed(mention: Mention, found: list[Option], within: tuple[str, ...] | None) -> list[Option]:
    """The options inside the namespaces named; raises UnknownName when a certain name lies outside all of them."""
    if within is None:
        return found
    inside = [o for o in found if o.namespaces is None or any(ns in within for ns in o.namespaces)]
    things = [o for o in inside if not o.place] or inside
    if not things and mention.certain:
        raise UnknownName(f"{_what(mention)} in {', '.join(within)}", mention.name, [o.label for o in found])
    return things


def _decided(
    places: list[Option], things: list[tuple[Mention, list[Option]]], names: Names, frame: _Frame
) -> Resolved | Choice:
    things = [(mention, found) for mention, found in things if found]
    for mention, found in things:
        if len(found) > 1:
            return _choice(f"which one is {mention.name!r}?", found, places, names, frame)
    objects = {found[0].label: found[0] for _, found in things if found[0].node is None}
    nodes = {found[0].label: found[0] for _, found in things if found[0].node is not None}
    asked = list((objects or nodes).values())
    if len(asked) > 1:
        return _choice("the question names several things; which one is it about?", asked, places, names, frame)
    return _scope(asked[0] if asked else None, places, names, frame)


def _choice(prompt: str, found: Sequence[Option], places: Sequence[Option], names: Names, frame: _Frame) -> Choice:
    shown = list(found)[:MOST_CANDIDATES]
    if len(found) > len(shown):
        prompt = f"{prompt} ({len(shown)} of {len(found)} shown; name its namespace to narrow)"
    scopes = tuple(_scope(o, () if o.place else places, names, frame).scope for o in shown)
    return Choice(prompt=prompt, candidates=tuple(o.label for o in shown), scopes=scopes)


def _scope(chosen: Option | None, places: Sequence[Option], names: Names, frame: _Frame) -> Resolved:
    """The scope of a thing, else of the places, else of the flag, else of the cluster."""
    if chosen is not None and not chosen.place:
        asked, wanted = chosen.label, chosen.namespaces
    elif chosen is not None or places:
        around = [chosen] if chosen is not None else list(places)
        asked, wanted = _printed(around), _within(around, frame)
    elif frame.namespace:
        asked, wanted = f"namespace {frame.namespace}", (frame.namespace,)
    else:
        asked, wanted = "cluster", None
    readable, left_out = _allowed(wanted, names, frame.permitted)
    scope = Scope(
        asked=asked,
        subject=chosen.subject if chosen else None,
        namespaces=readable,
        permitted=frame.permitted,
        node=chosen.node if chosen else None,
        selector=frame.selector,
    )
    return Resolved(scope=scope, left_out=left_out)


def _printed(places: Sequence[Option]) -> str:
    """`namespace a`, `namespaces a, b`, `team x`."""
    labels = list(dict.fromkeys(place.label for place in places))
    if len(labels) > 1 and all(label.startswith("namespace ") for label in labels):
        return "namespaces " + ", ".join(label.removeprefix("namespace ") for label in labels)
    return ", ".join(labels)


def _allowed(
    wanted: tuple[str, ...] | None, names: Names, permitted: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """(namespaces to read, namespaces left out)."""
    if permitted is None:
        return wanted, ()
    asked = tuple(sorted(names.namespaces)) if wanted is None else wanted
    left_out = tuple(ns for ns in asked if ns not in permitted)
    return (permitted if wanted is None else tuple(ns for ns in wanted if ns in permitted)), left_out


def _what(mention: Mention) -> str:
    return mention.of or {"any": "object", "pod": "pod"}.get(mention.kind, mention.kind)


def _unknown(mention: Mention, names: Names) -> UnknownName:
    """The error for a name that does not exist, with near names of the same kind."""
    if mention.namespace and mention.namespace not in names.namespaces and names.namespaces:
        return UnknownName("namespace", mention.namespace, names.namespaces)
    near: dict[MentionKind, list[str]] = {
        "namespace": list(names.namespaces),
        "team": [*names.team_map, *(labels.get(names.team_label, "") for labels in names.namespaces.values())],
        "node": list(names.nodes),
        "queue": [*(queue.name for queue in names.local_queues), *names.cluster_queues],
        "pod": [ref.name for ref in names.workloads if ref.kind == "Pod"],
        "workload": [ref.name for ref in names.workloads if mention.of in ("", ref.kind)],
    }
    near["team"] += [*near["queue"], *near["namespace"]]
    known = near.get(mention.kind) or [name for some in near.values() for name in some]
    return UnknownName(_what(mention), mention.name, [name for name in known if name])
