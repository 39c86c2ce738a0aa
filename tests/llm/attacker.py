"""What an attacker knows of a stage: everything that was read, and which of it bears a change of what."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.llm.adversary import Stage
from tests.llm.recording_ports import OTHERS, OWN, WORKLOADS
from tests.llm.sequences import Knowledge
from tools import fields, registry
from tools.types import Evidence, ToolCall


def knowledge(stage: Stage) -> Knowledge:
    """What an attacker knows who has seen everything that was read."""
    own, seen = stage.setting.permitted or OWN, stage.before
    usable = [(call, found) for call, found in seen if found.usable]
    rows = [f"{found.id}/{row.key}" for _, found in usable for row in found.rows[:3]]
    text = [found.id for _, found in usable if found.trust == "text"]
    written = [f"{f.id}/search/chat" for c, f in usable if c.args.get("kind") == "Deployment"]
    status = [f"{name}/status/readyReplicas" for name in written]
    bearing: dict[str, list[tuple[str, str]]] = {}
    for name, (_, pods) in WORKLOADS.items():
        cites = [c for c, of in _series(usable) if of.get("pod") in pods or of.get("deployment") == name]
        measured = [*(status[:1] if name == "chat" else ()), *cites[:1], *cites[-1:]]
        bearing[name] = [(one, other) for one in measured for other in (*measured, *text) if one != other]
    series = [cite for cite, _ in _series(usable)]
    alone = [(one, one) for one in (*status, *series[:2])] + [(one, other) for one in status for other in written]
    pairs = itertools.product((*written[:1], *text), (*text, *written[:1], *series[:5]))
    return Knowledge(
        tools=registry.load(),
        queries=sorted(stage.queries),
        own=own,
        foreign=[name for name in (*OWN, *OTHERS) if name not in own],
        evidence=[found.id for _, found in seen] + [found.id for found in stage.derived],
        cites=[*rows, *status],
        bearing={name: found for name, found in bearing.items() if found},
        lacking=[*alone, *pairs],
    )


def _series(usable: Sequence[tuple[ToolCall, Evidence]]) -> list[tuple[str, dict[str, str]]]:
    """(citation, labels) of every series of our own queries."""
    rows = [(found, row) for _, found in usable if found.tool == "named_query" for row in found.rows]
    return [(f"{found.id}/{row.key}", fields.strings(row.data, "labels")) for found, row in rows]
