"""From the names in a question, and the flags beside it, to a Scope: exact, or a choice for the user, never a guess.

Rules: places (namespaces, teams) narrow, things (an object, a node, a queue) are what is asked about; a name with a
kind that does not exist is an error with near names; a bare word that is no name here is just a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.grammar import Parsed
from agent.mentions import Mention
from agent.names import Names as Names
from agent.names import Option, options
from agent.names import names_of as names_of
from tools.errors import UnknownName
from tools.types import Scope

NEEDED: dict[str, tuple[str, ...]] = {
    "namespace": ("namespaces",),
    "team": ("namespaces", "queues"),
    "node": ("nodes",),
    "queue": ("queues",),
    "pod": ("workloads",),
    "workload": ("workloads",),
    "any": ("namespaces", "nodes", "queues", "workloads"),
}
"""Kind of mention → what must be listed to tell what it means."""
WORDS = {"any": "object, node, namespace, team or queue", "workload": "workload"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """One scope, without doubt."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class Choice:
    """Several scopes fit; the user says which. A candidate, typed into a question, means just that scope."""

    prompt: str
    candidates: tuple[str, ...]
    scopes: tuple[Scope, ...]


def needs_names(parsed: Parsed) -> frozenset[str]:
    """What must be listed before `resolve`: "namespaces", "nodes", "queues", "workloads"."""
    return frozenset(what for mention in parsed.mentions for what in NEEDED[mention.kind])


def resolve(
    parsed: Parsed,
    names: Names,
    *,
    namespace_flag: str | None,
    all_namespaces: bool,
    selector: str,
    permitted: tuple[str, ...] | None,
) -> Resolved | Choice:
    """The scope of a question. Raises UnknownName for a name that is plainly meant and does not exist."""
    _check_flag(namespace_flag, names)
    base = Scope(asked="cluster", permitted=permitted, selector=selector)
    if namespace_flag and not all_namespaces:
        base = base.model_copy(update={"asked": f"namespace {namespace_flag}", "namespaces": (namespace_flag,)})
    scopes = [base]
    prompt = ""
    for mention in _strongest_first(parsed.mentions):
        found = _meanings(mention, names, base)
        if len(found) > 1:
            prompt = prompt or f"{mention.name} can mean {len(found)} things here; which one?"
        if found:
            scopes = [_narrowed(scope, option) for scope in scopes for option in found]
    unique = list({scope.asked: scope for scope in scopes}.values())
    if len(unique) == 1:
        return Resolved(unique[0])
    return Choice(prompt, tuple(scope.asked for scope in unique), tuple(unique))


def _check_flag(namespace: str | None, names: Names) -> None:
    listed = bool(names.namespaces) and "namespaces" not in names.unseen
    if namespace and listed and namespace not in names.namespaces:
        raise UnknownName("namespace", namespace, names.namespaces)


def _strongest_first(mentions: Iterable[Mention]) -> list[Mention]:
    return sorted(mentions, key=lambda mention: not mention.certain)


def _meanings(mention: Mention, names: Names, base: Scope) -> list[Option]:
    """What a mention can mean within the flags; nothing for a word that is no name here."""
    found = options(mention, names)
    if not found and mention.certain:
        raise UnknownName(WORDS.get(mention.kind, mention.kind), mention.name, _known(mention, names))
    inside = [
        o for o in found if base.namespaces is None or not o.namespaces or set(o.namespaces) & set(base.namespaces)
    ]
    return inside or found


def _known(mention: Mention, names: Names) -> set[str]:
    known: set[str] = set()
    if mention.kind in ("namespace", "team", "any"):
        known |= {*names.namespaces, *names.team_map}
        known |= {labels[names.team_label] for labels in names.namespaces.values() if names.team_label in labels}
    if mention.kind in ("node", "any"):
        known |= set(names.nodes)
    if mention.kind in ("queue", "any", "team"):
        known |= {q.name for q in names.local_queues} | set(names.cluster_queues)
    if mention.kind in ("pod", "workload", "any"):
        known |= {ref.name for ref in names.workloads if mention.namespace in (None, ref.namespace)}
    return known


def _narrowed(scope: Scope, option: Option) -> Scope:
    """The scope with one more thing known about it; a thing already asked about stays."""
    if option.place:
        narrower = option.namespaces if scope.namespaces is None else _both(scope.namespaces, option.namespaces)
        asked = option.label if scope.subject is None and scope.node is None else scope.asked
        return scope.model_copy(update={"namespaces": narrower, "asked": asked})
    if scope.subject is not None:
        return scope
    return scope.model_copy(
        update={
            "asked": option.label,
            "subject": option.subject,
            "node": option.node if option.subject is None else None,
            "namespaces": option.namespaces if option.namespaces is not None else scope.namespaces,
        }
    )


def _both(left: tuple[str, ...], right: tuple[str, ...] | None) -> tuple[str, ...]:
    common = tuple(name for name in left if right is None or name in right)
    return common or left
