"""Asking a real Prometheus and our engine the same thing, and telling whether they agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlencode

from evals.promql.engine import Engine
from evals.promql.model import BadData, Labels
from evals.promql.vectors import Identity, identity
from tests.promql.promtool import close

Points = dict[Identity, list[tuple[float, float]]]


@dataclass(frozen=True)
class Answer:
    """What came back: a kind of result with its points, or a kind of error."""

    kind: str
    points: Points
    order: list[Identity]
    error: str = ""


class Oracle:
    """One connection to a real Prometheus."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(url.removeprefix("http://"), timeout=30)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def instant(self, query: str, at: float) -> Answer:
        """The real answer at one moment."""
        return self._ask("/api/v1/query", {"query": query, "time": f"{at:.3f}"})

    def range(self, query: str, start: float, end: float, step: float) -> Answer:
        """The real answer over a range."""
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._ask("/api/v1/query_range", form)

    def _ask(self, path: str, form: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", path, urlencode(form), headers)
        body = json.loads(self._connection.getresponse().read())
        if body["status"] != "success":
            return Answer(body["errorType"], {}, [], body["error"])
        data = body["data"]
        if data["resultType"] == "scalar":
            return Answer("scalar", {frozenset(): [_point(data["result"])]}, [])
        points: Points = {}
        for series in data["result"]:
            pairs = series["values"] if "values" in series else [series["value"]]
            points[identity(series["metric"])] = [_point(pair) for pair in pairs]
        return Answer(data["resultType"], points, list(points))


def _point(pair: list[object]) -> tuple[float, float]:
    return float(str(pair[0])), float(str(pair[1]))


def ours(engine: Engine, query: str, at: float | tuple[float, float, float]) -> Answer:
    """Our answer, at a moment or over (start, end, step)."""
    try:
        result = engine.range(query, *at) if isinstance(at, tuple) else engine.instant(query, at)
    except BadData as error:
        return Answer(error.kind, {}, [], error.message)
    points = {identity(labels): values for labels, values in result.series}
    assert len(points) == len(result.series), f"the same labels twice in the answer to {query}"
    return Answer(result.type, points, list(points))


def difference(real: Answer, own: Answer, *, ordered: bool = False) -> str:
    """ "" when both agree to 1e-9, else what differs first."""
    if real.kind != own.kind:
        return f"real {real.kind} {real.error}, ours {own.kind} {own.error}"
    if real.points.keys() != own.points.keys():
        only_real, only_own = real.points.keys() - own.points.keys(), own.points.keys() - real.points.keys()
        return f"only real: {[_labels(k) for k in only_real][:3]}, only ours: {[_labels(k) for k in only_own][:3]}"
    for key, points in real.points.items():
        others = own.points[key]
        if [t for t, _ in points] != [t for t, _ in others]:
            return f"{_labels(key)}: times differ, {len(points)} real, {len(others)} ours"
        for (at, value), (_, other) in zip(points, others, strict=True):
            if not close(value, other):
                return f"{_labels(key)} at {at}: real {value!r}, ours {other!r}"
    if ordered:
        shown, own_shown = ([answer.points[key][0][1] for key in answer.order] for answer in (real, own))
        if not all(close(a, b) for a, b in zip(shown, own_shown, strict=True)):
            return f"order: real {shown}, ours {own_shown}"
    return ""


def _labels(key: Identity) -> Labels:
    return dict(sorted(key))
