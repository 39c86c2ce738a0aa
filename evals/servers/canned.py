"""Answers recorded once and served again as bytes: the floor of a benchmark must not pay for making them.

`Recorder` passes requests through to a server and keeps what came back; `serve` plays that from another process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TypeAlias

from aiohttp import ClientSession, ClientTimeout, web

Key: TypeAlias = tuple[str, str, bytes]
"""Method, path with query, body."""
LIMIT = 512 << 20
"""Bytes of recorded answers at most."""


@dataclass(slots=True)
class Canned:
    """One recorded answer."""

    status: int
    content_type: str
    body: bytes
    date: str


@dataclass(slots=True)
class Recorder:
    """A pass-through server for one upstream that remembers every exchange, in order."""

    upstream: str
    answers: dict[Key, Canned] = field(default_factory=dict)
    order: list[Key] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None
    _client: ClientSession | None = None

    async def start(self) -> str:
        """Listen on loopback; returns the base URL."""
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{tail:.*}", self._pass)
        self._client = ClientSession(timeout=ClientTimeout(total=120), auto_decompress=True)
        self._runner, self.url = await _listen(app)
        return self.url

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = (request.method, str(request.rel_url), body)
        self.order.append(key)
        if key in self.answers:
            return _response(self.answers[key])
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in ("accept", "content-type", "authorization")
        }
        if self._client is None:
            raise RuntimeError("not started")
        async with self._client.request(
            request.method, f"{self.upstream}{request.rel_url}", data=body or None, headers=headers
        ) as answer:
            content = await answer.read()
            kind = answer.headers.get("Content-Type", "application/json")
            canned = Canned(answer.status, kind, content, answer.headers.get("Date", ""))
        if sum(len(c.body) for c in self.answers.values()) + len(content) > LIMIT:
            raise web.HTTPInsufficientStorage(text="the recording is too large")
        self.answers[key] = canned
        return _response(canned)


def _response(canned: Canned) -> web.Response:
    headers = {"Content-Type": canned.content_type}
    if canned.date:
        headers["Date"] = canned.date
    return web.Response(status=canned.status, body=canned.body, headers=headers)


async def _listen(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


async def _play(answers: dict[Key, Canned], pipe: Connection) -> None:
    async def handle(request: web.Request) -> web.Response:
        canned = answers.get((request.method, str(request.rel_url), await request.read()))
        return _response(canned) if canned else web.Response(status=404, text="not recorded")

    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner, url = await _listen(app)
    pipe.send(url)
    await asyncio.to_thread(pipe.recv)
    await runner.cleanup()


def _main(answers: dict[Key, Canned], pipe: Connection) -> None:
    asyncio.run(_play(answers, pipe))


@contextmanager
def serve(answers: dict[Key, Canned]) -> Iterator[str]:
    """Play recorded answers from another process; yields the base URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(answers, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(30):
            raise TimeoutError("the canned server did not start in 30 s")
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(10)
        process.kill()
