"""Container logs: which container, which part, and bytes that are not text."""

from __future__ import annotations

import pytest

from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world
from tools.types import JsonObject

BYTES = b"\xff\xfe\x00binary\nsecond \x1b[31mred\nthird without end"
DATED = b"2027-01-15T07:00:00Z early\n  continued\n2027-01-15T07:59:30.5Z late\nlater still\n"


def _many() -> JsonObject:
    containers: list[JsonObject] = [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]
    first: list[JsonObject] = [{"name": "init", "image": "x"}]
    spec: JsonObject = {"nodeName": "n1", "containers": list(containers), "initContainers": list(first)}
    return {**pod("many"), "spec": spec}


def _state(name: str, **status: JsonObject) -> JsonObject:
    states: list[JsonObject] = [{"name": "main", **status}]
    return {**pod(name), "status": {"phase": "Pending", "containerStatuses": list(states)}}


async def _client(serve: Serve) -> Client:
    objects = [
        pod("bytes"),
        pod("dated"),
        _many(),
        _state("creating", state={"waiting": {"reason": "ContainerCreating"}}),
        _state("pulling", state={"waiting": {"reason": "ImagePullBackOff"}}),
        _state("restarted", lastState={"terminated": {"exitCode": 1}}),
        _state("started", state={"running": {"startedAt": "2027-01-15T06:00:00Z"}}),
    ]
    logs = {
        ("default", "bytes", "main"): BYTES,
        ("default", "dated", "main"): DATED,
        ("default", "many", "b"): b"from b\n",
        ("default", "many", "init"): b"from init\n",
        ("default", "started", "main"): b"no time\n",
    }
    return await serve(small_world(objects, logs=logs))


async def _log(serve: Serve, name: str, query: str = "") -> Reply:
    return await (await _client(serve)).get(f"/api/v1/namespaces/default/pods/{name}/log?{query}")


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("bytes", "", BYTES),
        ("bytes", "follow=true", BYTES),
        ("bytes", "tailLines=2", b"second \x1b[31mred\nthird without end"),
        ("bytes", "tailLines=0", b""),
        ("bytes", "tailLines=99", BYTES),
        ("bytes", "limitBytes=5", BYTES[:5]),
        ("bytes", "tailLines=1&limitBytes=5", b"third"),
        ("many", "container=b", b"from b\n"),
        ("many", "container=init", b"from init\n"),
        ("many", "container=a", b""),
        ("dated", "sinceSeconds=60", b"2027-01-15T07:59:30.5Z late\nlater still\n"),
        ("dated", "sinceTime=2027-01-15T07:30:00Z&tailLines=1", b"later still\n"),
        ("started", "timestamps=true", b"2027-01-15T06:00:00.000000000Z no time\n"),
        ("started", "sinceSeconds=60", b""),
        ("restarted", "previous=true", b""),
    ],
)
async def test_a_log_is_what_was_asked_for(serve: Serve, name: str, query: str, expected: bytes) -> None:
    reply = await _log(serve, name, query)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain")
    assert reply.raw == expected


async def test_timestamps_come_before_every_line(serve: Serve) -> None:
    lines = (await _log(serve, "dated", "timestamps=true")).raw.splitlines()
    assert [line.split(b" ", 1)[0] for line in lines] == [
        b"2027-01-15T07:00:00.000000000Z",
        b"2027-01-15T07:00:00.000000000Z",
        b"2027-01-15T07:59:30.500000000Z",
        b"2027-01-15T07:59:30.500000000Z",
    ]


@pytest.mark.parametrize(
    ("name", "query", "status", "message"),
    [
        ("absent", "", 404, 'pods "absent" not found'),
        ("many", "", 400, "choose one of: [a b] or one of the init containers: [init]"),
        ("creating", "", 400, 'container "main" in pod "creating" is waiting to start: ContainerCreating'),
        ("pulling", "", 400, 'container "main" in pod "pulling" is trying and failing to pull image'),
        ("bytes", "previous=true", 400, 'previous terminated container "main" in pod "bytes" not found'),
        ("bytes", "tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("bytes", "tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("bytes", "limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("bytes", "sinceTime=now", 400, 'parsing time "now"'),
        ("bytes", "sinceSeconds=1&sinceTime=2027-01-15T07:30:00Z", 422, "at most one of"),
    ],
)
async def test_a_log_that_is_not_there_says_why(serve: Serve, name: str, query: str, status: int, message: str) -> None:
    reply = await _log(serve, name, query)
    assert reply.status == status
    assert message in reply.message
