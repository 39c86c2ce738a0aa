"""An applier beside a question: what a model proposes is previewed by a process of its own, which ends with ours."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent.analysis.queries import GPU_BUSY_MEAN
from agent.changes.adopting import adopted
from agent.store.ledger_sqlite import SqliteLedger
from evals.personas.honest import ANSWER, call
from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply
from evals.transcript import results
from evals.world.model import World
from plumbline import beside
from tests.cli.conftest import Command, Serve, Site
from tests.cli.models import Endpoint, flags, model_at
from tests.cli.test_proposals import keep
from tools import fields
from tools.types import JsonObject

__all__ = ["model_at"]
SCALE: JsonObject = {"group": "apps", "kind": "StatefulSet", "namespace": "vision", "name": "describe"}


class Proposes:
    """A model that reads the set and what its pods measure, and proposes a third replica."""

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """Read, propose, answer."""
        step = sum(message.role == "assistant" for message in request.messages)
        if step == 0:
            sets = call("list_objects", group="apps", kind="StatefulSet", namespace="vision")
            scaled = call("list_objects", group="keda.sh", kind="ScaledObject", namespace="vision")
            return ScriptedReply(calls=(sets, call("named_query", name=GPU_BUSY_MEAN.name), scaled))
        if step == 1:
            listed, measured, _ = results(request)
            busy = next(line.key for line in measured.lines if "describe-" in str(line))
            cites: list[JsonValue] = [f"{listed.id}/vision/describe", f"{measured.id}/{busy}"]
            args: JsonObject = {**SCALE, "replicas": 3}
            order: JsonObject = {"change": "scale", "args": args, "because": "requests queue", "cites": cites}
            return ScriptedReply(calls=(ScriptedCall("propose_change", order),))
        return ScriptedReply(calls=(ScriptedCall(ANSWER, {"claims": []}),))


@pytest.fixture
def site(serve: Serve) -> Site:
    """A world that is served."""
    return serve("kv-exhausted-small")


def test_a_question_whose_draft_is_previewed(plumbline: Command, model_at: Endpoint, site: Site) -> None:
    server = model_at(Proposes())
    applier = ("--with-applier", site.flags[1])
    done = plumbline("ask", "which requests queue?", *flags(server.url), *site.flags, *applier, "-o", "json")
    (name,) = fields.texts(done.json, "drafts")
    assert f"proposal {name}: awaiting approval" in done.err
    row = plumbline("proposals", "show", name, "-o", "json").json
    assert (row["state"], row["author"], row["asker"]) == ("awaiting approval", "model scripted", "world-admin")
    assert site.kube.effective_writes == []


def uid_of(world: World) -> str:
    """What tells a cluster from others: the uid of its kube-system."""
    (namespace,) = [
        one for one in world.objects
        if (fields.text(one, "kind"), fields.text(one, "metadata", "name")) == ("Namespace", "kube-system")
    ]  # fmt: skip
    return fields.text(namespace, "metadata", "uid")


def surface(site: Site, **given: str | None) -> Namespace:
    """The flags of a command that has an applier beside it."""
    told = {"with_applier": site.flags[1], "prometheus": site.prom_url, "request_timeout": None, "world": None}
    return Namespace(**{**told, "mode": "propose", **given})


async def test_a_draft_without_a_cluster_or_of_another_is_left_alone(site: Site, state_dir: Path) -> None:
    ledger, heard = SqliteLedger(state_dir), list[str]()
    args: JsonObject = {**SCALE, "replicas": 3}
    here, now = uid_of(site.world), site.world.clock.now
    for number, cluster in enumerate(("", "another", here), 1):
        draft = keep(state_dir, number, args=args, target="vision/StatefulSet/describe", uid="", at=now)
        adopted(ledger, draft, cluster=cluster)
    async with beside.applier(surface(site), heard.append):
        (row,) = await beside.follow(ledger, [f"{3:012x}"])
    assert row.state == "awaiting approval", heard
    assert [one.state for number in (1, 2) for one in ledger.find(f"{number:012x}")] == ["draft", "draft"]
    assert heard[0].startswith("applier: plumbline: applier world-admin@")
    assert heard[-1] == "applier: ended (0)"
    ledger.close()


async def test_an_applier_ends_with_its_surface(site: Site) -> None:
    heard = list[str]()
    async with beside.applier(surface(site), heard.append) as process:
        assert process.stdin is not None
        process.stdin.close()  # all that is left of a surface that was killed
        assert await asyncio.wait_for(process.wait(), 20) == 0
    assert "watches http" in heard[0]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--world", "fleet"), "--with-applier is for a cluster"),
        (("--mode", "incident"), "--with-applier and --mode incident contradict each other"),
    ],
)
def test_where_no_applier_belongs(plumbline: Command, words: tuple[str, ...], line: str) -> None:
    done = plumbline("ask", "why are our GPUs idle?", "--with-applier", "x.yaml", *words)
    assert (done.code, line in done.line) == (2, True)


def test_an_applier_that_cannot_start_ends_the_command(plumbline: Command, site: Site, tmp_path: Path) -> None:
    done = plumbline("ask", "why are our GPUs idle?", *site.flags, "--with-applier", str(tmp_path / "none.yaml"))
    assert (done.code, done.out) == (2, "")
    assert "plumbline: --with-applier: " in done.err.splitlines()[-1]
    assert "none.yaml" in done.err
