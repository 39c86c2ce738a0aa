"""`doctor`: one line a check, ok, warn or fail, with what to do about it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from typing import TypeAlias

from agent.app import Target
from agent.identity import dangers, described
from agent.principal import establish
from agent.render.document import clean
from agent.settings import ENVIRONMENT, Settings
from plumbline.cli import FAILED
from plumbline.targets import open_target, settings_of
from tools import lockdown
from tools.errors import PlumblineError, SettingsError
from tools.fields import rfc3339

OURS = ("agent", "tools", "prompts", "evals", "tui", "slackbot", "service")
SKEW = 30.0
"""Seconds the two servers' clocks may differ."""
SPARED = "parallel calls"
"""A feature that nobody misses: calls come one a reply then."""
PROBE_SECONDS = 15.0
"""Longest wait for each of the two replies of a model."""
NAME_ONE = "name one with --model and --base-url, or PLUMBLINE_MODEL (docs/models.md)"

Say: TypeAlias = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One line."""

    level: str
    what: str
    detail: str

    def __str__(self) -> str:
        return clean(f"{self.level:5} {self.what:16} {self.detail}")


def run(arguments: argparse.Namespace) -> int:
    """All checks; 1 when one fails."""
    settings = settings_of(arguments)
    checks = [_python(), _state(settings), _foreign(), _settings(settings)]
    for check in checks:
        print(check, flush=True)
    checks += asyncio.run(_reached(arguments, settings))
    checks.append(_lockdown(settings))
    print(checks[-1])
    return FAILED if any(check.level == "fail" for check in checks) else 0


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    return Check(
        "ok" if good else "fail", "python", sys.version.split()[0] + ("" if good else ": 3.11 or later is needed")
    )


def _state(settings: Settings) -> Check:
    directory = settings.state_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / f".probe-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Check("fail", "state directory", f"{directory}: {error.strerror}; set PLUMBLINE_STATE_DIR")
    return Check("ok", "state directory", str(directory))


def _settings(settings: Settings) -> Check:
    """What is set, and by whom; a variable that nobody reads is most likely misspelt."""
    known = {f"{ENVIRONMENT}{name.upper()}" for name in (*Settings.model_fields, "config", "allow_langsmith")}
    odd = sorted(n for n in os.environ if n.startswith(ENVIRONMENT) and n not in known)
    if odd:
        return Check("warn", "settings", f"{', '.join(odd)} in the environment means nothing; check the spelling")
    shown = ", ".join(f"{name} by {source}" for name, source in settings.sources.items())
    return Check("ok", "settings", shown or "defaults")


def _lockdown(settings: Settings) -> Check:
    """What this kernel lets a run give up; tried last, on this process itself."""
    lines = lockdown.apply(writable=[settings.state_dir], tcp_ports=[]).lines()
    level = "ok" if all(line.endswith("blocked") and "not blocked" not in line for line in lines) else "warn"
    return Check(level, "lockdown", "; ".join(lines))


def _foreign() -> Check:
    owners = packages_distributions()
    foreign = sorted({f"{name} ({', '.join(owners[name])})" for name in OURS if name in owners})
    if foreign:
        return Check("warn", "other packages", f"also install a top-level {'; '.join(foreign)}: harmless, ours wins")
    return Check("ok", "other packages", "none claims our folder names")


async def _reached(arguments: argparse.Namespace, settings: Settings) -> list[Check]:
    """What is asked over the network: the cluster, its Prometheus, the model."""
    out: list[Check] = []

    def note(level: str, what: str, detail: str) -> None:
        out.append(Check(level, what, detail))
        print(out[-1], flush=True)

    await _target(arguments, settings, note)
    await _model(settings, note)
    return out


async def _target(arguments: argparse.Namespace, settings: Settings, note: Say) -> None:
    try:
        async with open_target(arguments, settings) as target:
            discovery = await target.kube.discovery()
            note("ok", "api server", f"{target.cluster}: version {discovery.server_version}")
            principal = await establish(target.kube)
            note("ok", "identity", f"{principal.user} ({principal.established})")
            found = await dangers(target.kube)
            note("warn" if found else "ok", "rights", described(found) if found else "read-only")
            await _metrics(target, note)
    except PlumblineError as error:
        note("fail", "api server", str(error))


async def _model(settings: Settings, say: Say) -> None:
    """Ask the model two short questions: that costs some hundred tokens, and shows all that can be wrong."""
    if settings.reasoner == "playbook" or not settings.model:
        if settings.reasoner == "llm":
            say("fail", "model", f"none is set, though the reasoner is llm: {NAME_ONE}")
        elif settings.model:
            say("ok", "model", f"{settings.model} is not asked: the reasoner is playbook")
        else:
            say("ok", "model", f"none is set, the playbook answers; {NAME_ONE}")
        return
    from agent.llm.capabilities import probe
    from agent.llm.open import budget_of, open_port

    try:
        budget_of(settings)
        port = open_port(settings)
    except SettingsError as error:
        say("fail", "model", str(error))
        return
    try:
        report = await probe(port, seconds=min(settings.model_timeout, PROBE_SECONDS))
    finally:
        await port.aclose()
    reply, *features = report.lines
    where = f"{settings.model} at {port.address}: " if reply.ok else ""
    say("ok" if reply.ok else "fail", "model", f"{where}{reply.detail}")
    if not reply.ok:
        return  # what else was found out is of no use then, and would read like praise
    if good := [line.name.replace("_", " ") for line in features if line.ok]:
        say("ok", "model features", ", ".join(good))
    for line in features:
        if not line.ok and line.name != SPARED:
            say("warn", "model lacks", f"{line.name.replace('_', ' ')}: {line.detail}")


async def _metrics(target: Target, say: Say) -> None:
    if target.prom is None:
        say("warn", "prometheus", target.prom_note)
        return
    try:
        now = await target.prom.server_time()
        say("ok", "prometheus", f"{target.prom_note}: its time is {rfc3339(now)}")
        skew = abs(now - await target.kube.server_time())
        say("ok" if skew < SKEW else "warn", "clocks", f"API server and Prometheus differ by {skew:.0f} s")
        gpus = await target.prom.instant(
            'count(DCGM_FI_DEV_GPU_TEMP) or count({__name__=~"DCGM_FI_PROF_GR_ENGINE_ACTIVE|gpu_gfx_activity"})', at=now
        )
        count = gpus.series[0].points[0][1] if gpus.series else 0
        detail = f"{count:.0f} GPUs report" if count else "no GPU series: is dcgm-exporter scraped?"
        say("ok" if count else "warn", "gpu telemetry", detail)
    except PlumblineError as error:
        say("fail", "prometheus", str(error))
