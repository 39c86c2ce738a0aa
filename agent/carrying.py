"""What a follow-up keeps of the last question: scope, topic, causes and window, but for what its text changes.

Rules: pure; it travels in the flags of a run, so that a resume needs nothing else; rights are those of who asks now,
never those of the answer it goes on from; where "the other namespace" may be several, the user chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent import grammar, scoping
from agent.followups import Followup
from agent.history import Past
from agent.mentions import Mention
from agent.types import Family, Topic
from tools import fields
from tools.errors import UserError
from tools.types import Frozen, JsonObject, Scope

FLAG = "carried"
"""The flag of a run that holds a Carried."""


class Carried(Frozen):
    """A follow-up, and the question it goes on from."""

    followup: Followup
    topic: Topic
    families: tuple[Family, ...]
    causes: tuple[str, ...]
    window: float
    scope: Scope
    understood: bool
    played: tuple[str, ...] = ()
    """Namespaces that answers before the last one were about."""


def carry(followup: Followup, past: Past, played: Sequence[str]) -> JsonObject:
    """The flag for a run that answers `followup`."""
    intent = past.intent
    carried = Carried(
        followup=followup,
        topic=followup.topic or intent.topic,
        families=followup.families if followup.topic else intent.families,
        causes=followup.causes if followup.topic else intent.causes,
        window=intent.window,
        scope=past.scope,
        understood=intent.understood or followup.topic is not None,
        played=tuple(played),
    )
    return {FLAG: carried.model_dump(mode="json")}


def carried(flags: JsonObject) -> Carried | None:
    """What the flags of a run carry over from an earlier one."""
    found = flags.get(FLAG)
    return Carried.model_validate(found) if isinstance(found, dict) else None


def parse(question: str, kept: Carried) -> grammar.Parsed:
    """The reading of a follow-up: names and times from its text, each name certain; the rest as before."""
    parsed = grammar.parse(kept.followup.text)
    mentions = tuple(mention.model_copy(update={"certain": True}) for mention in parsed.mentions)
    return grammar.Parsed(
        question=question,
        topic=kept.topic,
        families=kept.families,
        causes=kept.causes,
        span=parsed.span,
        mentions=() if kept.followup.place else _with_subject(mentions, kept.scope),
        understood=kept.understood,
    )


def _with_subject(mentions: tuple[Mention, ...], scope: Scope) -> tuple[Mention, ...]:
    """ "and in namespace b?" after a question about one workload: the workload of that name there, if there is one."""
    subject = scope.subject
    if subject is None or len(mentions) != 1 or mentions[0].kind != "namespace":
        return mentions
    name = subject.name.lower()
    same = Mention(kind="workload", name=name, namespace=mentions[0].name, of=subject.kind, certain=False)
    return (*mentions, same)


def resolve(
    kept: Carried, parsed: grammar.Parsed, names: scoping.Names, flags: JsonObject, *,
    permitted: tuple[str, ...] | None, gpu_namespaces: Sequence[str],
) -> scoping.Resolved | scoping.Choice:  # fmt: skip
    """The scope of a follow-up. Raises as `scoping.resolve` does, and UserError without another."""

    def scoped(wanted: grammar.Parsed, *, everywhere: bool = False) -> scoping.Resolved | scoping.Choice:
        return scoping.resolve(
            wanted,
            names,
            namespace_flag=fields.text(flags, "namespace") or None,
            all_namespaces=everywhere,
            selector=fields.text(flags, "selector") or kept.scope.selector,
            permitted=permitted,
        )

    if kept.followup.place == "other":
        return _other(kept, parsed, names, permitted, gpu_namespaces, scoped)
    if kept.followup.place == "everywhere":
        return scoped(parsed, everywhere=True)
    if parsed.mentions:
        return _nearest(scoped(parsed), kept.scope)
    flag = fields.text(flags, "namespace")
    if flag and kept.scope.namespaces != (flag,):
        return scoped(parsed)
    return _kept(kept.scope, fields.text(flags, "selector"), permitted)


def _nearest(outcome: scoping.Resolved | scoping.Choice, before: Scope) -> scoping.Resolved | scoping.Choice:
    """Of several meanings, the only one inside what the last question was about."""
    if isinstance(outcome, scoping.Resolved) or before.namespaces is None:
        return outcome
    inside = [s for s in outcome.scopes if s.namespaces and set(s.namespaces) <= set(before.namespaces)]
    return scoping.Resolved(scope=inside[0]) if len(inside) == 1 else outcome


def _other(
    kept: Carried,
    parsed: grammar.Parsed,
    names: scoping.Names,
    permitted: tuple[str, ...] | None,
    gpu_namespaces: Sequence[str],
    scoped: Callable[[grammar.Parsed], scoping.Resolved | scoping.Choice],
) -> scoping.Resolved | scoping.Choice:
    """The one other namespace in play, else the one other with GPU pods, else a choice."""

    def visible(namespace: str) -> bool:
        listed = namespace in names.namespaces or "namespaces" in names.unseen
        return listed and (permitted is None or namespace in permitted)

    before = set(kept.scope.namespaces or ())
    played = [ns for ns in kept.played if visible(ns)]
    others = [ns for ns in dict.fromkeys((*played, *gpu_namespaces)) if ns not in before and visible(ns)]
    found = (played if len(played) == 1 else others)[: scoping.MOST_CANDIDATES]
    if not found:
        raise UserError("there is no other namespace with GPU pods", hint='name one: "and in namespace NAME?"')
    scopes: list[Scope] = []
    for namespace in found:
        place = _with_subject((Mention(kind="namespace", name=namespace),), kept.scope)
        outcome = scoped(parsed.model_copy(update={"mentions": place}))
        if isinstance(outcome, scoping.Choice):
            return outcome
        scopes.append(outcome.scope)
    if len(scopes) == 1:
        return scoping.Resolved(scope=scopes[0])
    candidates = tuple(f"namespace {namespace}" for namespace in found)
    return scoping.Choice(prompt="which other namespace?", candidates=candidates, scopes=tuple(scopes))


def _kept(before: Scope, selector: str, permitted: tuple[str, ...] | None) -> scoping.Resolved:
    """The scope of the last question under the rights of who asks now."""
    readable, left_out = before.namespaces, tuple[str, ...]()
    if permitted is not None:
        asked = permitted if readable is None else readable
        readable = tuple(ns for ns in asked if ns in permitted)
        left_out = tuple(ns for ns in asked if ns not in permitted)
    update = {
        "asked": before.asked.partition(" where ")[0],
        "namespaces": readable,
        "permitted": permitted,
        "selector": selector or before.selector,
    }
    return scoping.Resolved(scope=before.model_copy(update=update), left_out=left_out)
