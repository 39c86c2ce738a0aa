"""The writes of the recording, played in order against a fresh world: one story from an empty namespace to a denial.

Bodies must be equal but for VOLATILE and uids, which are mapped. A world is no control plane: what controllers did
is put in before the write that shows it (`_act`). Exchanges whose values are printed by Go's structs are compared by
their causes, and pods without the peculiar volumes of the recorded build (`LOOSE`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_object, as_text, dig, objects_at
from evals.world.model import Access, Clock, World
from tests.servers.kube import recording
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.recording import Exchange, exchange
from tests.servers.kube.worlds import NoSeries
from tools.types import JsonObject

WRITES = (
    *(1, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40),
    *(96, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118),
    *(119, 120, 121, 122, 123, 148, 149, 150, 151, 152, 153, 154, 161, 166, 167, 170, 171, 172, 175, 176, 177),
)
"""Every exchange of the recording that writes or is refused a write (133, a 403 by role, has a test of its own)."""
CONTROLLERS = (44, 46, 47, 48, 49, 50, 52, 53)
"""Lists that show what controllers made of the first writes."""
VOLATILE = {"resourceVersion", "time", "creationTimestamp"}
LOOSE = {118: "a Go struct is printed", 161: "a Go struct is printed"}


@dataclass(slots=True)
class Player:
    """Sends recorded requests and remembers which of our uids and versions stand for recorded ones."""

    client: Client
    uids: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def ours(self, text: str) -> str:
        for theirs, mine in self.uids.items():
            text = text.replace(theirs, mine)
        return text

    async def play(self, recorded: Exchange) -> Reply:
        sent = recorded.sent
        if isinstance(sent, dict):
            sent = json.loads(self.ours(json.dumps(sent)))
            version = as_text(dig(sent, "metadata", "resourceVersion"))
            if version in self.versions:
                sent["metadata"]["resourceVersion"] = self.versions[version]
        reply = await self.client.send(recorded.method, recorded.path, body=sent, headers=recorded.headers)
        if reply.status < 300:
            self._learn(recorded.json, reply.body)
        return reply

    def _learn(self, theirs: JsonObject, mine: JsonObject) -> None:
        for name, known in (("uid", self.uids), ("resourceVersion", self.versions)):
            old, new = as_text(dig(theirs, "metadata", name)), as_text(dig(mine, "metadata", name))
            if old and new and old not in known:
                known[old] = new

    def expected(self, recorded: Exchange) -> JsonObject:
        return as_object(json.loads(self.ours(json.dumps(recorded.body))))

    def put(self, body: JsonObject) -> None:
        """What a controller stores."""
        store, kinds = self.client.server.store, self.client.server.kinds
        group, _, version = as_text(body["apiVersion"]).rpartition("/")
        text = self.ours(json.dumps(body))
        store.put(kinds.by_kind[(group, version, as_text(body["kind"]))], json.loads(text))


def _world() -> World:
    everything: JsonObject = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    return World(
        name="story",
        description="before the recording",
        clock=Clock(recording.NOW["cluster"]),
        kubernetes="1.36.2",
        prometheus="3.x",
        objects=[*recording.items(42), recording.setup_object(164)],
        series=NoSeries(),
        access=Access(
            tokens={recording.TOKEN: ("recorder", ("system:masters",))}, rules={"system:masters": [everything]}
        ),
    )


def _act(player: Player, number: int) -> None:
    """What controllers did before a write."""
    if number == 96:
        for listed in CONTROLLERS:
            for body in recording.items(listed):
                player.put(body)
    if number in (101, 103, 108):
        _status_of(player, exchange(number).json)
    if number == 111:
        _deployment_status(player, {"replicas": 4})
    if number == 119:
        budget = recording.items(52)[0]
        healthy: JsonObject = {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 3}
        player.put({**budget, "status": {**as_object(budget["status"]), **healthy}})
    if number == 177:
        quota = recording.items(53)[0]
        used: JsonObject = {"requests.nvidia.com/gpu": "42"}
        player.put({**quota, "status": {"hard": {"requests.nvidia.com/gpu": "64"}, "used": used}})


def _chat(player: Player) -> JsonObject:
    server = player.client.server
    item = server.store.get(server.kinds.by_path[("apps", "v1", "deployments")], "rec", "chat")
    assert item is not None
    return {"kind": "Deployment", "apiVersion": "apps/v1", **item.body}


def _status_of(player: Player, recorded: JsonObject) -> None:
    """The deployment controller's fields of a recorded answer."""
    have, theirs = _chat(player), as_object(recorded["metadata"])
    metadata = as_object(have["metadata"])
    owned = [one for one in objects_at(metadata, "managedFields") if one.get("subresource") != "status"]
    owned += [one for one in objects_at(theirs, "managedFields") if one.get("subresource") == "status"]
    owned.sort(key=lambda one: (as_text(one["time"]), as_text(one["manager"])))
    metadata = {**metadata, "annotations": theirs["annotations"], "managedFields": list(owned)}
    player.put({**have, "metadata": metadata, "status": recorded["status"]})


def _deployment_status(player: Player, status: JsonObject) -> None:
    have = _chat(player)
    player.put({**have, "status": {**as_object(have["status"]), **status}})


def comparable(value: JsonValue) -> JsonValue:
    """Without what differs between two servers, and without the recorded build's own volumes."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key not in ("volumes", "volumeMounts")}
        return {key: ("…" if key in VOLATILE and one else comparable(one)) for key, one in kept.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return value


def _reasons(body: JsonObject) -> list[tuple[str, str, str]]:
    """The causes of a Status: reason, field, and how the message ends."""
    return [
        (as_text(one["reason"]), as_text(one["field"]), as_text(one["message"]).rpartition(": ")[2])
        for one in objects_at(body, "details", "causes")
    ]


async def test_the_story_of_the_writes(serve: Serve) -> None:
    player = Player(await serve(_world()))
    setups = {124, 125, 126, 134, 135, 173, 174}
    for number in sorted({*WRITES, *setups}):
        if number in setups:
            await _set_up(player, number)
            continue
        _act(player, number)
        recorded = exchange(number)
        reply = await player.play(recorded)
        what = f"{number} {recorded.name}: {reply.text[:600]}"
        assert reply.status == recorded.status, what
        assert reply.headers.get("Content-Type", "") == recorded.content_type, what
        wanted = player.expected(recorded)
        if number in LOOSE:
            assert _reasons(reply.body) == _reasons(wanted), what
            assert as_object(reply.body["details"]).keys() == as_object(wanted["details"]).keys()
        else:
            assert comparable(reply.body) == comparable(wanted), what
        assert reply.headers.get("Warning") == recorded.warning, what


async def _set_up(player: Player, number: int) -> None:
    line = recording.request_of(number)
    path, headers = as_text(line["path"]), as_object(line["headers"])
    sent = {key: as_text(value) for key, value in headers.items() if key != "Authorization"}
    reply = await player.client.send(as_text(line["method"]), path, body=line["body"], headers=sent)
    assert reply.status in (200, 201), reply.text


def test_the_story_tells_every_write_of_the_recording() -> None:
    methods = {"POST", "PUT", "PATCH", "DELETE"}
    numbers = [n for n in range(1, recording.count() + 1) if not recording.is_setup(n)]
    reviews = {139, 140, 141, 142, 143, 144, 145, 146, 147}
    written = {n for n in numbers if exchange(n).method in methods} - reviews - {133}
    assert written | {26} == set(WRITES)
