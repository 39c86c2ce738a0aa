"""The cluster of these checks: a real one when PLUMBLINE_TEST_KUBECONFIG names its kubeconfig, else a world."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes.aio import client as api

from evals.servers.kube.server import KubeServer
from tests.servers.kube.official import connect, send
from tests.servers.kube.recording import world
from tools.types import JsonObject

TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, Content-Type and body of one answer."""

    status: int
    content_type: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Cluster:
    """Raw access to one API server through the official client."""

    made: api.ApiClient

    async def send(
        self, method: str, path: str, *, accept: str = "application/json", body: JsonObject | None = None
    ) -> Answer:
        """One request below the cluster's base URL, query included; a PATCH is a JSON merge patch."""
        status, kind, raw = await send(self.made, method, path, accept=accept, body=body, timeout=TIMEOUT)
        return Answer(status, kind, json.loads(raw) if "json" in kind else {})


@pytest.fixture
async def cluster_config(tmp_path: Path) -> AsyncIterator[str]:
    """The kubeconfig of the cluster under test."""
    if path := os.environ.get("PLUMBLINE_TEST_KUBECONFIG", ""):
        yield path
        return
    server = KubeServer(world("cluster"))
    await server.start()
    try:
        config = tmp_path / "kubeconfig"
        config.write_text(json.dumps(server.kubeconfig()))
        yield str(config)
    finally:
        await server.stop()


@pytest.fixture
async def cluster(cluster_config: str) -> AsyncIterator[Cluster]:
    """The cluster under test."""
    async with connect(cluster_config) as made:
        yield Cluster(made)
