"""Records a live target: a session is run over ports that take notes, and what it stood on is read whole.

Rules: only the read ports, under the product's own gate and policy; the moment is Prometheus's, else the API
server's, in whole seconds; writes nothing (see writer.py). How the cluster answers writes is not recorded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.app import App, Target
from agent.events import Asked
from agent.settings import Settings
from evals.recording.objects import Reading, access, definitions
from evals.recording.sampling import Sampling, neighbours, windows_of
from evals.recording.tapping import TappedKube, TappedProm
from evals.recording.writer import LeftOut, Recorded
from evals.servers.kube.kinds import release_of
from tools.errors import BadAnswer, Denied, PortError
from tools.prom.port import LiveProm
from tools.types import JsonObject, MetricsPort

SINCE = 3600.0
"""Seconds of history that every series gets at least."""
MAX_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What to record."""

    question: str = ""
    """Asked besides the full diagnosis; what it touches is recorded too."""
    namespaces: tuple[str, ...] = ()
    """Namespaced objects of these only; empty: all that are asked for."""
    since: float = SINCE
    """Seconds of history of every series; longer where a query looks further back."""


async def record(settings: Settings, target: Target, wish: Wish) -> Recorded:
    """Everything a world needs. Raises PlumblineError where the cluster cannot be read at all."""
    kube = TappedKube(target.kube)
    moment, faults = await _prometheus(target)
    prom = TappedProm(target.prom) if target.prom is not None and moment is not None else None
    now = math.floor(moment if moment is not None else await kube.server_time())
    tapped = replace(target, kube=kube, prom=prom)
    await _session(settings, tapped, wish, float(now))
    reading = Reading(kube, wish.namespaces)
    found = await reading.read()
    recorded = Recorded(
        description=f"Recorded{f' for the question: {wish.question}' if wish.question else ''}.",
        now=now,
        kubernetes=".".join(map(str, release_of(found.server_version))),
        objects=reading.objects,
        logs=reading.logs,
        definitions=definitions(found),
        faults=faults,
        access=access(kube, found),
        left_out=[*reading.left_out, LeftOut("reactions", "what follows a write cannot be read; write reactions.yaml")],
    )
    recorded.left_out += [LeftOut(f"API group {group}", "did not answer") for group in found.unreachable]
    if prom is not None:
        await _series(recorded, prom, wish.since)
    else:
        # without the address and words of the server, which say nothing about the world
        why = "Prometheus did not answer" if target.prom_note else "there is no Prometheus"
        recorded.left_out.append(LeftOut("every series", why))
    return recorded


async def _prometheus(target: Target) -> tuple[float | None, list[JsonObject]]:
    """Prometheus's time; None where it does not answer, with the fault under which a world answers alike."""
    if target.prom is None:
        return None, [{"server": "prom", "status": 503}]
    try:
        return await target.prom.server_time(), []
    except BadAnswer:
        return None, [{"server": "prom", "html": True}]
    except Denied:
        return None, [{"server": "prom", "status": 403}]
    except PortError:
        return None, [{"server": "prom", "status": 503}]


async def _session(settings: Settings, target: Target, wish: Wish, now: float) -> None:
    """Run the question and the full diagnosis, for what they touch; the answers do not matter here."""
    playbook = settings.model_copy(update={"reasoner": "playbook", "model": ""})
    async with App.open(playbook, target, at=now) as app:
        one = wish.namespaces[0] if len(wish.namespaces) == 1 else None
        if wish.question:
            session = await app.session(namespace=one)
            async for event in session.ask(wish.question):
                if isinstance(event, Asked) and event.candidates:
                    break
        session = await app.session(namespace=one)
        async for _ in session.diagnose(("gpu", "drift")):
            pass


async def _series(recorded: Recorded, prom: TappedProm, since: float) -> None:
    now = float(recorded.now)
    windows, left_out = windows_of({*prom.queries, *prom.selectors}, now=now, since=since)
    sampling = Sampling(prom.port, now)
    await sampling.fetch(windows)
    await sampling.fetch(neighbours(windows, start=now - since))  # after what was touched, which they must not push out
    recorded.series = list(sampling.series())
    recorded.sample_interval = sampling.interval()
    recorded.left_out += [*left_out, *sampling.left_out]
    recorded.prometheus = await _version(prom.port)
    try:
        recorded.alerts = await prom.port.alerts()
    except PortError as error:
        recorded.left_out.append(LeftOut("alerts", error.message))
    if prom.warnings:
        texts = sorted(prom.warnings)[:MAX_WARNINGS]
        recorded.faults.append({"server": "prom", "match": "/api/v1/query", "warnings": list(texts)})


async def _version(port: MetricsPort) -> str:
    """Which edges range windows have: `2.x` or `3.x`."""
    if not isinstance(port, LiveProm):
        return "3.x"
    try:
        version = (await port.buildinfo()).get("version")
    except PortError:
        return "3.x"
    return "2.x" if str(version).startswith("2.") else "3.x"
