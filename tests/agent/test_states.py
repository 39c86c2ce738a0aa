"""The state machine of proposals, read off its table."""

from __future__ import annotations

from typing import get_args

import pytest

from agent.changes.states import FINAL, OPEN, TAKES_EFFECT, TRANSITIONS, Move, NotAllowed, State, after, diagram

STATES: tuple[State, ...] = get_args(State)
MOVES: tuple[Move, ...] = get_args(Move)


def reachable(start: State, *, without: Move | None = None) -> set[State]:
    found: set[State] = {start}
    edge = [start]
    while edge:
        here = edge.pop()
        for (source, move), target in TRANSITIONS.items():
            if source == here and move != without and target not in found:
                found.add(target)
                edge.append(target)
    return found


def test_every_state_can_be_reached_and_every_move_is_used() -> None:
    assert reachable("draft") == set(STATES)
    assert {move for _, move in TRANSITIONS} == set(MOVES)


def test_nothing_takes_effect_without_an_approval_and_a_claim() -> None:
    needed: tuple[Move, ...] = ("preview", "submit", "approve", "claim", "write")
    for move in needed:
        assert not reachable("draft", without=move) & TAKES_EFFECT


def test_what_is_final_stays() -> None:
    assert {"refused", "rejected", "expired", "stale", "revoked", "undone"} == FINAL
    for state in FINAL:
        for move in MOVES:
            with pytest.raises(NotAllowed):
                after(state, move)


def test_a_lost_write_is_never_tried_again() -> None:
    assert "applying" not in reachable("unknown")
    assert "claimed" not in reachable("unknown")


def test_what_holds_an_object_is_not_final() -> None:
    assert not OPEN & FINAL


def test_the_diagram_has_every_transition() -> None:
    text = diagram()
    assert text.count(" --> ") == len(TRANSITIONS) + 1 + len(FINAL)
    assert "awaiting_approval --> approved: approve" in text
