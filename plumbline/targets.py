"""From flags to a Target: a recorded world on loopback, or a cluster and its Prometheus. Both over real HTTP."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from agent.app import Target
from agent.settings import Settings
from plumbline.discovering import find_prometheus
from plumbline.times import duration
from tools import lockdown
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm

DNS_PORT = 53


@asynccontextmanager
async def open_target(arguments: argparse.Namespace, settings: Settings) -> AsyncIterator[Target]:
    """The target of a command, closed when done. Raises UserError."""
    world = getattr(arguments, "world", None)
    opener = _world(world, arguments) if world else _cluster(arguments, settings)
    async with opener as target:
        yield target


@asynccontextmanager
async def _world(name: str, arguments: argparse.Namespace) -> AsyncIterator[Target]:
    from evals.once import serving
    from evals.world.load import load

    world = load(name, anchor=time.time() if arguments.anchor == "now" else None)
    async with serving(world) as served:
        yield served.target


@asynccontextmanager
async def _cluster(arguments: argparse.Namespace, settings: Settings) -> AsyncIterator[Target]:
    timeout = settings.request_timeout
    if arguments.request_timeout:
        timeout = duration(arguments.request_timeout, "--request-timeout")
    target = KubeTarget(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        as_user=arguments.as_user,
        as_groups=tuple(arguments.as_groups or ()),
        request_timeout=timeout,
        allowed_plugins=settings.allowed_plugins,
        allow_insecure_tls=settings.allow_insecure_tls,
    )
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(await connect(target))
        await kube.discovery()
        prom, note = await _prometheus(arguments, settings, kube, timeout)
        if prom is not None:
            stack.push_async_callback(prom.aclose)
        urls = (kube.address, prom.address) if prom is not None else (kube.address,)
        yield Target(kube, prom, kube.cluster, note, urls)


async def _prometheus(
    arguments: argparse.Namespace, settings: Settings, kube: LiveKube, timeout: float | None
) -> tuple[LiveProm | None, str]:
    url = arguments.prometheus or settings.prometheus
    if url:
        return connect_prom(url, request_timeout=timeout), url
    found = await find_prometheus(kube)
    if found.url:
        return connect_prom(found.url, request_timeout=timeout), f"{found.url} (found in the cluster)"
    return None, found.note


def lock_down(settings: Settings, *urls: str) -> None:
    """Give up what reading never needs: starting programs, writing elsewhere, other ports. Best effort."""
    ports = {DNS_PORT}
    for url in urls:
        parts = urlsplit(url)
        ports.add(parts.port or (443 if parts.scheme == "https" else 80))
    lockdown.apply(writable=[settings.state_dir], tcp_ports=sorted(ports) if urls else None)
