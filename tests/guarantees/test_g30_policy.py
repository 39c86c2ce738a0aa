"""G30: policy is default-deny, forbid-wins, order-free and total. 10,000 examples a property in `make prove`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools import registry
from tools.policy import Policy, Rule, RuleLimits, default_policy, is_refused
from tools.types import CallScope, Effect, KindRef, Mode, Principal

KINDS = ("Pod", "Deployment.apps", "Node", "Pod/log", "metrics", "metrics/free", "Secret", "*")
SPACES = ("search", "team-a", "team-b", "kube-system", "team-*", "*")
MODES: tuple[Mode, ...] = ("incident", "propose", "apply")
EFFECTS: tuple[Effect, ...] = ("read", "draft", "write")
WHO = ("user:ann", "user:bob", "group:sre", "source:slack", "*")


PICK = random.Random(30)


def some(values: Sequence[str], wide: float) -> list[str]:
    """One to three different values, or with that probability all of them."""
    return ["*"] if PICK.random() < wide else PICK.sample(values, PICK.randint(1, 3))


def a_rule(number: int) -> Rule:
    """One rule out of the small world above; a third of them forbid."""
    verdict = PICK.choice(["allow", "allow", "forbid"])
    wide = 0.7 if verdict == "allow" else 0.2
    limits = RuleLimits()
    if verdict == "allow" and PICK.random() < 0.4:
        limits = RuleLimits(names=PICK.choice([None, 0, 1, 2]), namespaces=PICK.choice([None, 1, 2]))
    return Rule.model_validate(
        {
            "id": f"r{number}",
            "verdict": verdict,
            "effects": PICK.sample(EFFECTS, PICK.randint(1, 3)),
            "kinds": some(KINDS, wide),
            "namespaces": some(SPACES, wide),
            "modes": some((*MODES, "*"), wide),
            "principals": some(WHO, wide),
            "limits": limits,
        }
    )


def a_scope() -> CallScope:
    """One call's scope, often about nothing or about everything."""
    kinds = PICK.sample(KIND_REFS, PICK.randint(0, 3))
    namespaces = PICK.sample(["search", "team-a", "team-b", "other"], PICK.randint(0, 3))
    return CallScope(
        kinds=tuple(kinds),
        namespaces=None if PICK.random() < 0.3 else tuple(namespaces),
        names=tuple("abc"[: PICK.randint(0, 3)]),
        metrics=PICK.random() < 0.3,
        free_query=PICK.random() < 0.5,
    )


def a_principal() -> Principal:
    """One asker."""
    return Principal(
        source=PICK.choice(["cli", "tui", "slack", "incident"]),
        user=PICK.choice(["ann", "bob", ""]),
        groups=tuple(PICK.sample(["sre", "dev"], PICK.randint(0, 2))),
        established="world",
    )


KIND_REFS = (
    KindRef(kind="Pod"), KindRef(group="apps", kind="Deployment"), KindRef(kind="Node"), KindRef(kind="Pod/log"),
    KindRef(kind="Secret"), KindRef(group="example.com", kind="Odd"),
)  # fmt: skip
# Drawn from large pools made once: building a model for every draw would take most of the time of 10,000 examples.
RULES = [a_rule(number) for number in range(600)]
RENAMED = [rule.model_copy(update={"id": f"z{rule.id}"}) for rule in RULES]
POLICIES = st.lists(st.sampled_from(RULES), max_size=6, unique_by=lambda rule: rule.id).map(tuple)
MORE = st.lists(st.sampled_from(RENAMED), max_size=4, unique_by=lambda rule: rule.id).map(tuple)
CALLS = st.tuples(
    st.sampled_from(EFFECTS),
    st.sampled_from([a_scope() for _ in range(800)]),
    st.sampled_from([a_principal() for _ in range(60)]),
    st.sampled_from(MODES),
)


def default_deny(policy: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """Allowed only where allow rules cover every part; an empty policy and an empty selector allow nothing."""
    decision = Policy(rules=policy).decide(*call)
    allowing = [rule for rule in policy if rule.verdict == "allow"]
    if decision.allow:
        assert set(decision.rule.split("+")) <= {rule.id for rule in allowing}
    assert not Policy().decide(*call).allow
    assert not Policy(rules=tuple(r for r in policy if r.verdict == "forbid")).decide(*call).allow
    nothing = CallScope(namespaces=call[1].namespaces)
    assert Policy(rules=policy).decide(call[0], nothing, call[2], call[3]).rule == "empty-selector"


def forbid_wins(policy: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """Whatever is allowed, one forbid rule over the same call denies it, and is named."""
    effect, scope, principal, mode = call
    forbid = Rule(
        id="a-forbid",
        verdict="forbid",
        effects=(effect,),
        kinds=("*",),
        namespaces=("*",),
        modes=(mode,),
        principals=("*",),
    )
    decision = Policy(rules=(*policy, forbid)).decide(*call)
    assert not decision.allow
    for one in (rule for rule in policy if rule.verdict == "forbid" and rule.concerns(effect, principal, mode)):
        kinds = {str(kind) for kind in scope.kinds}
        if scope.kinds and scope.namespaces is None and kinds & set(one.kinds):
            assert not Policy(rules=policy).decide(*call).allow


def monotone(policy: tuple[Rule, ...], more: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """More forbid rules never allow more; more allow rules never allow less."""
    before = Policy(rules=policy).decide(*call).allow
    forbids = tuple(rule for rule in more if rule.verdict == "forbid")
    allows = tuple(rule for rule in more if rule.verdict == "allow")
    assert Policy(rules=(*policy, *forbids)).decide(*call).allow <= before
    assert Policy(rules=(*policy, *allows)).decide(*call).allow >= before


def order_free(policy: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """The decision, the rule it names and the version are those of the set of rules."""
    first = Policy(rules=policy)
    for order in itertools.islice(itertools.permutations(policy), 0, 12):
        assert Policy(rules=order).decide(*call) == first.decide(*call)
        assert Policy(rules=order).version == first.version
    swapped = call[1].model_copy(update={"kinds": tuple(reversed(call[1].kinds))})
    assert first.decide(call[0], swapped, call[2], call[3]).allow == first.decide(*call).allow


def listed_as_decided(policy: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """What is not listed is never allowed, and what is listed has a call that is."""
    effect, scope, principal, mode = call
    made = Policy(rules=policy)
    if made.decide(*call).allow:
        assert made.could_allow(effect, ("*",), principal, mode)
        touched = [str(kind) for kind in scope.kinds]
        touched += ["metrics/free" if scope.free_query else "metrics"] if scope.metrics else []
        assert made.could_allow(effect, touched, principal, mode)
    if not made.could_allow(effect, ("*",), principal, mode):
        assert not made.decide(*call).allow


def never_secrets(policy: tuple[Rule, ...], kind: KindRef, call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """No policy lets a Secret through, in any group or spelling, alone or among others."""
    effect, scope, principal, mode = call
    with_secret = scope.model_copy(update={"kinds": (*scope.kinds, kind)})
    assert not Policy(rules=policy).decide(effect, with_secret, principal, mode).allow


SPELLINGS = ["Secret", "secret", "SECRET", "secrets", "Secrets", "SecretList", " Secret ", "Se\u200bcret", "Ｓecret",
             "Secret.v1", "serviceaccounts/token", "ServiceAccount/token", "TokenRequest", "sec-ret"]  # fmt: skip
SECRET_KINDS = st.builds(
    KindRef, group=st.sampled_from(["", "apps", "v1", "example.com"]), kind=st.sampled_from(SPELLINGS)
)


def case(check: Callable[..., None], *strategies: st.SearchStrategy[object]) -> tuple[object, object]:
    """A property as a slice for every run and in full for `make prove`."""
    small = settings(max_examples=60, deadline=None, derandomize=True)
    full = settings(max_examples=10_000, deadline=None)
    return small(given(*strategies)(check)), pytest.mark.prove(full(given(*strategies)(check)))


test_default_deny, test_default_deny_in_full = case(default_deny, POLICIES, CALLS)
test_forbid_wins, test_forbid_wins_in_full = case(forbid_wins, POLICIES, CALLS)
test_monotone, test_monotone_in_full = case(monotone, POLICIES, MORE, CALLS)
test_order_free, test_order_free_in_full = case(order_free, POLICIES, CALLS)
test_listed_as_decided, test_listed_as_decided_in_full = case(listed_as_decided, POLICIES, CALLS)
test_never_secrets, test_never_secrets_in_full = case(never_secrets, POLICIES, SECRET_KINDS, CALLS)


@st.composite
def wild(draw: st.DrawFn) -> tuple[Effect, CallScope, Principal, Mode]:
    """Calls out of any text at all."""
    text = st.text(max_size=12)
    kinds = draw(st.lists(st.builds(KindRef, group=text, kind=text), max_size=3))
    scope = CallScope(
        kinds=tuple(kinds),
        namespaces=draw(st.none() | st.lists(text, max_size=3).map(tuple)),
        names=draw(st.lists(text, max_size=3).map(tuple)),
        metrics=draw(st.booleans()),
        free_query=draw(st.booleans()),
    )
    principal = Principal(
        source="slack", user=draw(text), groups=draw(st.lists(text, max_size=2).map(tuple)), established=draw(text)
    )
    return draw(st.sampled_from(EFFECTS)), scope, principal, draw(st.sampled_from(MODES))


def total(policy: tuple[Rule, ...], call: tuple[Effect, CallScope, Principal, Mode]) -> None:
    """Any call gets a decision that names a rule."""
    for made in (Policy(rules=policy), default_policy()):
        decision = made.decide(*call)
        assert decision.rule
        assert decision.reason


test_total, test_total_in_full = case(total, POLICIES, wild())


def test_the_shipped_policy_lists_every_tool_where_it_belongs_and_none_that_writes() -> None:
    policy = default_policy()
    person = Principal(source="cli", user="ann", established="world")
    modes: dict[Effect, set[Mode]] = {"read": set(MODES), "draft": {"propose", "apply"}, "write": set()}
    for spec in registry.load().values():
        assert {m for m in MODES if policy.could_allow(spec.effect, spec.touches, person, m)} == modes[spec.effect]


TOUCHED = {kind for change in registry.changes().values() for kind in change.kinds}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", sorted({*TOUCHED, *KIND_REFS}, key=str), ids=str)
def test_the_shipped_policy_drafts_for_one_object_of_a_kind_that_a_change_may_touch(kind: KindRef, mode: Mode) -> None:
    """At list time as at call time; in incident mode, for two objects, or for everything, never."""
    policy = default_policy()
    person = Principal(source="cli", user="ann", established="world")
    drafts = kind in TOUCHED and mode != "incident"
    clustered = kind.kind in ("Node", "ClusterQueue")
    one = CallScope(kinds=(kind,), namespaces=None if clustered else ("search",), names=("chat",))
    assert policy.decide("draft", one, person, mode).allow is drafts
    assert policy.could_allow("draft", (str(kind),), person, mode) is drafts
    for wide in (
        one.model_copy(update={"names": ("chat", "other")}),
        one.model_copy(update={"namespaces": ("search", "other"), **({"names": ("a", "b")} if clustered else {})}),
        one.model_copy(update={"namespaces": None} if not clustered else {"names": ("chat", "other", "third")}),
        one.model_copy(update={"kinds": (kind, KindRef(kind="Secret"))}),
        one.model_copy(update={"kinds": ()}),
    ):
        assert not policy.decide("draft", wide, person, mode).allow
    assert not policy.decide("write", one, person, mode).allow


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_secret(spelling: str) -> None:
    assert is_refused(KindRef(kind=spelling))


@pytest.mark.parametrize(
    "kind", ["SecretProviderClass", "ExternalSecret", "SealedSecret", "ServiceAccount", "Pod", "Token"]
)
def test_kinds_that_are_not_secrets(kind: str) -> None:
    assert not is_refused(KindRef(kind=kind))
