"""A chat-completions endpoint on a loopback port that answers as a script says.

Rules: it speaks the protocol as the real servers do, faults included; a wrong key is 401 and an unknown model 404
before any script is asked; every request is remembered, its authorization never.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiohttp import web

from evals.servers.model import forms
from evals.servers.model.script import ChatRequest, Script, ScriptedReply, Wire, read_request
from tools.types import JsonObject

MODEL = "scripted"
"""The model served unless told."""
BODY_LIMIT = 4 << 20
"""Bytes of a request body at most."""
_HANG = 3600.0
_REFUSABLE = ("stream_options", "parallel_tool_calls", "tool_choice", "stream", "tools", "max_tokens")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived."""

    body: JsonObject
    headers: tuple[tuple[str, str], ...]
    """In lower case, without authorization and api-key."""
    authorized: bool
    """True where an Authorization header came."""


class ModelServer:
    """Serves one script.

    `refuses` names parameters that are answered with 400, as servers do that lack the feature; "strict" is one too.
    """

    def __init__(
        self,
        script: Script,
        *,
        port: int = 0,
        key: str = "",
        models: Iterable[str] = (MODEL,),
        refuses: Iterable[str] = (),
    ) -> None:
        self.script = script
        self.requests: list[RequestRecord] = []
        self.url = ""
        self.gone = asyncio.Event()
        """Set once a client left before its answer was whole."""
        self._port, self._key = port, key
        self._models, self._refuses = tuple(models), frozenset(refuses)
        self._runner: web.ServerRunner | None = None

    async def start(self) -> str:
        """Listen; returns the base URL, which ends in /v1."""
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self.url

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._key and request.headers.get("Authorization") != f"Bearer {self._key}":
            shown = request.headers.get("Authorization", "none")
            return _error(401, f"Incorrect API key provided: {shown}", code="invalid_api_key")
        if request.path == "/v1/models" and request.method == "GET":
            listed = [{"id": name, "object": "model", "owned_by": "plumbline"} for name in self._models]
            return web.json_response({"object": "list", "data": listed})
        if request.path != "/v1/chat/completions":
            return _error(404, f"no such path: {request.path}")
        if request.method != "POST":
            return _error(405, "only POST is allowed")
        return await self._chat(request)

    async def _chat(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            raw = await request.content.read(BODY_LIMIT)
            body = json.loads(raw)
            asked = read_request(body)
        except (ValueError, RecursionError) as error:
            return _error(400, str(error))
        self._remember(request, body)
        if asked.model not in self._models:
            message = f"The model `{asked.model}` does not exist or you do not have access to it."
            return _error(404, message, code="model_not_found")
        if (refused := self._refused(body)) is not None:
            return _error(400, f"Unsupported parameter: '{refused}' is not supported with this model.")
        reply = self.script.reply(asked)
        try:
            return await self._answer(request, asked, reply)
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise

    def _remember(self, request: web.BaseRequest, body: JsonObject) -> None:
        hidden = ("authorization", "api-key", "x-api-key")
        headers = tuple((n.lower(), v) for n, v in request.headers.items() if n.lower() not in hidden)
        self.requests.append(RequestRecord(body, headers, "Authorization" in request.headers))

    def _refused(self, body: JsonObject) -> str | None:
        if "strict" in self._refuses and '"strict": true' in json.dumps(body.get("tools", [])):
            return "strict"
        return next((name for name in _REFUSABLE if name in self._refuses and name in body), None)

    # --- answering -----------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest, asked: ChatRequest, reply: ScriptedReply) -> web.StreamResponse:
        wire = reply.wire
        if wire.hang:
            await asyncio.sleep(_HANG)
        if wire.redirect:
            return web.Response(status=wire.status if wire.status >= 300 else 307, headers={"Location": wire.redirect})
        number = len(self.requests)
        if wire.body is not None or wire.status >= 400:
            body = wire.body if wire.body is not None else forms.error("the script answers with an error")
            pieces: Iterator[bytes] = iter((body,))
            kind = wire.content_type or "application/json"
        elif asked.stream:
            pieces, kind = forms.streamed(asked, reply, number=number), wire.content_type or "text/event-stream"
        else:
            pieces = iter((forms.whole(asked, reply, number=number),))
            kind = wire.content_type or "application/json"
        response = web.StreamResponse(status=wire.status, headers={**wire.headers, "Content-Type": kind})
        await response.prepare(request)
        await self._send(request, response, pieces, wire)
        return response

    async def _send(
        self, request: web.BaseRequest, response: web.StreamResponse, pieces: Iterator[bytes], wire: Wire
    ) -> None:
        sent, end = 0, wire.cut if wire.cut is not None else wire.hang_after
        for piece in pieces:
            if wire.drip:
                await asyncio.sleep(wire.drip)
            room = len(piece) if end is None else max(0, end - sent)
            await response.write(piece[:room])
            sent += len(piece[:room])
            if room < len(piece):
                break
        else:
            if wire.hang_after is None:
                await response.write_eof()
                return
        if wire.hang_after is not None:
            await asyncio.sleep(_HANG)
        if request.transport is not None:
            request.transport.close()


def _error(status: int, message: str, *, code: str | None = None) -> web.Response:
    return web.Response(status=status, body=forms.error(message, code=code), content_type="application/json")
