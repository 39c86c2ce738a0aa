"""Run as a program: reads endless and exploding bodies through the live ports and prints what that cost.

A process of its own, because the peak of resident memory is only known for a whole process.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from tools.errors import PlumblineError
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm
from tools.types import BULK, INTERACTIVE, KindRef, WireLimits

POD = KindRef(kind="Pod")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _list(port: LiveKube, wire: WireLimits) -> str:
    said = ""
    async for page in port.pages(POD, namespace=None, wire=wire):
        said = said or page.truncated
    return said


async def _error(work: object) -> str:
    try:
        await work  # type: ignore[misc]
    except PlumblineError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


async def _kube(config: str, said: dict[str, str]) -> None:
    async with await connect(KubeTarget(kubeconfig=config)) as port:
        await port.discovery()
        said["bulk list"] = await _list(port, BULK)
        said["interactive list"] = await _list(port, INTERACTIVE)
        said["get"] = await _error(port.get(POD, namespace="search", name="p0"))
        log = await port.logs(
            namespace="search", pod="p0", container="c", tail_lines=10, limit_bytes=1000, previous=False
        )
        said["log"] = f"{len(log.body)} truncated={log.truncated}"


async def _prom(url: str, said: dict[str, str]) -> None:
    async with connect_prom(url) as port:
        said["instant"] = await _error(port.instant("up", at=1.0))
        said["series"] = await _error(port.series(["up"], start=0, end=1))


async def _healthy(config: str, url: str) -> None:
    """Import and warm up everything, so that what follows is the cost of the bodies alone."""
    async with await connect(KubeTarget(kubeconfig=config)) as kube:
        await _list(kube, BULK)
    async with connect_prom(url) as prom:
        live: LiveProm = prom
        await live.instant("up", at=1.0)


async def _main(healthy_config: str, healthy_url: str, config: str, url: str) -> None:
    await _healthy(healthy_config, healthy_url)
    said: dict[str, str] = {}
    before = _peak()
    await _kube(config, said)
    await _prom(url, said)
    print(json.dumps({"grown": _peak() - before, "said": said}))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
