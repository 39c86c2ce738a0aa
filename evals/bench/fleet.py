"""A full diagnosis of a large fleet against the floor: the same answers, fetched in the same order and parsed.

Targets: at most 3 times the floor, at most 200 MiB of extra memory, and at most linear growth from 1,000 to 10,000
pods. The answers are recorded once, then served as bytes by another process to both contenders.
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from agent.app import App, Target
from agent.events import Answered, Failed
from agent.settings import Settings
from agent.types import Diagnosis
from evals.servers.canned import Canned, Key, Recorder, serve
from evals.servers.kube.server import KubeServer
from evals.servers.prom.server import PromServer
from evals.world.generate import big_fleet
from evals.world.model import World
from tools.kube.connect import KubeTarget, connect
from tools.prom.connect import connect_prom

QUESTION = "is everything all right?"
MAX_TAKES = 8
"""Runs until nothing new is asked: worlds of this size are slow to evaluate, and a question has its own deadline."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a fleet is."""

    nodes: int
    pods: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One size's figures: seconds, requests and MiB."""

    size: Size
    floor: float
    ours: float
    kube_requests: int
    prom_requests: int
    pages: int
    extra_mib: float
    findings: int

    @property
    def ratio(self) -> float:
        """Ours over the floor."""
        return self.ours / self.floor


def _kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig.json"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": url}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }
    path.write_text(json.dumps(config))
    return str(path)


async def diagnose(kube_url: str, prom_url: str) -> Diagnosis:
    """One whole answer over two URLs, in a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as name:
        folder = Path(name)
        kube = await connect(KubeTarget(kubeconfig=_kubeconfig(folder, kube_url)))
        prom = connect_prom(prom_url)
        try:
            target = Target(kube, prom, "bench")
            async with App.open(Settings(state_dir=folder / "state"), target) as app:
                session = await app.session()
                last = [event async for event in session.ask(QUESTION)][-1]
        finally:
            await prom.aclose()
            await kube.aclose()
    if not isinstance(last, Answered):
        raise RuntimeError(last.message if isinstance(last, Failed) else "no answer")
    return last.diagnosis


async def _record(world: World) -> tuple[Recorder, Recorder]:
    kube, prom = KubeServer(world), PromServer(world)
    kube_tape, prom_tape = Recorder(await kube.start()), Recorder(await prom.start())
    kube_url, prom_url = await kube_tape.start(), await prom_tape.start()
    try:
        for _ in range(MAX_TAKES):
            known = len(kube_tape.answers) + len(prom_tape.answers)
            kube_tape.order.clear()
            prom_tape.order.clear()
            await diagnose(kube_url, prom_url)
            if len(kube_tape.answers) + len(prom_tape.answers) == known:
                break
    finally:
        for server in (kube_tape, prom_tape, kube, prom):
            await server.stop()
    return kube_tape, prom_tape


async def _floor(url: str, order: list[Key]) -> None:
    """Fetch and parse, nothing else."""
    async with ClientSession() as client:
        for method, path, body in order:
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            async with client.request(method, f"{url}{path}", data=body or None, headers=headers) as answer:
                raw = await answer.read()
                if raw[:1] in (b"{", b"["):
                    json.loads(raw)


def _rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _best(times: int, action: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(times):
        begun = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begun)
    return best


def play(size: Size, kube: dict[Key, Canned], prom: dict[Key, Canned], orders: tuple[list[Key], list[Key]]) -> Measured:
    """Measure floor and ours on recorded answers."""
    with serve(kube) as kube_url, serve(prom) as prom_url:

        async def floor() -> None:
            await _floor(kube_url, orders[0])
            await _floor(prom_url, orders[1])

        floor_seconds = _best(3, lambda: asyncio.run(floor()))
        before = _rss_mib()
        answers: list[Diagnosis] = []
        ours = _best(3, lambda: answers.append(asyncio.run(diagnose(kube_url, prom_url))))
        extra = _rss_mib() - before
    pages = sum("continue=" in key[1] for key in orders[0])
    return Measured(size, floor_seconds, ours, len(orders[0]), len(orders[1]), pages, extra, len(answers[0].findings))


def measure(size: Size) -> Measured:
    """Record in a process of its own (so that its memory is not ours), then play."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        kube, prom, orders = pool.apply(record, (size,))
    return play(size, kube, prom, orders)


def record(size: Size) -> tuple[dict[Key, Canned], dict[Key, Canned], tuple[list[Key], list[Key]]]:
    """The answers of a generated fleet to one diagnosis."""
    world = big_fleet(nodes=size.nodes, pods=size.pods)
    kube, prom = asyncio.run(_record(world))
    return kube.answers, prom.answers, (kube.order, prom.order)
