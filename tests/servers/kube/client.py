"""A bare HTTP client for the world server's tests: requests by path, answers as data."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import aiohttp
from pydantic import JsonValue
from yarl import URL

from evals.servers.kube.jsonread import as_object, as_text, dig, objects_at
from evals.servers.kube.server import KubeServer
from tests.servers.kube.recording import HEADERS, Exchange
from tools.types import JsonObject

TIMEOUT = aiohttp.ClientTimeout(total=10)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> JsonObject:
        """The answer as a JSON object."""
        body: JsonObject = json.loads(self.raw)
        return body

    @property
    def names(self) -> list[str]:
        """The names of a list's items, `namespace/name` where there is one."""
        metadata = [as_object(item.get("metadata")) for item in objects_at(self.body, "items")]
        return ["/".join(as_text(one[key]) for key in ("namespace", "name") if key in one) for one in metadata]

    @property
    def message(self) -> str:
        """The message of a Status."""
        return as_text(self.body.get("message"))

    @property
    def events(self) -> list[JsonObject]:
        """The events of a watch."""
        return [json.loads(line) for line in self.raw.splitlines()]

    def at(self, *path: str) -> JsonValue:
        """The value at a path of the answer, or None."""
        return dig(self.body, *path)

    @property
    def text(self) -> str:
        """The answer as text."""
        return self.raw.decode()


@dataclass(frozen=True, slots=True)
class Client:
    """Talks to one server, as the recorder unless told otherwise."""

    session: aiohttp.ClientSession
    server: KubeServer

    async def send(
        self, method: str, path: str, *, body: object = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request; `path` is sent as it is, query included."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        data = None if text is None else io.BytesIO(text.encode())
        url = URL(self.server.url + path, encoded=True)
        sent = {**HEADERS, "Content-Type": "application/json", **(headers or {})}
        async with self.session.request(method, url, data=data, headers=sent, timeout=TIMEOUT) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, **headers: str) -> Reply:
        """GET; keyword arguments are headers (`Accept=…`)."""
        return await self.send("GET", path, headers=headers)

    async def replay(self, exchange: Exchange, *, path: str = "") -> Reply:
        """Send a recorded request again."""
        return await self.send(exchange.method, path or exchange.path, body=exchange.sent, headers=exchange.headers)
