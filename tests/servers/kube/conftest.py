"""Servers for the tests: started on a free loopback port, stopped when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from evals.servers.kube.server import KubeServer
from evals.world.model import World
from tests.servers.kube.client import Client

Serve = Callable[[World], Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server for a world; returns a client of it."""
    servers: list[KubeServer] = []
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def start(world: World) -> Client:
            server = KubeServer(world)
            servers.append(server)
            await server.start()
            return Client(session, server)

        yield start
        for server in servers:
            await server.stop()
