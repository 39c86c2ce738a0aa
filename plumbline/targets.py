"""From flags to a Target: a recorded world on loopback, or a cluster and its Prometheus. Both over real HTTP."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from agent.app import Target
from agent.settings import Settings, load_settings
from agent.telemetry import endpoint_urls
from plumbline import environment
from plumbline.discovering import find_prometheus
from tools import lockdown
from tools.errors import BadAnswer, PortError, SettingsError, TargetError, Unavailable
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm

DNS_PORT = 53
LIVE_ONLY = ("kubeconfig", "context", "as_user", "as_groups", "prometheus")
"""Flags that name a cluster, and so make no sense beside --world."""


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Settings with this command's flags on top. Raises SettingsError for flags that contradict each other."""
    given = {name: getattr(arguments, name, None) for name in LIVE_ONLY}
    clash = next((name for name, value in given.items() if value), None)
    if getattr(arguments, "world", None) and clash:
        flag = {"as_user": "as", "as_groups": "as-group"}.get(clash, clash)
        raise SettingsError(f"--world and --{flag} contradict each other", hint="a world brings its own cluster")
    flags = {"prometheus": given["prometheus"], "request_timeout": getattr(arguments, "request_timeout", None)}
    color = "never" if getattr(arguments, "no_color", False) else None
    settings = load_settings({**flags, **model_flags(arguments), "color": color})
    asks = bool(settings.model) and settings.reasoner != "playbook"
    if getattr(arguments, "no_diagnosers", False) and not asks:
        raise SettingsError("without diagnosers only a model can answer", hint="name one with --model")
    if (url := getattr(arguments, "base_url", None)) and not asks and not getattr(arguments, "judge", None):
        raise SettingsError(f"no model is named for {url}", hint="name one with --model")
    environment.scrub_client(os.environ)  # the settings have taken what they want of it
    return settings


def model_flags(arguments: argparse.Namespace) -> dict[str, object]:
    """The settings that flags about a language model stand for. Raises SettingsError where they contradict."""
    given = {name: getattr(arguments, name, None) for name in ("reasoner", "model", "base_url")}
    if given["model"] is not None and not given["model"].strip():
        raise SettingsError("no model is named by --model", hint="name the model as the endpoint lists it")
    if given["reasoner"] == "playbook" and given["model"]:
        raise SettingsError("--reasoner playbook and --model contradict each other", hint="drop one of the two")
    return {"reasoner": given["reasoner"], "model": given["model"], "model_url": given["base_url"]}


def model_urls(settings: Settings) -> tuple[str, ...]:
    """The addresses a language model is reached at, for the process to lock itself down to."""
    return (settings.model_url,) if settings.model and settings.reasoner != "playbook" else ()


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
    target = KubeTarget(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        as_user=arguments.as_user,
        as_groups=tuple(arguments.as_groups or ()),
        request_timeout=settings.request_timeout,
        allowed_plugins=settings.allowed_plugins,
        allow_insecure_tls=settings.allow_insecure_tls,
    )
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(await connect(target))
        await _reach(kube)
        prom, note = await _prometheus(settings, kube)
        if prom is not None:
            stack.push_async_callback(prom.aclose)
        urls = (kube.address, settings.prometheus or note.partition(" ")[0]) if prom is not None else (kube.address,)
        yield Target(kube, prom, kube.cluster, note, urls)


async def _reach(kube: LiveKube) -> None:
    """Meet the API server. Raises TargetError when there is none, or something else, at its address."""
    try:
        await kube.server_time()  # one small request, so that a server that hangs is known by --request-timeout
        await kube.discovery()
    except (Unavailable, BadAnswer) as error:
        hint = "check --context and the network; `plumbline doctor` looks closer"
        raise TargetError(error.message, hint=error.hint or hint) from error


async def with_metrics(target: Target) -> Target:
    """The target if its Prometheus answers, else without it and a note why: objects alone still tell much.

    Raises TargetError when what answers is no Prometheus.
    """
    if target.prom is None:
        return target
    try:
        await target.prom.server_time()
    except BadAnswer as error:
        hint = "give the base URL of Prometheus, such as http://HOST:9090; a login page in between answers HTML"
        raise TargetError(error.message, hint=error.hint or hint) from error
    except PortError as error:
        note = f"Prometheus at {target.prom_note}: {error.message}"
        return replace(target, prom=None, prom_note=note)
    return target


async def _prometheus(settings: Settings, kube: LiveKube) -> tuple[LiveProm | None, str]:
    if url := settings.prometheus:
        return connect_prom(url, request_timeout=settings.request_timeout), url
    found = await find_prometheus(kube)
    if found.url:
        return connect_prom(found.url, request_timeout=settings.request_timeout), f"{found.url} (found in the cluster)"
    return None, found.note


def reporting_urls() -> tuple[str, ...]:
    """The addresses that telemetry is sent to, where somebody asked for it."""
    return (*endpoint_urls(os.environ), *environment.langsmith_urls(os.environ))


def lock_down(settings: Settings, *urls: str, writable: Sequence[Path] = ()) -> None:
    """Give up what reading never needs: starting programs, writing elsewhere, other ports. Best effort.

    `writable`: folders written to besides the state directory.
    """
    with suppress(OSError):  # opening the store says what is wrong, in words for the user
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = {DNS_PORT}
    for url in urls:
        parts = urlsplit(url)
        ports.add(parts.port or (443 if parts.scheme == "https" else 80))
    lockdown.apply(writable=[settings.state_dir, *writable], tcp_ports=sorted(ports) if urls else None)
