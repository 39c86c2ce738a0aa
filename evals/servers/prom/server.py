"""A world's metrics over the Prometheus HTTP API: GET and form POST, its JSON forms, its error bodies.

Rules: the clock is the world's; admin and lifecycle endpoints refuse; what the evaluation cannot do is `bad_data`,
never a number; every request is remembered with the status it got.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

import promql_parser
from aiohttp import web

from evals.promql.engine import Engine, check_query
from evals.promql.model import NAME, BadData
from evals.servers.prom import forms
from evals.servers.prom.answers import api_error, plain, result, success
from evals.servers.prom.families import family_of
from evals.servers.prom.faults import Fault, Faults
from evals.servers.prom.forms import ApiError, Form
from evals.world.model import Matcher, World
from tools.types import JsonObject

VERSIONS = {"3.x": "3.5.0", "2.x": "2.42.0"}
BODY_LIMIT = 4 << 20
"""Bytes of a request body at most."""
HISTORY = 3600.0
"""Seconds that series, labels and values look back unless told: our sources have no beginning to start from."""
LARGE = 4_000
"""Objects from which on a world's queries take long enough to keep others waiting."""
GZIP_FROM = 1024
"""Smallest answer worth compressing."""
HANG = 3600.0
_VALUES = re.compile(r"/api/v1/label/([^/]+)/values")
_EVERYTHING = (Matcher(NAME, "=~", ".+"),)

Endpoint = Callable[[Form], object]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    """The PromQL text, or the first selector."""
    status: int


class PromServer:
    """Serves one world on a loopback port."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.requests: list[RequestRecord] = []
        self.url = ""
        self._host, self._port = host, port
        self._engine = Engine(world.series, semantics="2.x" if world.prometheus == "2.x" else "3.x")
        self._faults = Faults(world.faults)
        self._turn = asyncio.Lock()
        self._runner: web.ServerRunner | None = None
        self._posted: dict[str, Endpoint] = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._range,
            "/api/v1/series": self._series,
            "/api/v1/labels": self._labels,
            "/api/v1/format_query": self._format,
        }
        self._read: dict[str, Endpoint] = {
            "/api/v1/metadata": self._metadata,
            "/api/v1/rules": lambda _: {"groups": []},
            "/api/v1/alerts": lambda _: {"alerts": self.world.alerts},
            "/api/v1/targets": lambda _: {"activeTargets": [], "droppedTargets": []},
            "/api/v1/status/buildinfo": self._build,
        }

    async def start(self) -> str:
        """Listen; returns the base URL."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        shown = ""
        try:
            form = forms.read_form(request.query_string, await _body(request))
            shown = forms.one(form, "query") or forms.one(form, "match[]")
            fault = self._faults.take(f"{request.path} {shown}")
            response = await (self._played(fault, request, form) if fault else self._answered(request, form))
        except ApiError as error:
            response = api_error(error.status, error.kind, error.message)
        response.headers["Date"] = formatdate(self.world.clock.now, usegmt=True)
        if "gzip" in request.headers.get("Accept-Encoding", "") and (response.content_length or 0) >= GZIP_FROM:
            response.enable_compression(web.ContentCoding.gzip)
        self.requests.append(RequestRecord(request.method, request.path, shown, response.status))
        return response

    async def _played(self, fault: Fault, request: web.BaseRequest, form: Form) -> web.Response:
        if fault.hangs:
            await asyncio.sleep(HANG)
        await asyncio.sleep(fault.delay)
        response = fault.response() or await self._answered(request, form)
        body = response.body if isinstance(response.body, bytes) else b""
        if fault.warnings and response.status == 200:
            return success(json.loads(body)["data"], fault.warnings)
        if fault.truncate is not None:
            return web.Response(status=response.status, body=body[: fault.truncate], content_type="application/json")
        return response

    async def _answered(self, request: web.BaseRequest, form: Form) -> web.Response:
        """The answer; of a large world from a thread, one at a time, so that others on this loop are not kept waiting.

        Reactions change series from the loop, so worlds that have any are answered in place.
        """
        responder = self.world.responder
        if len(self.world.objects) < LARGE or (responder is not None and responder.reacts):
            return self._answer(request, form)
        async with self._turn:
            return await asyncio.to_thread(self._answer, request, form)

    # --- routing -------------------------------------------------------------------------------------------

    def _answer(self, request: web.BaseRequest, form: Form) -> web.Response:
        path, method = request.path, request.method
        if path.startswith("/-/"):
            return _management(path, method)
        if path.startswith("/api/v1/admin/"):
            return api_error(403, "unavailable", "admin APIs disabled")
        endpoint, methods = self._endpoint(path)
        if endpoint is None:
            return plain(404, "404 page not found\n")
        if method == "OPTIONS":
            return web.Response(status=204)
        if method not in methods:
            return plain(405, "Method Not Allowed\n")
        try:
            return success(endpoint(form))
        except BadData as error:
            return api_error(422 if error.kind == "execution" else 400, error.kind, error.message)

    def _endpoint(self, path: str) -> tuple[Endpoint | None, tuple[str, ...]]:
        """What answers a path, and the methods it takes."""
        if path in self._posted:
            return self._posted[path], ("GET", "POST")
        found = _VALUES.fullmatch(path)
        if found is not None:
            label = found[1]
            return lambda form: self._label_values(label, form), ("GET",)
        return self._read.get(path), ("GET",)

    # --- endpoints -----------------------------------------------------------------------------------------

    def _query(self, form: Form) -> JsonObject:
        at, limit = forms.moment(form, "time", self.world.clock.now), forms.limit(form)
        _check_timeout(form)
        return result(self._engine.instant(forms.one(form, "query"), at), limit)

    def _range(self, form: Form) -> JsonObject:
        start, end = forms.moment(form, "start"), forms.moment(form, "end")
        step, limit = forms.duration(form, "step"), forms.limit(form)
        _check_timeout(form)
        return result(self._engine.range(forms.one(form, "query"), start, end, step), limit)

    def _format(self, form: Form) -> str:
        query = forms.one(form, "query")
        check_query(query)
        return promql_parser.parse(query).prettify()

    def _build(self, _: Form) -> JsonObject:
        version = VERSIONS.get(self.world.prometheus, VERSIONS["3.x"])
        unknown = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "")
        return {"version": version, **unknown}

    def _metadata(self, form: Form) -> dict[str, list[dict[str, str]]]:
        wanted, limit = forms.one(form, "metric"), forms.limit(form)
        names = frozenset(labels.get(NAME, "") for labels in self._label_sets(form, [_EVERYTHING]))
        found = dict(sorted({family_of(name, names) for name in names if name}))
        families = {name: kind for name, kind in found.items() if not wanted or name == wanted}
        shown = list(families.items())[:limit]
        return {name: [{"type": kind, "help": "", "unit": ""}] for name, kind in shown}

    def _series(self, form: Form) -> list[dict[str, str]]:
        selectors, limit = forms.matchers(form), forms.limit(form)
        if not selectors:
            raise ApiError(400, "bad_data", "no match[] parameter provided")
        unique = {frozenset(labels.items()): labels for labels in self._label_sets(form, selectors)}
        ordered = sorted(unique.values(), key=lambda labels: sorted(labels.items()))
        return [dict(sorted(labels.items())) for labels in ordered[:limit]]

    def _labels(self, form: Form) -> list[str]:
        limit = forms.limit(form)
        sets = self._label_sets(form, forms.matchers(form) or [_EVERYTHING])
        return sorted({name for labels in sets for name in labels})[:limit]

    def _label_values(self, label: str, form: Form) -> list[str]:
        if not forms.LABEL.fullmatch(label):
            raise ApiError(400, "bad_data", f'invalid label name: "{label}"')
        limit = forms.limit(form)
        sets = self._label_sets(form, forms.matchers(form) or [_EVERYTHING])
        return sorted({labels[label] for labels in sets if label in labels})[:limit]

    def _label_sets(self, form: Form, selectors: Iterable[tuple[Matcher, ...]]) -> Iterable[Mapping[str, str]]:
        end = forms.moment(form, "end", self.world.clock.now)
        start = forms.moment(form, "start", end - HISTORY)
        return [labels for matchers in selectors for labels in self.world.series.label_sets(matchers, start, end)]


def _management(path: str, method: str) -> web.Response:
    if path in ("/-/healthy", "/-/ready"):
        word = path.removeprefix("/-/").capitalize()
        return plain(200, f"Prometheus Server is {word}.\n")
    if path in ("/-/reload", "/-/quit"):
        if method not in ("POST", "PUT"):
            return plain(405, "Only POST or PUT requests allowed")
        return plain(403, "Lifecycle API is not enabled.")
    return plain(404, "404 page not found\n")


def _check_timeout(form: Form) -> None:
    """A timeout is read and checked; evaluation here is over before any would pass."""
    if forms.one(form, "timeout"):
        forms.duration(form, "timeout")


async def _body(request: web.BaseRequest) -> bytes:
    """The form body of a POST. Raises ApiError when it is too large."""
    if request.method != "POST":
        return b""
    chunks, size = [], 0
    async for chunk in request.content.iter_chunked(1 << 16):
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_LIMIT:
            raise ApiError(413, "bad_data", f"error parsing form values: the body exceeds {BODY_LIMIT:,} bytes")
    return b"".join(chunks)
