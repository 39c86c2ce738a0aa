"""What is told of remedies and of causes that were not found: in words, and with the evidence that tells."""

from __future__ import annotations

import re

import pytest

from agent.recall import worded
from agent.types import FieldEdit, GitPatch, LiveChange
from tests.agent.conftest import Opener
from tests.agent.test_followups import answered
from tools import registry
from tools.errors import UserError
from tools.types import JsonObject, ResourceRef

INTERNAL = re.compile(r"[{}\[\]]|\w+='|None\b|\w+=None|/spec/")
HPA = ResourceRef(group="autoscaling", kind="HorizontalPodAutoscaler", namespace="ml", name="chat")


def test_a_change_is_said_in_words_and_as_a_command() -> None:
    args: JsonObject = {"group": "apps", "kind": "Deployment", "namespace": "ml", "name": "chat", "replicas": 5}
    assert worded(LiveChange(name="scale", args=args)) == (
        "scale ml/Deployment/chat: replicas 5 (to propose it: `proposals new scale group=apps kind=Deployment"
        " namespace=ml name=chat replicas=5`)"
    )
    cordon = worded(LiveChange(name="cordon", args={"name": "gpu-4"}))
    assert cordon == "cordon gpu-4 (to propose it: `proposals new cordon name=gpu-4`)"


def test_edits_are_said_without_pointers_and_brackets() -> None:
    edits = (
        FieldEdit(pointer="/spec/minReplicas", before=1, after=2),
        FieldEdit(pointer="/spec/metrics", after=[{"type": "External", "value": "5"}]),
    )
    said = worded(GitPatch(target=HPA, edits=edits))
    assert said == (
        "change ml/HorizontalPodAutoscaler/chat in its source of truth:"
        " set spec.minReplicas to 2; set spec.metrics to type External, value 5"
    )


@pytest.mark.parametrize(
    "world", ["hpa-cpu", "kv-exhausted", "idle-server", "idle-jobset", "xid-bus", "telemetry-off", "pending-taint",
              "input-starved", "digest-tag-moved"],
)  # fmt: skip
async def test_every_remedy_is_words_and_every_change_can_be_proposed(opened: Opener, world: str) -> None:
    async with opened(world) as (app, _):
        session = await app.session()
        await answered(session, "is everything all right?")
        found = await answered(session, "what should I do?")
    assert found.shown, world
    for claim in found.shown:
        assert not INTERNAL.search(claim.text), claim.text
        for name, pairs in re.findall(r"`proposals new (\w+) ([^`]+)`", claim.text):
            given = dict(pair.split("=", 1) for pair in pairs.split())
            numbers = {key: float(value) for key, value in given.items() if re.fullmatch(r"\d+\.\d+", value)}
            registry.changes()[name].args.model_validate({**given, **numbers})


async def test_why_not_a_cause_by_its_id_shows_what_was_seen(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        session = await app.session()
        await answered(session, "why are our GPUs idle?")
        for cause, seen in (("U01", "worked within 30 min"), ("U25", "keep their GPUs fed"), ("U16", "no preemption")):
            found = await answered(session, f"why not {cause}?")
            assert "looked for and not found" in found.narrative
            assert any(seen in claim.text and claim.refs for claim in found.checked), cause


async def test_why_not_idle_where_nothing_was_measured(opened: Opener) -> None:
    async with opened("telemetry-off") as (app, _):
        session = await app.session()
        first = await answered(session, "why are our GPUs idle?")
        found = await answered(session, "why not U01?")
    assert "U01" not in {entry.cause for entry in first.ruled_out}
    assert found.narrative.startswith("This could not be decided")
    assert found.missing


async def test_a_workload_that_waits_is_said_to_wait(opened: Opener) -> None:
    async with opened("training-no-room") as (app, _):
        found = await answered(await app.session(), "why is alignment/wide pending?")
    assert found.narrative.startswith("alignment/Job/wide waits, and no cause that is known here explains it: ")
    assert "no node in service has the 8 GPUs free that it asks for" in found.narrative


async def test_a_name_that_nobody_has_is_said(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        found = await answered(await app.session(), "why is foobar slow?")
    assert found.unknown == ("'foobar'",)
    assert found.scope.asked == "cluster"


async def test_an_order_looks_for_no_past_changes(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        session = await app.session()
        for order in ("propose a change", "roll back the last change"):
            found = await answered(session, order)
            assert found.shown_as != "changes"
            if not app.reasoner.explores:
                assert "proposals new CHANGE" in found.beyond
                assert not found.understood


async def test_a_choice_that_nobody_asked_for_is_refused(opened: Opener) -> None:
    async with opened("hpa-cpu") as (app, _):
        session = await app.session()
        await answered(session, "why are team search's H100s half idle?")
        with pytest.raises(UserError, match="waits for no choice"):
            [event async for event in session.answer("why not U01?")]
