"""The live metrics port: prometheus-api-client in a few threads behind an async face.

Rules: only parsed-and-bounded questions leave (at most 11,000 points, `timeout` always sent); warnings and infos
come along; NaN and infinities stay what they are; a cancelled call returns at once and its socket is shut.
API: prometheus.io/docs/prometheus/latest/querying/api.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar

from prometheus_api_client.prometheus_connect import PrometheusConnect
from pydantic import JsonValue

from tools.errors import BadAnswer, Refused, Unavailable
from tools.http import Deadline, backoff
from tools.prom.session import ANSWER_BYTES, Failed, Session
from tools.types import BULK, JsonObject, MetricsAnswer, Series, WireLimits

T = TypeVar("T")
Params: TypeAlias = Mapping[str, str | list[str]]
THREADS: Final = 8
MAX_POINTS: Final = 11_000
"""Prometheus refuses more points a series (web/api/v1 of prometheus/prometheus)."""
QUERY_BYTES: Final = 1 << 16

_threads = THREADS


@contextmanager
def one_thread() -> Iterator[None]:
    """Ports made inside use a single thread: vcrpy's patches are process-wide and not safe among threads."""
    global _threads
    before, _threads = _threads, 1
    try:
        yield
    finally:
        _threads = before


@dataclass(frozen=True, slots=True)
class Client:
    """prometheus-api-client and the session it sends with; used by one thread at a time."""

    api: PrometheusConnect
    session: Session


class LiveProm:
    """Read access to one Prometheus-compatible server. Close it when done."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, request_timeout: float | None = None
    ) -> None:
        self.url = url
        self._headers = dict(headers or {})
        self._timeout = request_timeout
        self._threads = _threads
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="prometheus")
        self._slots = asyncio.Semaphore(self._threads)
        self._idle: list[Client] = []
        self._sent = 0

    async def __aenter__(self) -> LiveProm:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and the threads."""
        while self._idle:
            self._idle.pop().session.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def address(self) -> str:
        """Base address of the server."""
        return self.url

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, retries included."""
        return self._sent

    async def instant(self, query: str, *, at: float, wire: WireLimits = BULK) -> MetricsAnswer:
        """Evaluate at one moment; scalars come back as one series without labels."""
        _short(query)

        def ask(client: Client, timeout: str) -> MetricsAnswer:
            client.api.custom_query(query, params={"time": repr(at), "timeout": timeout})
            return _answer(client.session.last)

        return await self._run(ask, wire)

    async def range(
        self, query: str, *, start: float, end: float, step: float, wire: WireLimits = BULK
    ) -> MetricsAnswer:
        """Evaluate over a window (seconds, Unix time). Raises Refused above 11,000 points a series."""
        _short(query)
        if not (math.isfinite(start) and math.isfinite(end) and 0 < step < math.inf and start <= end):
            raise Refused(f"no such window: {start} to {end} by {step}")
        if (end - start) / step + 1 > MAX_POINTS:
            fits = math.ceil((end - start) / (MAX_POINTS - 1))
            raise Refused(f"more than {MAX_POINTS} points a series", hint=f"use a step of {fits} s or more")

        def ask(client: Client, timeout: str) -> MetricsAnswer:
            # The client rounds its own start and end to whole seconds; `params` comes last and wins.
            exact = {"start": repr(start), "end": repr(end), "timeout": timeout}
            moments = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
            client.api.custom_query_range(query, *moments, f"{step:.3f}", params=exact)
            return _answer(client.session.last)

        return await self._run(ask, wire)

    async def series(
        self, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[dict[str, str]]:
        """Label sets of the series that match, at most `limit`."""
        params: Params = {"match[]": list(matchers), "start": repr(start), "end": repr(end), "limit": str(limit)}
        data = await self._get("series", params, method="POST")
        return [_labels(item) for item in _list(data)[:limit]]

    async def label_values(
        self, label: str, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[str]:
        """Values of one label, at most `limit`. Raises Refused for what cannot be a label."""
        if not (label.isascii() and label.isidentifier()):
            raise Refused(f"{label[:80]!r} cannot be the name of a label")
        params: Params = {"start": repr(start), "end": repr(end), "limit": str(limit)}
        if matchers:
            params = {**params, "match[]": list(matchers)}
        data = await self._get(f"label/{label}/values", params)
        return _texts(_list(data))[:limit]

    async def alerts(self) -> list[JsonObject]:
        """Pending and firing alerts."""
        data = await self._get("alerts", {})
        alerts = data.get("alerts") if isinstance(data, dict) else None
        return [alert for alert in _list(alerts) if isinstance(alert, dict)]

    async def buildinfo(self) -> JsonObject:
        """Version and build of the server; {} where it does not say (some compatible servers do not)."""
        try:
            data = await self._get("status/buildinfo", {})
        except BadAnswer:
            return {}
        return data if isinstance(data, dict) else {}

    async def server_time(self) -> float:
        """Prometheus's answer to `time()`."""

        def ask(client: Client, timeout: str) -> MetricsAnswer:
            client.api.custom_query("time()", params={"timeout": timeout})
            return _answer(client.session.last)

        answer = await self._run(ask, BULK)
        if not answer.series or not answer.series[0].points:
            raise BadAnswer("Prometheus did not answer time()")
        return answer.series[0].points[0][1]

    async def _get(self, path: str, params: Params, *, method: str = "GET") -> JsonValue:
        def ask(client: Client, _: str) -> JsonValue:
            client.session.request(method, f"{self.url}/api/v1/{path}", params=params, headers=self._headers)
            return client.session.last["data"]

        return await self._run(ask, BULK)

    async def _run(self, ask: Callable[[Client, str], T], wire: WireLimits) -> T:
        """Run one question under its deadline, retrying what may pass."""
        seconds = min(wire.seconds, self._timeout) if self._timeout else wire.seconds
        deadline = Deadline.after(seconds)
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(deadline.left()), self._slots:
                    return await self._in_thread(ask, deadline, min(wire.call_bytes, ANSWER_BYTES))
            except TimeoutError as error:
                raise Unavailable(f"Prometheus at {self.url} did not answer in {seconds:g} s") from error
            except Failed as failed:
                wait = backoff(attempt, deadline=deadline, asked=failed.wait)
                if wait is None:
                    raise failed.error from failed
                await asyncio.sleep(wait)
                attempt += 1

    async def _in_thread(self, ask: Callable[[Client, str], T], deadline: Deadline, limit: int) -> T:
        client = self._idle.pop() if self._idle else self._client()
        client.session.deadline, client.session.limit = deadline, limit
        timeout = f"{max(int(deadline.left() * 1000), 1)}ms"  # Prometheus takes no fraction before a unit
        self._sent += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, ask, client, timeout)
        try:
            answer = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_forget)
            client.session.abort()
            raise
        except Exception:
            self._idle.append(client)
            raise
        self._idle.append(client)
        return answer

    def _client(self) -> Client:
        session = Session()
        api = PrometheusConnect(url=self.url, headers=self._headers, session=session, method="POST")
        # The client mounted its own adapter, whose retries know no deadline.
        for prefix in (self.url, "http://", "https://"):
            session.mount(prefix, session.adapter)
        return Client(api, session)


def _forget(future: asyncio.Future[T]) -> None:
    """Collect the end of a call nobody waits for, so that its error is not reported as lost."""
    if not future.cancelled():
        future.exception()


def _short(query: str) -> None:
    if len(query.encode()) > QUERY_BYTES:
        raise Refused(f"a query of more than {QUERY_BYTES >> 10} KiB", hint="ask for less at once")


def _answer(document: JsonObject) -> MetricsAnswer:
    """The typed form of an answer to query or query_range. Raises BadAnswer on an unknown shape."""
    data = document["data"]
    if not isinstance(data, dict):
        raise BadAnswer("Prometheus answered without a result")
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        series = [Series({}, [_point(result)])]
    elif kind in ("vector", "matrix"):
        series = [_series(item, kind) for item in _list(result)]
    else:
        raise BadAnswer(f"Prometheus answered a {str(kind)[:40]}, which has no numbers")
    warnings = [text for key in ("warnings", "infos") for text in _texts(document.get(key))]
    histograms = sum(1 for one in series if not one.points)
    if histograms:
        warnings.append(f"{histograms} series hold native histograms, which are not read")
    return MetricsAnswer([one for one in series if one.points], tuple(warnings))


def _series(item: JsonValue, kind: str) -> Series:
    """One series; without points where Prometheus sent only histograms."""
    if not isinstance(item, dict):
        raise BadAnswer("Prometheus answered a series that is none")
    if kind == "vector":
        points = [_point(item["value"])] if "value" in item else []
    else:
        points = [_point(pair) for pair in _list(item.get("values", []))]
    return Series(_labels(item.get("metric")), points)


def _point(pair: JsonValue) -> tuple[float, float]:
    """[time, "value"]; the value is text so that NaN, +Inf and -Inf survive JSON."""
    match pair:
        case [int() | float() as moment, str() as value]:
            try:
                return float(moment), float(value)
            except ValueError:
                pass
    raise BadAnswer("Prometheus answered a sample that is no number")


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise BadAnswer("Prometheus answered no list where one is due")
    return value


def _labels(item: JsonValue) -> dict[str, str]:
    if not isinstance(item, dict):
        raise BadAnswer("Prometheus answered a series without labels")
    return {str(key): str(value) for key, value in item.items()}


def _texts(value: JsonValue) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
