"""G4: what is shown for approval is a pure function of the plan's bytes: any byte of it shows, and no prose changes it.

Size: every field of a plan altered in several ways, and 60 generated plans, in `make test`; 5,000 in `make prove`.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.changes.patches import FieldChange, FieldValue
from agent.changes.plans import Plan
from agent.changes.view import approval_view, as_text
from agent.render import terminal
from tests.agent.test_plans import plan
from tools.changes import Blast, Verification

TEXT = st.text(max_size=12) | st.sampled_from(
    ["a\nb", "5 → 6", '"', "\u202e", "é", "e\u0301", "nothing", "null", "\\u00e9"]
)
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
PATHS = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
MOVES = st.tuples(PATHS, JSON, JSON)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan with anything in it."""
    return plan().model_copy(
        update={
            "change": draw(TEXT),
            "args": draw(OBJECTS),
            "patch": draw(OBJECTS),
            "inverse": draw(OBJECTS),
            "predicted": tuple(draw(st.lists(TEXT, max_size=3))),
            "before": tuple(FieldValue(path=p, value=v) for p, v in draw(st.lists(st.tuples(PATHS, JSON), max_size=2))),
            "dry_run": tuple(FieldChange(path=p, before=b, after=a) for p, b, a in draw(st.lists(MOVES, max_size=2))),
        }
    )


def _differ(one: Plan, other: Plan) -> None:
    shown = as_text(one), as_text(other)
    assert (shown[0] == shown[1]) == (one.body == other.body)
    for text in shown:
        assert all(line.isprintable() for line in text.splitlines())
        assert text.count("\n") == text.rstrip("\n").count("\n") + 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(plans(), plans())
def test_two_plans_that_differ_never_look_the_same(one: Plan, other: Plan) -> None:
    _differ(one, other)


@pytest.mark.prove
@settings(max_examples=5_000, deadline=None, derandomize=True)
@given(plans(), plans())
def test_two_plans_that_differ_never_look_the_same_in_full(one: Plan, other: Plan) -> None:
    _differ(one, other)


@pytest.mark.parametrize("name", sorted(set(Plan.model_fields) - {"version"}))
def test_every_field_shows(name: str) -> None:
    made = plan()
    altered: dict[str, object] = {
        "proposal": "2" * 12, "change": "restart", "args": {"replicas": 6}, "tier": "C", "cluster": "other",
        "target": made.target.model_copy(update={"uid": "other"}), "generation": None, "before": (),
        "patch": {"spec": {"replicas": 4}}, "inverse": {}, "policy": "f" * 64, "dry_run": (), "predicted": (),
        "blast": Blast(restarts=True),
        "verification": (Verification(query="x", comparator="<=", bound=3, settle=60, window=601),),
        "expires": made.expires + 0.5, "nonce": "ef" * 16, "undoes": "3" * 12,
        "requesters": ("ada", "grace"),
    }  # fmt: skip
    assert as_text(made.model_copy(update={name: altered[name]})) != as_text(made)


def test_what_is_drawn_is_the_text_never_wrapped_or_cut() -> None:
    drawn = terminal.draw(approval_view(plan()), width=40, color=False)
    for line in as_text(plan()).splitlines()[1:]:
        assert line.rstrip() in drawn
