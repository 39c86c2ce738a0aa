"""Who may ask for what: typed rules over structured fields, read from TOML.

Rules: default deny; forbid wins; the order of rules never matters; every question gets an answer that names the
rule. Nothing is matched on printed text. Secrets and service account tokens are refused here, in code, whatever
the file says. A call about every namespace touches each of them: a forbid on one namespace forbids it.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from tools.errors import DocumentError, SettingsError
from tools.types import CallScope, Effect, Frozen, KindRef, Mode, PolicyDecision, Principal, digest_of

METRICS = KindRef(kind="metrics")
"""Stands for our own catalogue of queries in the `kinds` of a rule."""
FREE_QUERY = KindRef(kind="metrics/free")
"""Stands for PromQL, matchers and labels that did not come from our own catalogue."""

_REFUSED_KINDS = frozenset(
    {"secret", "secrets", "secretlist", "serviceaccount/token", "serviceaccounts/token", "tokenrequest"}
)
_FRESH = "plumbline-witness"
"""A name no rule uses, to test what "*" covers."""

Selector: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f]{1,253}$")]
Selectors: TypeAlias = Annotated[tuple[Selector, ...], Field(min_length=1)]


class RuleLimits(Frozen):
    """Bounds an allow rule sets on one call; beyond them the rule does not apply."""

    names: int | None = Field(default=None, ge=0)
    """Most objects named."""
    namespaces: int | None = Field(default=None, ge=1)
    """Most namespaces touched; a call about every namespace exceeds any number."""


class Rule(Frozen):
    """One rule. Every list is required, so that a rule says what it means."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    verdict: Literal["allow", "forbid"]
    effects: Annotated[tuple[Effect, ...], Field(min_length=1)]
    kinds: Selectors
    """`Kind`, `Kind.group`, `metrics`, `metrics/free`, or `*` for all of them."""
    namespaces: Selectors
    """A name, a prefix as `team-*`, or `*` for all namespaces and for what has none."""
    modes: Annotated[tuple[Mode | Literal["*"], ...], Field(min_length=1)]
    principals: Selectors
    """`user:NAME`, `group:NAME`, `source:cli|tui|slack|incident`, or `*`."""
    limits: RuleLimits = RuleLimits()

    @model_validator(mode="after")
    def _selectors_are_exact(self) -> Rule:
        for kind in self.kinds:
            if "*" in kind and kind != "*":
                raise ValueError(f"kinds: {kind!r}: `*` stands alone")
        for namespace in self.namespaces:
            if "*" in namespace[:-1]:
                raise ValueError(f"namespaces: {namespace!r}: `*` may only end a prefix")
        for principal in self.principals:
            if principal != "*" and not principal.startswith(("user:", "group:", "source:")):
                raise ValueError(f"principals: {principal!r}: wants user:, group:, source: or *")
        if self.verdict == "forbid" and self.limits != RuleLimits():
            raise ValueError("limits belong to allow rules")
        return self

    def concerns(self, effect: Effect, principal: Principal, mode: Mode) -> bool:
        """True when the rule speaks about such calls at all."""
        return (
            effect in self.effects
            and ("*" in self.modes or mode in self.modes)
            and any(_is_principal(selector, principal) for selector in self.principals)
        )

    def touches(self, atom: Atom) -> bool:
        """Whether the rule covers the atom: allow rules wholly, forbid rules in any part."""
        if not any(_is_kind(selector, atom.kind) for selector in self.kinds):
            return False
        if atom.namespace is None:
            return "*" in self.namespaces or self.verdict == "forbid"
        return any(_is_namespace(selector, atom.namespace) for selector in self.namespaces)

    def within(self, scope: CallScope) -> bool:
        """True when the call keeps the rule's limits."""
        if self.limits.names is not None and len(scope.names) > self.limits.names:
            return False
        if self.limits.namespaces is None:
            return True
        return scope.namespaces is not None and len(set(scope.namespaces)) <= self.limits.namespaces


class Atom(NamedTuple):
    """The smallest thing a decision is about: one kind in one namespace (None: everywhere)."""

    kind: KindRef
    namespace: str | None


class Policy(Frozen):
    """A set of rules. `Policy(rules=())` denies everything."""

    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Policy:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise ValueError(f"two rules have the id {rule.id!r}")
            seen.add(rule.id)
        return self

    @cached_property
    def version(self) -> str:
        """SHA-256 of the rules, whatever their order."""
        return digest_of(sorted((r.model_dump(mode="json") for r in self.rules), key=lambda rule: str(rule["id"])))

    def decide(self, effect: Effect, scope: CallScope, principal: Principal, mode: Mode) -> PolicyDecision:
        """Allow or deny one call; total. The rule named is the same whatever the order of the rules."""
        atoms = _atoms(scope)
        if not atoms:
            return _deny("empty-selector", "the call selects nothing, which would mean everything")
        refused = next((atom for atom in atoms if is_refused(atom.kind)), None)
        if refused is not None:
            return _deny("never-secrets", f"{refused.kind} is never read, whatever the permissions")
        rules = [rule for rule in self.rules if rule.concerns(effect, principal, mode)]
        forbidding = sorted(r.id for r in rules if r.verdict == "forbid" and any(r.touches(atom) for atom in atoms))
        if forbidding:
            return _deny(forbidding[0], f"rule {forbidding[0]} forbids it")
        allowing = [r for r in rules if r.verdict == "allow" and r.within(scope)]
        return _allow_all(atoms, allowing)

    def could_allow(self, effect: Effect, touches: Sequence[str], principal: Principal, mode: Mode) -> bool:
        """True when `decide` would allow some call whose kinds are among `touches` (selectors as in a rule)."""
        kinds = self._witness_kinds(touches)
        return any(
            self.decide(effect, _scope_of(kind, namespace), principal, mode).allow
            for kind in kinds
            for namespace in self._witness_namespaces()
        )

    def _witness_kinds(self, touches: Sequence[str]) -> list[KindRef]:
        named = {kind for rule in self.rules for kind in rule.kinds if kind != "*"}
        if "*" in touches:
            return [parse_kind(kind) for kind in sorted({*named, _FRESH, "metrics", "metrics/free"})]
        return [parse_kind(kind) for kind in touches]

    def _witness_namespaces(self) -> list[str | None]:
        named = {namespace for rule in self.rules for namespace in rule.namespaces}
        concrete = {namespace.replace("*", _FRESH) for namespace in named}
        return [None, *sorted({*concrete, _FRESH})]


def parse_kind(text: str) -> KindRef:
    """`Kind` or `Kind.group` as a KindRef."""
    kind, _, group = text.partition(".")
    return KindRef(kind=kind, group=group)


def is_refused(kind: KindRef) -> bool:
    """True for Secrets and service account tokens, in any group and however spelled."""
    plain = unicodedata.normalize("NFKC", kind.kind).casefold()
    plain = "".join(c for c in plain if c.isalnum() or c in "/.")
    return plain.partition(".")[0] in _REFUSED_KINDS


def load_policy(text: str, *, name: str) -> Policy:
    """Parse a policy file. Raises DocumentError with the rule's line for anything that is not a policy."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DocumentError(name, None, "", f"not TOML: {error}") from None
    unknown = sorted(set(document) - {"rule"})
    if unknown:
        raise DocumentError(name, None, unknown[0], "unknown field; a policy is a list of [[rule]]")
    try:
        return Policy.model_validate({"rules": document.get("rule", [])})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = first["loc"][1:]
        index = next((token for token in path if isinstance(token, int)), None)
        field = ".".join(str(token) for token in path if not isinstance(token, int))
        raise DocumentError(name, _rule_line(text, index), field, str(first["msg"])) from None


def default_policy() -> Policy:
    """The policy that ships with the program."""
    text = resources.files("tools").joinpath("policy.toml").read_text(encoding="utf-8")
    return load_policy(text, name="policy.toml")


def policy_at(path: Path | None) -> Policy:
    """The policy of a file, or the one that ships. Raises SettingsError where it cannot be read, and as load_policy."""
    if path is None:
        return default_policy()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise SettingsError(f"{path}: {why}", hint="name a policy file, or leave the setting out") from None
    return load_policy(text, name=str(path))


def _rule_line(text: str, index: int | None) -> int | None:
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[rule]]")]
    return lines[index] if index is not None and index < len(lines) else None


def _atoms(scope: CallScope) -> list[Atom]:
    kinds = list(scope.kinds)
    if scope.metrics:
        kinds.append(FREE_QUERY if scope.free_query else METRICS)
    namespaces: Iterable[str | None] = [None] if scope.namespaces is None else scope.namespaces
    return [Atom(kind, namespace) for namespace in namespaces for kind in kinds]


def _scope_of(kind: KindRef, namespace: str | None) -> CallScope:
    namespaces = None if namespace is None else (namespace,)
    if kind in (METRICS, FREE_QUERY):
        return CallScope(namespaces=namespaces, metrics=True, free_query=kind == FREE_QUERY)
    return CallScope(kinds=(kind,), namespaces=namespaces)


def _allow_all(atoms: list[Atom], allowing: list[Rule]) -> PolicyDecision:
    used: set[str] = set()
    for atom in atoms:
        covering = sorted(rule.id for rule in allowing if rule.touches(atom))
        if not covering:
            where = f"in namespace {atom.namespace}" if atom.namespace else "in every namespace"
            return _deny("default-deny", f"no rule allows {atom.kind} {where}")
        used.add(covering[0])
    rule = "+".join(sorted(used))
    return PolicyDecision(allow=True, rule=rule, reason=f"allowed by {rule}")


def _deny(rule: str, reason: str) -> PolicyDecision:
    return PolicyDecision(allow=False, rule=rule, reason=reason)


def _is_kind(selector: str, kind: KindRef) -> bool:
    return selector == "*" or selector == str(kind)


def _is_namespace(selector: str, namespace: str) -> bool:
    if selector.endswith("*"):
        return namespace.startswith(selector[:-1])
    return selector == namespace


def _is_principal(selector: str, principal: Principal) -> bool:
    what, _, name = selector.partition(":")
    match what:
        case "*":
            return True
        case "user":
            return principal.user == name
        case "group":
            return name in principal.groups
        case _:
            return principal.source == name
