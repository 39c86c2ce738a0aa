"""Every exchange of the recording that reads, or that needs no other write, played against the world server.

Bodies must be equal but for the values named in `VOLATILE`. What writes is played in order by `test_story`.
"""

from __future__ import annotations

import pytest
import yaml
from pydantic import JsonValue

from evals.servers.kube import watch
from evals.servers.kube.jsonread import as_object
from evals.servers.kube.server import KubeServer
from tests.servers.kube import recording
from tests.servers.kube.conftest import Serve
from tests.servers.kube.recording import exchange, world
from tests.servers.kube.test_story import WRITES
from tools.types import JsonObject

READS: dict[str, tuple[int, ...]] = {
    "cluster": (
        *(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21),
        *(26, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57),
        *(58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 76),
        *(77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 90, 91, 92, 93, 94, 95),
        *(96, 98, 100, 102, 106, 115, 117, 129, 131, 132, 133, 178),
    ),
    "viewer": (136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147),
    "devices": (156, 157, 158, 159, 160, 162, 163, 165, 168, 169, 170, 171),
}
"""Exchanges that stand for themselves, by the world they are asked of."""
STORIES = (18, 22, 75, 88, 97, 99, 127, 128, 130, 172)
"""Exchanges with a test of their own below: they need an earlier one, a form of their own, or a stream."""
VOLATILE = {
    "resourceVersion",
    "time",
    "continue",
    "serverAddressByClientCIDRs",
    "gitCommit",
    "buildDate",
    "goVersion",
}


def comparable(value: JsonValue) -> JsonValue:
    """The value without what may differ between two servers; a volatile field only has to be there."""
    if isinstance(value, dict):
        return {key: ("…" if key in VOLATILE and one else comparable(one)) for key, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return value


def test_every_exchange_is_played_somewhere() -> None:
    named = {*STORIES, *WRITES, *(n for ns in READS.values() for n in ns)}
    setups = {n for n in range(1, recording.count() + 1) if recording.is_setup(n)}
    assert named | setups == set(range(1, recording.count() + 1))


def test_comparing_leaves_out_only_what_is_volatile() -> None:
    pod = exchange(85).json
    seen = as_object(comparable(pod))
    assert (seen["spec"], seen["status"]) == (pod["spec"], pod["status"])
    assert set(as_object(seen["metadata"])) == set(as_object(pod["metadata"]))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param(moment, number, id=f"{number}-{recording.name_of(number).replace(' ', '_')}")
        for moment, numbers in READS.items()
        for number in numbers
    ],
)
async def test_answers_like_the_real_server(serve: Serve, moment: str, number: int) -> None:
    client = await serve(world(moment))
    recorded = exchange(number)
    reply = await client.replay(recorded)
    assert reply.status == recorded.status
    assert reply.headers.get("Content-Type", "") == recorded.content_type
    if isinstance(recorded.body, str):
        assert reply.text == recorded.body
    else:
        assert comparable(reply.body) == comparable(recorded.body)


async def test_openapi_index_is_served_without_schemas(serve: Serve) -> None:
    reply = await (await serve(world("cluster"))).replay(exchange(18))
    assert (reply.status, reply.body) == (200, {"paths": {}})


async def test_verbose_health_lists_checks_and_passes(serve: Serve) -> None:
    reply = await (await serve(world("cluster"))).replay(exchange(22))
    lines, recorded = reply.text.splitlines(), exchange(22).text.splitlines()
    assert reply.status == 200
    assert lines[-1] == recorded[-1]
    assert set(lines) <= set(recorded)


async def test_second_page_continues_the_first(serve: Serve) -> None:
    client = await serve(world("cluster"))
    first = await client.replay(exchange(74))
    token = first.at("metadata", "continue")
    path = exchange(75).path.partition("continue=")[0] + f"continue={token}"
    second = await client.replay(exchange(75), path=path)
    assert comparable(second.body) == comparable(exchange(75).body)
    assert second.at("metadata", "resourceVersion") == first.at("metadata", "resourceVersion")


async def test_yaml_says_what_json_says(serve: Serve) -> None:
    reply = await (await serve(world("cluster"))).replay(exchange(88))
    assert reply.headers["Content-Type"] == exchange(88).content_type
    assert yaml.safe_load(reply.text) == yaml.safe_load(exchange(88).text)


async def test_dry_run_changes_nothing(serve: Serve) -> None:
    client = await serve(world("cluster"))
    await client.replay(exchange(96))
    after = await client.replay(exchange(97))
    assert after.body == exchange(97).body


async def test_a_stale_resource_version_is_a_conflict(serve: Serve) -> None:
    client = await serve(world("cluster"))
    await client.replay(exchange(98))
    reply = await client.replay(exchange(99))
    assert (reply.status, reply.body) == (exchange(99).status, exchange(99).body)


async def test_status_subresource_of_a_custom_object(serve: Serve) -> None:
    client = await serve(world("devices"))
    await client.replay(exchange(171))
    reply = await client.replay(exchange(172))
    assert comparable(reply.body) == comparable(exchange(172).body)


def _play_config_maps(server: KubeServer) -> int:
    """Writes 109 to 126 of the story, put straight into the store; returns the revision after `cfg` was deleted."""
    store, resource = server.store, server.kinds.by_path[("", "v1", "configmaps")]
    store.put(resource, exchange(109).json)
    store.remove(store.put(resource, exchange(113).json))
    deleted = store.revision
    for event in exchange(127).events[:2]:
        item = store.put(resource, as_object(event["object"]))
    store.remove(item)
    return deleted


def _seen(events: list[JsonObject]) -> list[tuple[JsonValue, JsonValue]]:
    return [(event["type"], comparable(event["object"])) for event in events]


async def test_watch_from_a_revision_sends_what_came_after_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECOND", 0.05)
    client = await serve(world("cluster"))
    since = _play_config_maps(client.server)
    reply = await client.replay(exchange(127), path=exchange(127).path.replace("=501", f"={since}"))
    assert reply.headers["Content-Type"] == exchange(127).content_type
    assert _seen(reply.events) == _seen(exchange(127).events)


async def test_watch_from_long_ago_sends_history(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECOND", 0.05)
    client = await serve(world("cluster"))
    _play_config_maps(client.server)
    reply = await client.replay(exchange(128))
    assert _seen(reply.events) == _seen(exchange(128).events)


async def test_watch_without_revision_begins_with_what_is_there(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECOND", 0.05)
    client = await serve(world("cluster"))
    _play_config_maps(client.server)
    reply = await client.replay(exchange(130))
    assert _seen(reply.events) == _seen(exchange(130).events)
