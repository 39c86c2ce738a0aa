"""G1, the part that holds before anything can be applied: whatever a model emits, nothing outside policy executes.

Generated call sequences of a model that knows every tool and the policy, through the real reasoner, gate, redactor and
drafting. What is allowed is worked out again here, from the shipped policy and from the small cluster as it is known.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.llm.types import Reply
from tests.llm.adversary import SETTINGS, Outcome, Setting, Stage
from tests.llm.attacker import knowledge
from tests.llm.invariants import READS, TOOLS, check
from tests.llm.sequence_words import FORBIDDEN
from tests.llm.sequences import MOST_CALLS, PROPOSE, Grammar
from tools import fields
from tools.types import KubePort, MetricsPort

SEQUENCES, SHARDS = 100_000, 40
SLICE = 75
"""Sequences of each setting in every test run."""


@dataclass(slots=True)
class Tally:
    """What was generated, and what became of it."""

    sequences: int = 0
    generated: int = 0
    asked: int = 0
    """Requests to the model."""
    executed: int = 0
    requests: int = 0
    """Requests to the ports."""
    drafts: int = 0
    claims: int = 0
    stopped: int = 0
    """Runs that ended because nothing could be audited."""
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, calls: int, outcome: Outcome) -> None:
        """Count one sequence."""
        journal = outcome.journal
        self.sequences += 1
        self.generated += calls
        self.asked += outcome.port.requests
        self.executed += len(journal.audited("call"))
        self.requests += len(journal.asked())
        self.drafts += len(outcome.drafts)
        self.claims += len(outcome.diagnosis.explained) if outcome.diagnosis else 0
        self.stopped += outcome.failed is not None
        self.refused.update(fields.text(body, "rule") for body in journal.audited("decision"))

    def __str__(self) -> str:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in self.refused.most_common())
        counts = ", ".join(
            f"{name} {getattr(self, name):,}"
            for name in ("sequences", "generated", "asked", "executed", "requests", "drafts", "claims", "stopped")
        )
        return f"{counts}; refused at the gate: {rules}"


async def play(setting: Setting, directory: Path, seeds: range) -> Tally:
    """The sequences of some seeds in one setting. Every 12th meets an audit log that fills up.

    The calls of every tenth go to the gate once more, whether they were offered or not.
    """
    stage, tally = Stage(setting, directory), Tally()
    try:
        await stage.prepare()
        known = knowledge(stage)
        for seed in seeds:
            attack = Grammar(seed, known).attack()
            full = random.Random(seed).randint(0, 12) if seed % 12 == 0 else None
            try:
                outcome = await stage.attempt(attack.replies, attack.after, full_after=full)
                check(outcome)
                assert full is not None or outcome.failed is None
                if seed % 10 == 9:
                    forced = await stage.force(attack.replies)
                    check(forced)
                    tally.refused.update(fields.text(body, "rule") for body in forced.journal.audited("decision"))
            except Exception as error:
                error.add_note(f"seed {seed}, {setting.name}")
                raise
            tally.add(attack.calls, outcome)
    finally:
        stage.close()
    return tally


def _counted(tally: Tally, record: Callable[[str, object], None]) -> None:
    record("size", tally.sequences)
    print(tally)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
async def test_nothing_outside_policy_executes(
    setting: Setting, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = await play(setting, tmp_path, range(SLICE))
    _counted(tally, record_property)
    assert tally.executed > SLICE / 2
    assert {"never-secrets", "arguments", "unknown-tool"} <= set(tally.refused)
    assert ("default-deny" in tally.refused) == (setting.mode == "incident")
    assert tally.stopped
    assert bool(tally.drafts) == (setting.mode == "propose")
    assert setting.permitted is None or tally.refused["tenancy"]
    assert tally.refused["budget"]


@pytest.mark.prove
@pytest.mark.parametrize("shard", range(SHARDS))
async def test_nothing_outside_policy_executes_in_full(
    shard: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    size = SEQUENCES // SHARDS
    first = 1_000_000 + shard * size
    tally = await play(SETTINGS[shard % len(SETTINGS)], tmp_path, range(first, first + size))
    _counted(tally, record_property)
    assert tally.executed > size / 2


async def test_the_grammar_repeats_itself_and_reaches_every_tool(tmp_path: Path) -> None:
    stage = Stage(SETTINGS[0], tmp_path)
    await stage.prepare()
    known = knowledge(stage)
    stage.close()
    first, again = (Grammar(7, known).attack() for _ in range(2))
    assert str(first) == str(again)
    calls = [
        call
        for seed in range(600)
        for reply in Grammar(seed, known).attack().replies
        if isinstance(reply, Reply)
        for call in reply.calls
    ]
    assert set(TOOLS) <= {call.name for call in calls}
    assert sum(call.name == PROPOSE for call in calls) > 50
    assert max(Counter(call.id for call in calls).values()) > MOST_CALLS
    assert all(
        any(json.dumps(kind)[1:-1] in call.arguments for call in calls) for _, kind in FORBIDDEN if kind.isascii()
    )
    assert any(not call.complete for call in calls)


@pytest.mark.parametrize("protocol", [KubePort, MetricsPort])
def test_a_port_can_do_nothing_but_read(protocol: type) -> None:
    allowed = {"pages", "get", "allowed", "whoami", "server_time", "requests", *READS}
    assert {name for name in vars(protocol) if not name.startswith("_")} <= allowed
