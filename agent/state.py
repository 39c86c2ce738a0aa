"""The graph's state: plain JSON values and evidence ids, never evidence bodies, clients or chat transcripts."""

from __future__ import annotations

from typing import TypedDict

from tools.types import JsonObject


class Gathered(TypedDict):
    """A call that was made and the evidence it brought."""

    call: JsonObject
    evidence: str


class Used(TypedDict):
    """Calls that the causes needed, and calls and seconds of a language model. The causes' time begins anew with a
    resume: what hung before may answer now."""

    calls: int
    model_calls: int
    model_seconds: float


class State(TypedDict, total=False):
    """One run. Everything here survives a crash and is what a resume starts from."""

    question: str
    run: int
    now: float
    flags: JsonObject
    """What the surface fixed: namespace, all_namespaces, selector, families, window."""
    chosen: str
    """The user's choice between candidates, once made."""
    choice: JsonObject
    """{prompt, candidates} while the user must choose; empty otherwise."""
    intent: JsonObject
    scope: JsonObject
    round: int
    calls: list[JsonObject]
    """Calls of the coming round."""
    gathered: list[Gathered]
    derived: list[str]
    """Ids of the numbers that the judgement worked out: their numbering goes on from `gathered`."""
    diagnosis: JsonObject
    consulting: bool
    """True once the causes have judged: what is gathered from here on is for the reasoner."""
    used: Used
    """What the run has used of its budgets, for a resume to go on from."""
    reasoner: JsonObject
    """The reasoner's own memory of the run."""
