"""The recordings of a real kube-apiserver 1.36, and the worlds that its list exchanges add up to.

Exchanges are numbered as they happened, from 1. Three moments of the story make three worlds: `cluster`
(exchanges 42 to 118), `viewer` (from 136: a role is bound) and `devices` (from 156: claims, slices, a custom kind).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_object, as_text, dig, objects_at
from evals.world.model import Access, Clock, World
from tests.servers.kube.worlds import NoSeries
from tools.types import JsonObject

FILE = Path(__file__).parents[2] / "recordings" / "kubernetes-1.36.jsonl"
NOW = {"cluster": 1_795_233_857.2, "viewer": 1_795_233_863.0, "devices": 1_795_233_872.0}
"""When the reads of each world were recorded; 2026-11-21T04:04:17.2Z is the first."""
TOKEN = "recorder-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "recorder/1.0"}
POD = "chat-678759f74-5s22l"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and its answer. A body in text is a str."""

    number: int
    name: str
    method: str
    path: str
    headers: dict[str, str]
    sent: JsonValue
    status: int
    content_type: str
    body: JsonValue
    warning: str | None = None
    """The Warning header of the answer."""

    @property
    def json(self) -> JsonObject:
        """The answer where it is an object."""
        return as_object(self.body)

    @property
    def text(self) -> str:
        """The answer where it is text."""
        return as_text(self.body)

    @property
    def events(self) -> list[JsonObject]:
        """The answer where it is a watch."""
        return [json.loads(line) for line in self.text.splitlines()]


@cache
def _lines() -> tuple[str, ...]:
    return tuple(FILE.read_text().splitlines())


def _line(number: int) -> JsonObject:
    line: JsonObject = json.loads(_lines()[number - 1])
    return line


def count() -> int:
    """How many lines the recording has."""
    return len(_lines())


def is_setup(number: int) -> bool:
    """True for a line that only says how the cluster was prepared."""
    return _line(number).get("setup") is True


def name_of(number: int) -> str:
    """The name of a line."""
    return as_text(_line(number)["name"])


def exchange(number: int) -> Exchange:
    """One exchange, fresh from the file."""
    line = _line(number)
    sent, got = as_object(line["request"]), as_object(line["response"])
    headers = {key: as_text(value) for key, value in as_object(sent["headers"]).items() if key != "Authorization"}
    status = got["status"]
    assert isinstance(status, int)
    return Exchange(
        number=number,
        name=as_text(line["name"]),
        method=as_text(sent["method"]),
        path=as_text(sent["path"]),
        headers=headers,
        sent=sent["body"],
        status=status,
        content_type=as_text(dig(got, "headers", "content-type")),
        body=got["body"],
        warning=as_text(dig(got, "headers", "warning")) or None,
    )


def request_of(number: int) -> JsonObject:
    """The request of a line, setup lines included."""
    return as_object(_line(number)["request"])


def setup_object(number: int, namespace: str = "") -> JsonObject:
    """The object a setup line creates."""
    body = as_object(dig(_line(number), "request", "body"))
    if namespace:
        body["metadata"] = {**as_object(body["metadata"]), "namespace": namespace}
    return body


def items(number: int) -> list[JsonObject]:
    """The objects of a list exchange, with the kind and apiVersion that lists leave out."""
    body = exchange(number).json
    head: JsonObject = {"apiVersion": body["apiVersion"], "kind": as_text(body["kind"]).removesuffix("List")}
    return [{**head, **item} for item in objects_at(body, "items")]


def _leases() -> list[JsonObject]:
    """The two leases of the recorded page, and for each other node one like them."""
    leases = items(54)
    named = {as_text(dig(lease, "metadata", "name")) for lease in leases}
    for node in items(42):
        name = as_text(dig(node, "metadata", "name"))
        if name not in named:
            metadata: JsonObject = {**as_object(leases[0]["metadata"]), "name": name, "uid": f"lease-{name}"}
            leases.append({**leases[0], "metadata": metadata})
    return leases


def _cluster() -> list[JsonObject]:
    objects = [one for number in (42, 43, 44, 46, 47, 48, 49, 50, 52, 53) for one in items(number)]
    maps = [as_object(event["object"]) for event in exchange(130).events]
    maps = [one for one in maps if dig(one, "metadata", "name") != "applied"]
    return [*objects, *_leases(), *maps, exchange(39).json, exchange(40).json]


def _viewer() -> list[JsonObject]:
    return [*_cluster(), *items(136), setup_object(134, "rec"), setup_object(135, "rec")]


def _devices() -> list[JsonObject]:
    objects = [*items(160), *items(162), *items(163), *items(168), setup_object(164)]
    return [*objects, *(exchange(number).json for number in (156, 157, 158, 159))]


_WORLDS = {"cluster": _cluster, "viewer": _viewer, "devices": _devices}


def world(name: str) -> World:
    """A fresh world of one moment of the recording, administered by the user whose token is TOKEN."""
    log, previous = exchange(89).text, exchange(93).text
    everything: JsonObject = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    return World(
        name=name,
        description="a moment of the recorded cluster",
        clock=Clock(NOW[name]),
        kubernetes="1.36.2",
        prometheus="3.x",
        objects=_WORLDS[name](),
        series=NoSeries(),
        logs={("rec", POD, "server"): log.encode(), ("rec", POD, "server/previous"): previous.encode()},
        access=Access(
            tokens={TOKEN: ("recorder", ("system:masters",))},
            rules={"system:masters": [everything]},
        ),
    )
