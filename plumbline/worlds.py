"""Worlds for other programs: list them, serve one on loopback, run the scenarios on them."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evals import runner
from evals.servers.kube.server import KubeServer
from evals.servers.prom.server import PromServer
from evals.world.catalogue import worlds
from evals.world.load import load
from evals.world.model import World
from plumbline.times import duration
from tools.errors import SettingsError

if TYPE_CHECKING:
    from evals.servers.prom.real import RealPrometheus


def evaluate(arguments: argparse.Namespace) -> int:
    """Run the scenarios."""
    return runner.main(arguments.pattern, output=arguments.output, workers=arguments.workers)


def listing(_arguments: argparse.Namespace) -> int:
    """The worlds and what each is."""
    for name, description in worlds():
        print(f"{name:32} {description}")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    history = duration(arguments.history, "--history")
    try:
        return asyncio.run(_serve(arguments, history))
    except OSError as error:
        raise SettingsError(
            f"cannot listen: {error.strerror}", hint="choose another --kube-port or --prom-port"
        ) from None


async def _serve(arguments: argparse.Namespace, history: float) -> int:
    world = load(arguments.name, anchor=time.time() if arguments.anchor == "now" else None)
    kube = KubeServer(world, port=arguments.kube_port)
    kube_url = await kube.start()
    real = _real(world, arguments.prometheus_bin, history) if arguments.prometheus_bin else None
    served = PromServer(world, port=arguments.prom_port) if real is None else None
    try:
        prom_url = await asyncio.to_thread(real.start) if real else await served.start() if served else ""
        path = _kubeconfig(kube, arguments.kubeconfig_out)
        print(f"world       {world.name}: {world.description}")
        print(f"api server  {kube_url}")
        print(f"prometheus  {prom_url}")
        print(f"kubeconfig  {path}")
        print(
            f'try         plumbline ask --kubeconfig {path} --prometheus {prom_url} "why are our GPUs idle?"',
            flush=True,
        )
        await _until_interrupted()
    finally:
        if real is not None:
            await asyncio.to_thread(real.stop)
        if served is not None:
            await served.stop()
        await kube.stop()
    return 0


def _real(world: World, binary: str, history: float) -> RealPrometheus:
    from evals.servers.prom.real import RealPrometheus

    return RealPrometheus(world, binary=binary, history=history)


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
