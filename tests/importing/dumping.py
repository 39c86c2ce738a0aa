"""A cluster captured with plain tools: the real kubectl, and text of the metrics."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import pytest

from evals.promql.memory import MemorySource
from evals.scenario import load_all, plan_of
from evals.servers.kube.server import KubeServer
from evals.servers.prom.openmetrics import write_openmetrics
from evals.world.load import anchored
from evals.world.model import Matcher, World
from tools import fields
from tools.types import JsonObject

Kubectl = Callable[..., Awaitable[str]]
wanted = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl on the path")


def world_of(scenario: str, anchor: float | None = None) -> World:
    """The world of a scenario, moved to a moment."""
    return anchored(plan_of(load_all(scenario)[0]), anchor)


@asynccontextmanager
async def cluster(world: World, home: Path) -> AsyncIterator[Kubectl]:
    """kubectl against a world."""
    server = KubeServer(world)
    await server.start()
    file = home / "kubeconfig"
    file.write_text(json.dumps(server.kubeconfig()), encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(file)}

    async def run(*words: str) -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("kubectl", *words, env=env, stdout=pipe, stderr=pipe)
        out, error = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, error
        return out.decode()

    try:
        yield run
    finally:
        await server.stop()


async def dumped(kubectl: Kubectl, world: World, folder: Path, *, form: str = "json") -> None:
    """Every kind of a world, a file each; Secrets stay where they are."""
    kinds = {(group_of(one), str(one["kind"])) for one in world.objects} - {("", "Secret")}
    for group, kind in sorted(kinds):
        name = f"{kind.lower()}.{group}" if group else kind.lower()
        (folder / f"{name}.{form}").write_text(await kubectl("get", name, "-A", "-o", form), encoding="utf-8")


def group_of(body: JsonObject) -> str:
    """The API group of an object."""
    return fields.text(body, "apiVersion").rpartition("/")[0]


def exposition(world: World, hours: float, names: str = ".+") -> str:
    """The last hours of the series whose names match, as OpenMetrics text."""
    now = world.clock.now
    start = now - hours * 3600
    held = MemorySource(world.series.select((Matcher("__name__", "=~", names),), start, now))
    out = StringIO()
    write_openmetrics(held, out, start=start, end=now, interval=world.sample_interval)
    return out.getvalue()


def table(world: World, name: str, hours: float) -> str:
    """The last hours of a metric as CSV, a row every five minutes."""
    now = world.clock.now
    found = world.series.select((Matcher("__name__", "=", name),), now - hours * 3600, now)
    labels = sorted({label for one in found for label in one.labels if label != "__name__"})
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow(["time", "metric", *labels, "value"])
    for one in found:
        for at, value in zip(one.times, one.values, strict=True):
            if at % 300 == 0:
                rows.writerow([fields.rfc3339(at), name, *(one.labels.get(label, "") for label in labels), value])
    return out.getvalue()
