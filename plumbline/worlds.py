"""Worlds for other programs: list them, say what is wrong with them, serve one on loopback."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from agent.analysis.readings import plural
from agent.render.document import clean
from evals.scenario_lint import lint_scenario
from evals.servers.kube.server import KubeServer
from evals.servers.prom.real import RealPrometheus
from evals.servers.prom.server import PromServer
from evals.world.catalogue import worlds
from evals.world.lint import lint
from evals.world.load import load
from evals.world.model import Clock
from plumbline.outcome import put
from plumbline.times import duration
from tools.errors import DocumentError, SettingsError
from tools.fields import rfc3339
from tools.types import JsonObject

TICK = 0.25
"""Seconds between two steps of a running world's clock."""


def listing(_arguments: argparse.Namespace) -> int:
    """The worlds and what each is."""
    put("".join(f"{name:32} {clean(description)}\n" for name, description in worlds()))
    return 0


def linting(arguments: argparse.Namespace) -> int:
    """Every mistake of these worlds and scenarios, or of all worlds that come along; exit code 1 where there is one."""
    names = arguments.names or [name for name, _ in worlds()]
    mistakes = [(name, error) for name in names for error in _linted(name)]
    if arguments.output == "json":
        put(json.dumps([_mistake(name, error) for name, error in mistakes], indent=2) + "\n")
    else:
        put("".join(f"{clean(str(error))}\n" for _, error in mistakes))
        put(f"{len(names)} checked, {plural(len(mistakes), 'mistake')}\n")
    return 1 if mistakes else 0


def _linted(name: str) -> list[DocumentError]:
    return lint_scenario(Path(name)) if name.endswith((".yaml", ".yml")) else lint(name)


def _mistake(name: str, error: DocumentError) -> JsonObject:
    return {"world": name, "file": error.file, "line": error.line, "field": error.field, "problem": error.problem}


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    history = duration(arguments.history, "--history")
    if arguments.prometheus_bin and arguments.prom_port:
        raise SettingsError("a real Prometheus takes any free port", hint="leave --prom-port out")
    try:
        return asyncio.run(_serve(arguments, history))
    except OSError as error:
        raise SettingsError(
            f"cannot listen: {error.strerror}", hint="choose another --kube-port or --prom-port"
        ) from None


async def _serve(arguments: argparse.Namespace, history: float) -> int:
    world = load(arguments.name, anchor=time.time() if arguments.anchor == "now" else None)
    real = RealPrometheus(world, binary=arguments.prometheus_bin, history=history) if arguments.prometheus_bin else None
    kube, prom = KubeServer(world, port=arguments.kube_port), PromServer(world, port=arguments.prom_port)
    async with AsyncExitStack() as stack:
        kube_url = await kube.start()
        stack.push_async_callback(kube.stop)
        path = _kubeconfig(kube, arguments.kubeconfig_out)
        if real is not None:
            prom_url = await asyncio.to_thread(real.start)
            stack.push_async_callback(asyncio.to_thread, real.stop)
        else:
            prom_url = await prom.start()
            stack.push_async_callback(prom.stop)
        # A real Prometheus has a clock of its own, which soon has gone past the world's last sample.
        at = f" --at {rfc3339(world.clock.now)}" if real else ""
        put(
            f"world       {world.name}: {clean(world.description)}\n"
            f"api server  {kube_url}\nprometheus  {prom_url}\nkubeconfig  {path}\n"
            f'try         plumbline ask --kubeconfig {path} --prometheus {prom_url}{at} "why are our GPUs idle?"\n'
        )
        if arguments.run_clock:
            ticking = asyncio.create_task(run_clock(world.clock))
            stack.callback(ticking.cancel)
        await _until_interrupted()
    return 0


async def run_clock(clock: Clock) -> None:
    """Let a world's clock go as fast as ours."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(TICK)
        now = time.monotonic()
        clock.advance(now - last)
        last = now


def _kubeconfig(kube: KubeServer, wanted: str | None) -> Path:
    path = Path(wanted) if wanted else Path(tempfile.mkdtemp(prefix="plumbline-world-")) / "kubeconfig"
    try:
        path.write_text(json.dumps(kube.kubeconfig(), indent=2), encoding="utf-8")
        path.chmod(0o600)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint="choose another --kubeconfig-out") from None
    return path


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    print("stopped", file=sys.stderr)
