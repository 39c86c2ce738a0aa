"""A world's metrics over the Prometheus HTTP API: GET and form POST, its JSON forms, its error bodies.

Rules: the clock is the world's; admin and lifecycle endpoints refuse; what the evaluation cannot do is `bad_data`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web
from pydantic import JsonValue

from evals.promql import nodes
from evals.promql.compile import compile_query
from evals.promql.engine import Engine, check_query
from evals.promql.model import BadData, Result
from evals.world.model import Matcher, World
from tools import fields
from tools.types import JsonObject

SECOND_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
VERSIONS = {"3.x": "3.5.0", "2.x": "2.53.0"}
BODY_LIMIT = 1 << 20
_LABEL = re.compile(r"/api/v1/label/([a-zA-Z_][a-zA-Z0-9_]*)/values")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    """The PromQL text, or the matchers."""
    status: int


class _Failure(Exception):
    """An error in Prometheus's own form."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


Form = Mapping[str, list[str]]


class PromServer:
    """Serves one world on a loopback port."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.requests: list[RequestRecord] = []
        self._host, self._port = host, port
        self._engine = Engine(world.series, semantics="2.x" if world.prometheus == "2.x" else "3.x")
        self._runner: web.ServerRunner | None = None
        self._played: dict[int, int] = {}
        self.url = ""

    async def start(self) -> str:
        """Listen; returns the base URL."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        form = await _form(request)
        shown = (form.get("query") or form.get("match[]") or [""])[0]
        response = await self._faulty(request, shown) or self._answer(request, form)
        response.headers["Date"] = formatdate(self.world.clock.now, usegmt=True)
        self.requests.append(RequestRecord(request.method, request.path, shown, response.status))
        return response

    # --- answers -------------------------------------------------------------------------------------------

    def _answer(self, request: web.BaseRequest, form: Form) -> web.Response:
        try:
            return self._routed(request, form)
        except _Failure as failure:
            return _error(failure.status, failure.kind, failure.message)
        except BadData as error:
            return _error(422 if error.kind == "execution" else 400, error.kind, error.message)

    def _routed(self, request: web.BaseRequest, form: Form) -> web.Response:
        path = request.path.rstrip("/")
        if path in ("/-/healthy", "/-/ready"):
            return web.Response(text="Prometheus Server is Ready.\n")
        if path.startswith(("/-/", "/api/v1/admin")):
            return _error(403, "forbidden", "lifecycle and admin APIs are not enabled")
        if match := _LABEL.fullmatch(path):
            return _ok(self._label_values(match.group(1), form))
        routes: dict[str, Callable[[Form], object]] = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._range,
            "/api/v1/series": self._series,
            "/api/v1/labels": self._labels,
            "/api/v1/metadata": lambda _: {},
            "/api/v1/rules": lambda _: {"groups": []},
            "/api/v1/alerts": lambda _: {"alerts": self.world.alerts},
            "/api/v1/targets": lambda _: {"activeTargets": [], "droppedTargets": []},
            "/api/v1/status/buildinfo": self._build,
            "/api/v1/format_query": self._format,
        }
        if path not in routes:
            return web.Response(status=404, text="404 page not found\n")
        return _ok(routes[path](form))

    def _query(self, form: Form) -> JsonObject:
        at = _time(form, "time", self.world.clock.now)
        return _result(self._engine.instant(_one(form, "query"), at), at)

    def _range(self, form: Form) -> JsonObject:
        start, end = _time(form, "start", None), _time(form, "end", None)
        return _result(self._engine.range(_one(form, "query"), start, end, _duration(_one(form, "step"))), end)

    def _format(self, form: Form) -> str:
        query = _one(form, "query")
        check_query(query)
        return query

    def _build(self, _: Form) -> JsonObject:
        return {"version": VERSIONS.get(self.world.prometheus, VERSIONS["3.x"]), "revision": "", "branch": "HEAD"}

    def _matched(self, form: Form) -> list[Mapping[str, str]]:
        now = self.world.clock.now
        start, end = _time(form, "start", now - 3600), _time(form, "end", now)
        found: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}
        for text in form.get("match[]", []):
            for labels in self.world.series.label_sets(matchers_of(text), start, end):
                found.setdefault(frozenset(labels.items()), labels)
        return list(found.values())[: int(_number(form, "limit")) or None]

    def _series(self, form: Form) -> list[dict[str, str]]:
        if not form.get("match[]"):
            raise _Failure(400, "bad_data", "no match[] parameter provided")
        return [dict(labels) for labels in self._matched(form)]

    def _labels(self, form: Form) -> list[str]:
        return sorted({name for labels in self._or_all(form) for name in labels})

    def _label_values(self, label: str, form: Form) -> list[str]:
        values = sorted({labels[label] for labels in self._or_all(form) if label in labels})
        return values[: int(_number(form, "limit")) or None]

    def _or_all(self, form: Form) -> list[Mapping[str, str]]:
        if form.get("match[]"):
            return self._matched(form)
        return self._matched({**form, "match[]": ['{__name__=~".+"}']})

    # --- faults --------------------------------------------------------------------------------------------

    async def _faulty(self, request: web.BaseRequest, shown: str) -> web.Response | None:
        for index, fault in enumerate(self.world.faults):
            if fields.text(fault, "server") != "prom" or not self._applies(index, fault, request, shown):
                continue
            if fields.flag(fault, "hang"):
                await asyncio.sleep(3600)
            return self._played_fault(fault, request, await _form(request))
        return None

    def _applies(self, index: int, fault: JsonObject, request: web.BaseRequest, shown: str) -> bool:
        if fields.text(fault, "match") not in f"{request.path} {shown}":
            return False
        count = fields.number(fault, "count")
        self._played[index] = self._played.get(index, 0) + 1
        return count is None or self._played[index] <= count

    def _played_fault(self, fault: JsonObject, request: web.BaseRequest, form: Form) -> web.Response:
        status = int(fields.number(fault, "status") or 200)
        if fields.flag(fault, "html"):
            page = fields.text(fault, "body") or "<html><body>Sign in</body></html>"
            return web.Response(status=status, text=page, content_type="text/html")
        if fields.text(fault, "body"):
            return web.Response(status=status, text=fields.text(fault, "body"), content_type="application/json")
        real = self._answer(request, form)
        if warnings := fields.texts(fault, "warnings"):
            body = json.loads(real.body) if isinstance(real.body, bytes) else {}
            return web.json_response({**body, "warnings": warnings})
        if (cut := fields.number(fault, "truncate")) is not None and isinstance(real.body, bytes):
            return web.Response(status=real.status, body=real.body[: int(cut)], content_type="application/json")
        response = _error(status, "unavailable", f"the world answers {status}")
        if (after := fields.number(fault, "retry_after")) is not None:
            response.headers["Retry-After"] = str(int(after))
        return response


async def _form(request: web.BaseRequest) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in request.query.items():
        found.setdefault(name, []).append(value)
    if request.method == "POST":
        for name, posted in (await request.post()).items():
            if isinstance(posted, str):
                found.setdefault(name, []).append(posted)
    return found


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """The matchers of a selector. Raises BadData for anything else."""
    node = nodes.bare(compile_query(text))
    if not isinstance(node, nodes.Selector):
        raise BadData(f"{text!r} is not a series selector")
    return node.matchers


def _ok(data: object) -> web.Response:
    return web.json_response({"status": "success", "data": data})


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": kind, "error": message}, status=status)


def _one(form: Form, name: str) -> str:
    value = (form.get(name) or [""])[0]
    if not value:
        raise _Failure(400, "bad_data", f'invalid parameter "{name}": no value')
    return value


def _number(form: Form, name: str) -> float:
    text = (form.get(name) or ["0"])[0]
    return float(text) if text.isdigit() else 0.0


def _time(form: Form, name: str, default: float | None) -> float:
    text = (form.get(name) or [""])[0]
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        moment = fields.timestamp(text)
        if moment is None:
            raise _Failure(400, "bad_data", f'invalid parameter "{name}": cannot parse "{text}"') from None
        return moment


def _duration(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
        if not parts or "".join(n + u for n, u in parts) != text:
            raise _Failure(400, "bad_data", f'invalid parameter "step": cannot parse "{text}"') from None
        return sum(int(n) * SECOND_UNITS[u] for n, u in parts)


def _value(number: float) -> str:
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number) if number != int(number) or abs(number) >= 1e16 else str(int(number))


def _result(result: Result, at: float) -> JsonObject:
    if result.type == "string":
        return {"resultType": "string", "result": [at, result.text]}
    if result.type == "scalar":
        (_, points), *_rest = result.series
        return {"resultType": "scalar", "result": [points[0][0], _value(points[0][1])]}
    if result.type == "vector":
        rows: list[JsonValue] = [
            {"metric": {**labels}, "value": [p[0][0], _value(p[0][1])]} for labels, p in result.series
        ]
        return {"resultType": "vector", "result": rows}
    many: list[JsonValue] = [
        {"metric": {**labels}, "values": [[t, _value(v)] for t, v in p]} for labels, p in result.series
    ]
    return {"resultType": "matrix", "result": many}
