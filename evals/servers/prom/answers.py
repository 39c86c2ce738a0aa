"""Answers in the JSON forms of the Prometheus HTTP API.

Rules: values are strings, times are numbers; a vector's value may have an exponent, a scalar's never has.
"""

from __future__ import annotations

import json

from aiohttp import web
from pydantic import JsonValue

from evals.promql.model import Result
from evals.promql.numbers import show_float
from tools.types import JsonObject


def success(data: object, warnings: list[str] | None = None) -> web.Response:
    """200 with data, and with warnings where there are some."""
    body: dict[str, object] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = warnings
    return _json(200, body)


def api_error(status: int, kind: str, message: str) -> web.Response:
    """An error with its errorType."""
    return _json(status, {"status": "error", "errorType": kind, "error": message})


def plain(status: int, text: str) -> web.Response:
    """Text, as the endpoints outside the API answer."""
    return web.Response(status=status, text=text, content_type="text/plain", charset="utf-8")


def _json(status: int, body: dict[str, object]) -> web.Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return web.Response(status=status, body=text.encode("utf-8", "replace"), content_type="application/json")


def result(answer: Result, limit: int | None = None) -> JsonObject:
    """The `data` of a query; at most `limit` series."""
    if answer.type in ("string", "scalar"):
        ((at, value),) = answer.series[0][1]
        text = answer.text if answer.type == "string" else show_float(value)
        return {"resultType": answer.type, "result": [_time(at), text]}
    rows: list[JsonValue] = []
    for labels, points in answer.series[:limit]:
        pairs: list[JsonValue] = [[_time(at), show_value(value)] for at, value in points]
        metric: JsonObject = dict(sorted(labels.items()))
        if answer.type == "vector":
            rows.append({"metric": metric, "value": pairs[0]})
        else:
            rows.append({"metric": metric, "values": pairs})
    return {"resultType": answer.type, "result": rows}


def show_value(value: float) -> str:
    """A sample's value: plain decimals, with an exponent only below 1e-6 and from 1e21 on."""
    if value and (abs(value) < 1e-6 or 1e21 <= abs(value) < float("inf")):
        return repr(float(value))
    return show_float(value)


def _time(at: float) -> JsonValue:
    return int(at) if at == int(at) else at
