"""Worlds for other programs: list them, serve one on loopback, run the scenarios on them."""

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

from agent.render.document import clean
from evals import compare, runner
from evals.engine import engine_of
from evals.servers.kube.server import KubeServer
from evals.servers.prom.real import RealPrometheus
from evals.servers.prom.server import PromServer
from evals.world.catalogue import worlds
from evals.world.load import load
from evals.world.model import Clock
from plumbline.outcome import put
from plumbline.targets import settings_of
from plumbline.times import duration
from tools.errors import SettingsError
from tools.fields import rfc3339

MAX_EPOCHS = 100
TICK = 0.25
"""Seconds between two steps of a running world's clock."""


def evaluate(arguments: argparse.Namespace) -> int:
    """Run the scenarios, or hold stored reports side by side."""
    if arguments.compare:
        put("".join(f"{clean(text)}\n" for text in compare.lines(arguments.compare)))
        return 0
    if not 1 <= arguments.epochs <= MAX_EPOCHS:
        raise SettingsError(f"--epochs {arguments.epochs} is out of range", hint=f"1 to {MAX_EPOCHS}")
    if arguments.injection:
        return _attacked(arguments)
    settings = settings_of(arguments)
    engine = engine_of(settings, judging=not arguments.no_diagnosers, judge=arguments.judge or "")
    return runner.main(
        arguments.pattern,
        output=arguments.output,
        workers=arguments.workers,
        out=sys.stdout,
        engine=engine,
        epochs=arguments.epochs,
    )


def _attacked(arguments: argparse.Namespace) -> int:
    """Run the injection suite against the model that is set, or against the scripted one that obeys all it reads."""
    from evals.injection import rates, runs

    if arguments.output == "junit" or arguments.judge or arguments.epochs != 1 or arguments.pattern != "*":
        raise SettingsError(
            "--injection takes no pattern, --judge, --epochs or -o junit", hint="--sample and --seed choose cases"
        )
    if arguments.sample is not None and arguments.sample < 1:
        raise SettingsError(f"--sample {arguments.sample} is out of range", hint="1 or more")
    settings = settings_of(arguments)
    judging = not arguments.no_diagnosers
    engine = runs.SCRIPTED.model_copy(update={"judging": judging})
    if settings.model and settings.reasoner != "playbook":
        engine = engine_of(settings, judging=judging)
    else:
        print("no model is named: the scripted one that obeys whatever it reads stands in", file=sys.stderr)
    report = rates.measured(engine, count=arguments.sample, seed=arguments.seed, workers=arguments.workers)
    put(f"{_lines(rates.table(report)) if arguments.output == 'table' else rates.as_json(report)}\n")
    return 1 if report.violations or report.failures else 0


def _lines(text: str) -> str:
    """Lines of a table in which cells of an attack may stand."""
    return "\n".join(clean(line) for line in text.splitlines())


def listing(_arguments: argparse.Namespace) -> int:
    """The worlds and what each is."""
    put("".join(f"{name:32} {clean(description)}\n" for name, description in worlds()))
    return 0


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
