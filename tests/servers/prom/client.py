"""A small HTTP client for the tests, and a world that holds one or two gauges."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import ClientSession, ClientTimeout
from pydantic import JsonValue

from evals.promql.memory import MemorySource
from evals.servers.prom.server import PromServer
from evals.world.model import Clock, RawSeries, World
from tools.types import JsonObject

NOW = 1_700_000_000.0


@dataclass(frozen=True)
class Reply:
    """One answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> JsonObject:
        """The body as a JSON object."""
        parsed: JsonValue = json.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed


class Client:
    """Requests to one server."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session, self.url = session, url

    async def get(self, path: str, params: dict[str, str] | None = None, **headers: str) -> Reply:
        """GET with parameters in the URL."""
        return await self.send("GET", f"{path}?{urlencode(params)}" if params else path, None, **headers)

    async def post(self, path: str, form: dict[str, str]) -> Reply:
        """POST with parameters in the body."""
        return await self.send("POST", path, urlencode(form).encode())

    async def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Any request."""
        if body is not None:
            headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        sent = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None if body is None else io.BytesIO(body)
        async with self._session.request(method, f"{self.url}{path}", data=data, headers=sent) as answer:
            return Reply(answer.status, dict(answer.headers), await answer.read())


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    """A client of the server at `url`."""
    async with ClientSession(timeout=ClientTimeout(total=10), auto_decompress=False) as session:
        yield Client(session, url)


@asynccontextmanager
async def served(world: World) -> AsyncIterator[tuple[PromServer, Client]]:
    """A world's server and a client of it."""
    server = PromServer(world)
    url = await server.start()
    try:
        async with client(url) as made:
            yield server, made
    finally:
        await server.stop()


def small_world(*faults: JsonObject, prometheus: str = "3.x") -> World:
    """Two gauges and a counter over ten minutes until now."""
    times = [NOW - 600 + 30 * i for i in range(21)]
    series = [
        RawSeries({"__name__": "busy", "gpu": "0", "node": "n1"}, times, [0.5] * 21),
        RawSeries({"__name__": "busy", "gpu": "1", "node": "n1"}, times, [0.25] * 21),
        RawSeries({"__name__": "requests_total", "node": "n1"}, times, [30.0 * i for i in range(21)]),
    ]
    alerts: list[JsonObject] = [{"labels": {"alertname": "Idle"}, "state": "firing", "value": "1e+00"}]
    return World(
        "small", "three series", Clock(NOW), "1.36", prometheus, [], MemorySource(series), alerts=alerts,
        faults=list(faults),
    )  # fmt: skip
