"""The applier's port over real HTTP: what it sends, what it never sends, and what each failure says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from evals import once
from evals.scenario import load_all
from evals.servers.kube.server import KubeServer
from evals.world.model import World
from tests.guarantees.test_g18_no_steering_of_requests import HEADERS, HOSTILE, POISON
from tests.ports.faults import DATE, FaultServer, Seen, healthy
from tests.repo.test_homes import imported
from tests.repo.test_house_style import ROOT, name, sources
from tests.servers.kube.recording import exchange, world
from tests.servers.kube.test_recording import comparable
from tests.servers.kube.worlds import small_world, thing
from tools import fields
from tools.changes import PLAN_ANNOTATION
from tools.errors import (
    BadAnswer,
    CredentialsError,
    Denied,
    NotFound,
    NotServed,
    PlumblineError,
    PortError,
    Refused,
    Unavailable,
)
from tools.http import http_date
from tools.kube import patching, routes
from tools.kube.connect import KubeTarget
from tools.kube.patching import PATCH_BYTES, PATCH_DEPTH, WritingTransport, encoded
from tools.kube.port import LiveKube
from tools.kube.transport import Transport
from tools.kube.writer import JUMP_SECONDS, LiveWriter, ServerClock, catalogued, connect_writer
from tools.types import JsonObject, KindRef, ResourceRef
from tools.writing import ClockJumped, Conflict, Identity, Invalid, Lost, Rejected, Throttled, Writer

WEB = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="default", name="web")
PATH = "/apis/apps/v1/namespaces/default/deployments/web"
DRY = {"dryRun": "All", "fieldManager": "plumbline", "fieldValidation": "Strict"}
REAL = {"fieldManager": "plumbline", "fieldValidation": "Strict"}
FAST = 0.2
"""Seconds a call may take where the server never answers."""


def _world(*faults: JsonObject) -> World:
    spec: JsonObject = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
        },
    }
    objects = [thing("apps/v1", "Deployment", "web", "default", spec=spec), thing("v1", "Namespace", "kube-system")]
    return small_world(objects, faults=[{"server": "kube", **fault} for fault in faults])


@asynccontextmanager
async def _served(
    served: World, tmp_path: Path, *, seconds: float = 10.0
) -> AsyncIterator[tuple[KubeServer, LiveWriter]]:
    server = KubeServer(served)
    await server.start()
    (tmp_path / "config").write_text(json.dumps(server.kubeconfig()))
    target = KubeTarget(kubeconfig=str(tmp_path / "config"), request_timeout=seconds)
    try:
        async with await connect_writer(target, monotonic=lambda: served.clock.now) as writer:
            yield server, writer
    finally:
        await server.stop()


@asynccontextmanager
async def _raw(
    tmp_path: Path, *, seconds: float = 10.0, fault: str = ""
) -> AsyncIterator[tuple[FaultServer, LiveWriter]]:
    """A server that misbehaves on every patch, as `fault` says."""
    async with FaultServer(fault=fault, match="fieldManager", answer=_answer) as server:
        target = KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "config"), request_timeout=seconds)
        async with await connect_writer(target) as writer:
            yield server, writer


def _answer(seen: Seen) -> tuple[int, JsonValue | bytes]:
    if seen.path.startswith("/apis/apps/v1/namespaces/default/deployments/"):
        meta: JsonObject = {"name": seen.path.rpartition("/")[2], "namespace": "default"}
        return 200, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}
    return healthy(seen)


def _bound(found: JsonObject | None = None, **fields: JsonValue) -> JsonObject:
    """A patch as an applier sends it: bound to what was read, and marked."""
    read = (found or {}).get("metadata")
    meta = read if isinstance(read, dict) else {"uid": "u", "resourceVersion": "7"}
    return {
        "metadata": {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "annotations": {PLAN_ANNOTATION: "d" * 64},
        },
        "spec": {"replicas": 3, **fields},
    }


def _spec(found: JsonObject) -> JsonObject:
    spec = found["spec"]
    assert isinstance(spec, dict)
    return spec


# --- where nothing is broken -------------------------------------------------------------------------------


async def test_a_change_is_tried_then_written_once(tmp_path: Path) -> None:
    async with _served(_world(), tmp_path) as (server, live):
        writer: Writer = live
        before = await writer.get(WEB)
        tried = await writer.dry_run(WEB, {"spec": {"replicas": 3}})
        assert (_spec(tried)["replicas"], _spec(await writer.get(WEB))["replicas"]) == (3, 2)
        assert (writer.writes, len(server.effective_writes)) == (0, 0)
        written = await writer.patch(WEB, _bound(before))
        assert await writer.get(WEB) == written
        assert (writer.writes, len(server.effective_writes)) == (1, 1)
        dry, real = server.writes
        assert (dict(parse_qsl(dry.query)), dict(parse_qsl(real.query))) == (DRY, REAL)
        assert {(one.method, one.path, one.content_type) for one in server.writes} == {
            ("PATCH", PATH, "application/merge-patch+json")
        }
        assert writer.requests == len(server.requests)
        assert writer.address == server.url


async def test_the_applier_knows_the_cluster_itself_and_the_time(tmp_path: Path) -> None:
    async with _served(_world(), tmp_path) as (server, writer):
        system = server.store.get(server.kinds.by_path[("", "v1", "namespaces")], "", "kube-system")
        assert system is not None
        assert await writer.cluster_uid() == system.metadata["uid"]
        assert isinstance(who := await writer.identity(), Identity)
        assert who.user
        assert await writer.server_time() == int(server.world.clock.now)
        assert {one.method for one in server.requests} == {"GET", "POST"}
        assert {one.path for one in server.requests if one.method == "POST"} == {routes.SELF_REVIEW}


async def test_every_patch_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """A pooled connection may be dead already, and what was written on it is then lost for no reason."""
    async with _raw(tmp_path) as (server, writer):
        await writer.get(WEB)
        known = server.connections
        for _ in range(3):
            await writer.patch(WEB, _bound())
        assert server.connections == known + 3


async def test_the_version_a_plan_names_is_the_one_written(tmp_path: Path) -> None:
    async with _raw(tmp_path) as (server, writer):
        with suppress(PortError):
            await writer.get(WEB.model_copy(update={"version": "v1beta2"}))
        assert server.seen[-1].path == PATH.replace("v1", "v1beta2")


# --- what a failure says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "error", "holds"),
    [
        (_bound({"metadata": {"uid": "UID", "resourceVersion": "1"}}), Conflict, "has been modified"),
        (_bound({"metadata": {"uid": "other", "resourceVersion": "VERSION"}}), Invalid, "metadata.uid"),
        (_bound({"metadata": {"uid": "UID", "resourceVersion": "VERSION"}}, replicas=-1), Invalid, "spec.replicas"),
        (_bound({"metadata": {"uid": "UID", "resourceVersion": "VERSION"}}, replicaz=1), Invalid, "unknown field"),
    ],
)
async def test_a_refused_write_changes_nothing_and_says_why(
    tmp_path: Path, patch: JsonObject, error: type[PortError], holds: str
) -> None:
    async with _served(_world(), tmp_path) as (server, writer):
        meta = (await writer.get(WEB))["metadata"]
        assert isinstance(meta, dict)
        text = json.dumps(patch).replace("UID", str(meta["uid"])).replace("VERSION", str(meta["resourceVersion"]))
        with pytest.raises(error, match=holds) as caught:
            await writer.patch(WEB, json.loads(text))
        if isinstance(caught.value, Invalid):
            assert caught.value.other_object is (holds == "metadata.uid")
        assert server.effective_writes == []
        assert writer.writes == len(server.writes) == 1


async def test_what_is_not_there_is_told_apart_from_what_is_not_served(tmp_path: Path) -> None:
    async with _served(_world(), tmp_path) as (_, writer):
        with pytest.raises(NotFound):
            await writer.dry_run(WEB.model_copy(update={"name": "gone"}), {"spec": {"replicas": 1}})
        group = ResourceRef(
            group="leaderworkerset.x-k8s.io", kind="LeaderWorkerSet", namespace="default", name="web", version="v1"
        )
        with pytest.raises(NotServed):
            await writer.get(group)


RECORDED: dict[int, type[PortError]] = {
    26: NotFound,
    28: Invalid,
    99: Conflict,
    100: Invalid,
    102: Invalid,
    106: Invalid,
    118: Invalid,
    133: Denied,
    175: Rejected,
    176: Rejected,
    177: Rejected,
}
"""Answers of a real API server, and what they mean as answers to a patch."""


@pytest.mark.parametrize("dry", [True, False], ids=["dry", "real"])
@pytest.mark.parametrize("number", RECORDED)
async def test_the_answers_of_a_real_server_are_told_apart(tmp_path: Path, number: int, *, dry: bool) -> None:
    recorded = exchange(number)
    async with _raw(tmp_path) as (server, writer):
        server.answer = lambda seen: (recorded.status, recorded.body) if seen.method == "PATCH" else _answer(seen)
        with pytest.raises(RECORDED[number]) as caught:
            await (writer.dry_run if dry else writer.patch)(WEB, _bound())
        assert type(caught.value) is RECORDED[number]
        if isinstance(caught.value, Invalid):
            told = fields.items(recorded.json, "details", "causes")
            assert [one.model_dump() for one in caught.value.causes] == [
                {"field": fields.text(one, "field"), "message": fields.text(one, "message")[:500]} for one in told
            ]
            assert caught.value.other_object is (number == 100)
        assert [seen.method for seen in server.seen].count("PATCH") == 1


async def test_a_dry_run_on_the_recorded_cluster_answers_like_the_real_one(tmp_path: Path) -> None:
    chat = WEB.model_copy(update={"namespace": "rec", "name": "chat"})
    async with _served(world("cluster"), tmp_path) as (_, writer):
        answered = await writer.dry_run(chat, {"spec": {"replicas": 1}})
        assert comparable(answered) == comparable(exchange(96).body)


FAULTS: dict[str, tuple[JsonObject, type[PortError], type[PortError], bool]] = {
    "throttled": ({"status": 429, "retry_after": 7}, Throttled, Throttled, False),
    "500": ({"status": 500}, Unavailable, Lost, False),
    "504": ({"status": 504}, Unavailable, Lost, False),
    "conflict": ({"status": 409}, Conflict, Conflict, False),
    "webhook": ({"webhook": "gate.example.com"}, Rejected, Rejected, False),
    "a webhook that calls it a conflict": (
        {"status": 409, "body": {"kind": "Status", "message": 'admission webhook "a.b" denied the request: no'}},
        Rejected, Rejected, False,
    ),
    "html": ({"html": True, "status": 403}, Rejected, Lost, False),
    "html for an answer": ({"html": True, "status": 200}, BadAnswer, Lost, False),
    "moved": ({"status": 307, "body": "elsewhere"}, BadAnswer, Lost, False),
    "cut before it is done": ({"hang": True}, Unavailable, Lost, False),
    "hung up after it was done": ({"lost": True}, Unavailable, Lost, True),
    "half an answer": ({"truncate": 40}, Unavailable, Lost, True),
    "another object": ({"body": {"kind": "Deployment", "metadata": {"name": "x"}}}, BadAnswer, Lost, False),
}  # fmt: skip
"""A fault, what a dry run and a write say of it, and whether the write took effect all the same."""


@pytest.mark.parametrize("dry", [True, False], ids=["dry", "real"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_for_what_it_is_and_nothing_is_sent_twice(
    tmp_path: Path, fault: str, *, dry: bool
) -> None:
    entry, when_dry, when_real, done = FAULTS[fault]
    seconds = FAST if "hang" in entry else 10.0
    async with _served(_world({"match": PATH, "verb": "patch", **entry}), tmp_path, seconds=10.0) as (server, writer):
        before = await writer.get(WEB)
        writer._timeout = seconds
        with pytest.raises(PortError) as caught:
            await (writer.dry_run if dry else writer.patch)(WEB, _bound(before))
        assert type(caught.value) is (when_dry if dry else when_real)
        assert [one.method for one in server.writes] == ["PATCH"]
        assert writer.writes == (0 if dry else 1)
        assert bool(server.effective_writes) is (done and not dry)
        if isinstance(caught.value, Throttled):
            assert caught.value.wait == 7.0


@pytest.mark.parametrize(
    "fault", ["reset", "reset in body", "garbage", "broken gzip", "other encoding", "deep json", "cut json", "redirect",
              "endless", "gzip bomb", "length too long", "length too short"]
)  # fmt: skip
async def test_an_answer_that_cannot_be_read_leaves_the_write_open(tmp_path: Path, fault: str) -> None:
    async with _raw(tmp_path, fault=fault) as (server, writer):
        with pytest.raises(Lost):
            await writer.patch(WEB, _bound())
        with pytest.raises(PortError) as caught:
            await writer.dry_run(WEB, {"spec": {"replicas": 1}})
        assert not isinstance(caught.value, Lost)
        assert [seen.method for seen in server.seen].count("PATCH") == 2


async def test_while_no_connection_is_open_nothing_was_written(tmp_path: Path) -> None:
    async with _served(_world(), tmp_path) as (server, writer):
        before = await writer.get(WEB)
        await server.stop()
        with pytest.raises(Unavailable):
            await writer.patch(WEB, _bound(before))
        assert writer.writes == 0


async def test_a_connection_that_closes_before_the_patch_is_read_leaves_it_open(tmp_path: Path) -> None:
    """From outside nobody can tell how much of it was read."""
    async with _raw(tmp_path) as (_, writer):
        await writer.get(WEB)
        patched: list[bytes] = []

        async def closing(reader: asyncio.StreamReader, peer: asyncio.StreamWriter) -> None:
            patched.append(await reader.read(4))
            peer.transport.abort()

        async with await asyncio.start_server(closing, "127.0.0.1", 0) as other:
            writer._transport._base = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
            with pytest.raises(Lost):
                await writer.patch(WEB, _bound())
        assert patched == [b"PATC"]
        assert writer.writes == 1


async def test_a_cancelled_write_counts_as_sent(tmp_path: Path) -> None:
    async with _raw(tmp_path, fault="hang") as (server, writer):
        task = asyncio.create_task(writer.patch(WEB, _bound()))
        while not [seen for seen in server.seen if seen.method == "PATCH"]:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert writer.writes == 1


async def test_a_credential_that_is_not_accepted_is_for_the_user_to_mend(tmp_path: Path) -> None:
    async with _raw(tmp_path, fault="401") as (_, writer):
        with pytest.raises(CredentialsError):
            await writer.patch(WEB, _bound())


# --- what is never sent ------------------------------------------------------------------------------------

DEEP: JsonValue = {}
for _ in range(PATCH_DEPTH + 1):
    DEEP = {"a": DEEP}
VERY_DEEP: JsonValue = []
for _ in range(100_000):
    VERY_DEEP = [VERY_DEEP]
META: JsonObject = {"uid": "u", "resourceVersion": "7", "annotations": {PLAN_ANNOTATION: "d"}}
NEVER: dict[str, JsonObject] = {
    "nothing": {},
    "status": {"status": {"replicas": 1}},
    "kind": {"kind": "Pod"},
    "apiVersion": {"apiVersion": "v2"},
    "all of spec": {"spec": None},
    "all of metadata": {"metadata": None},
    "a name": {"metadata": {"name": "x"}},
    "finalizers": {"metadata": {"finalizers": []}},
    "owners": {"metadata": {"ownerReferences": None}},
    "managed fields": {"metadata": {"managedFields": [{}]}},
    "all annotations": {"metadata": {"annotations": None}},
    "all labels": {"metadata": {"labels": None}},
    "a label that is no text": {"metadata": {"labels": {"a": 1}}},
    "no precondition": {"metadata": {"resourceVersion": "0"}},
    "an empty precondition": {"metadata": {"resourceVersion": ""}},
    "a precondition removed": {"metadata": {"resourceVersion": None}},
    "a uid removed": {"metadata": {"uid": None}},
    "an empty uid": {"metadata": {"uid": ""}},
    "too long": {"spec": {"a": "x" * PATCH_BYTES}},
    "too many": {"spec": {"a": [0] * (PATCH_BYTES + 2)}},
    "too deep": {"spec": DEEP},
    "very deep": {"spec": VERY_DEEP},
    "no number": {"spec": {"a": float("nan")}},
    "half a character": {"spec": {"a": "\ud800"}},
}


@pytest.mark.parametrize("what", NEVER)
async def test_what_no_change_touches_is_refused_before_any_request(tmp_path: Path, what: str) -> None:
    async with _raw(tmp_path) as (server, writer):
        with pytest.raises(Refused):
            await writer.dry_run(WEB, NEVER[what])
        with pytest.raises(Refused):
            await writer.patch(WEB, {**_bound(), **NEVER[what]} if NEVER[what] else {})
        assert server.seen == []


@pytest.mark.parametrize("left_out", ["uid", "resourceVersion", "annotations"])
async def test_a_write_without_its_bonds_is_refused_and_a_dry_run_needs_none(tmp_path: Path, left_out: str) -> None:
    meta: JsonObject = {key: value for key, value in META.items() if key != left_out}
    async with _raw(tmp_path) as (server, writer):
        with pytest.raises(Refused):
            await writer.patch(WEB, {"metadata": meta, "spec": {"replicas": 1}})
        with pytest.raises(Refused):
            await writer.patch(WEB.model_copy(update={"uid": "another"}), _bound())
        assert server.seen == []
        await writer.dry_run(WEB, {"metadata": meta, "spec": {"replicas": 1}})


@pytest.mark.parametrize(
    "kind", ["Secret", "Namespace", "Pod", "ClusterRole.rbac.authorization.k8s.io", "Deployment",
             "Deployment.extensions", "ValidatingWebhookConfiguration.admissionregistration.k8s.io", "Job.apps",
             "deployments.apps"]
)  # fmt: skip
async def test_only_kinds_of_the_catalogue_are_touched(tmp_path: Path, kind: str) -> None:
    ref = WEB.model_copy(update={"kind": kind.partition(".")[0], "group": kind.partition(".")[2]})
    async with _raw(tmp_path) as (server, writer):
        for work in (writer.get(ref), writer.dry_run(ref, {"spec": {"a": 1}}), writer.patch(ref, _bound())):
            with pytest.raises(Refused, match="catalogue"):
                await work
        assert server.seen == []


def test_a_catalogue_with_a_kind_that_is_never_written_stops_the_program() -> None:
    for kind in (KindRef(kind="Secret"), KindRef(group="rbac.authorization.k8s.io", kind="Role")):
        with pytest.raises(ValueError, match="never written"):
            LiveWriter(None, kinds={*catalogued(), kind})  # type: ignore[arg-type]


async def test_an_object_is_where_its_kind_says(tmp_path: Path) -> None:
    async with _raw(tmp_path) as (server, writer):
        for where in (None, "", "a/b", "a\n"):
            with pytest.raises((Refused, NotFound)):
                await writer.get(WEB.model_copy(update={"namespace": where}))
        assert {seen.path for seen in server.seen if "deployments" in seen.path} == set()


async def test_the_applier_acts_as_itself(tmp_path: Path) -> None:
    async with FaultServer() as server:
        with pytest.raises(CredentialsError, match="acts as itself"):
            await connect_writer(KubeTarget(kubeconfig=server.kubeconfig(tmp_path / "config"), as_user="ann"))
        assert server.seen == []


MEMBER = re.compile(
    r"/apis/apps/v[a-z0-9]+/namespaces/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/deployments/[A-Za-z0-9][\w.:-]{0,252}"
)
VALUES = st.recursive(
    POISON | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(POISON, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["spec", "metadata", "status", "kind", "data"]) | POISON
PATCHES = st.dictionaries(
    KEYS, VALUES | st.dictionaries(st.sampled_from([*META, "finalizers"]) | POISON, VALUES, max_size=3), max_size=3
)


def _steering(count: int) -> list[tuple[ResourceRef, JsonObject]]:
    """Refs and patches: the hostile list in every place of a ref, then generated ones."""
    places = ("group", "version", "kind", "namespace", "name")
    cases = [(WEB.model_copy(update={place: bad}), _bound()) for bad in HOSTILE for place in places]

    @settings(max_examples=count, derandomize=True, deadline=None)
    @given(st.sampled_from(places), POISON, PATCHES)
    def collect(place: str, bad: str, patch: JsonObject) -> None:
        cases.append((WEB.model_copy(update={place: bad}), {**patch, **_bound()}))
        cases.append((WEB, patch))

    collect()
    return cases


async def _steer(tmp_path: Path, cases: list[tuple[ResourceRef, JsonObject]]) -> int:
    async with _raw(tmp_path) as (server, writer):
        for ref, patch in cases:
            for work in (writer.get(ref), writer.dry_run(ref, patch), writer.patch(ref, patch)):
                with suppress(PlumblineError):
                    await work
        for seen in server.seen:
            _check(seen, server.port)
        assert writer.writes == sum(seen.method == "PATCH" and "dryRun" not in seen.query for seen in server.seen)
        return sum(seen.method == "PATCH" for seen in server.seen)


def _check(seen: Seen, port: int) -> None:
    """Assert that one request has the host, headers, path and parameters of the route table, and a lawful patch."""
    assert seen.header("host") == [f"127.0.0.1:{port}"]
    assert seen.header("authorization") == ["Bearer secret-token"]
    assert {key.lower() for key, _ in seen.headers} <= HEADERS
    assert len(seen.headers) == len({key.lower() for key, _ in seen.headers})
    if "deployments" not in seen.path:
        assert (seen.method, seen.body, urlsplit(seen.target).query) == ("GET", b"", "")
        return
    assert MEMBER.fullmatch(seen.path), seen.path
    assert seen.method in ("GET", "PATCH")
    assert seen.query == ({} if seen.method == "GET" else DRY if "dryRun" in seen.query else REAL)
    if seen.method == "PATCH":
        patch = json.loads(seen.body)
        assert seen.header("content-type") == ["application/merge-patch+json"]
        assert not {"status", "kind", "apiVersion"} & set(patch)
        assert set(patch.get("metadata", {})) <= {"annotations", "labels", "uid", "resourceVersion"}
        assert seen.query == DRY or patch["metadata"]["annotations"][PLAN_ANNOTATION]


async def test_nothing_of_a_ref_or_a_patch_steers_a_request(tmp_path: Path) -> None:
    assert await _steer(tmp_path, _steering(60)) > 15


@pytest.mark.prove
async def test_nothing_of_five_thousand_refs_and_patches_steers_a_request(tmp_path: Path) -> None:
    assert await _steer(tmp_path, _steering(5_000)) > 500


@settings(max_examples=100)
@given(VALUES)
def test_any_value_is_encoded_as_it_is_or_refused(value: JsonValue) -> None:
    with suppress(Refused):
        assert json.loads(encoded({"spec": value})) == {"spec": value}


# --- the clock ---------------------------------------------------------------------------------------------


async def test_a_clock_that_jumps_is_an_error_until_it_agrees_again(tmp_path: Path) -> None:
    async with _served(_world(), tmp_path) as (server, writer):
        transport = writer._transport
        start = await writer.server_time()
        for skew in (600.0, -600.0, JUMP_SECONDS + 2, -JUMP_SECONDS - 2):
            server.skew, transport._date = skew, None
            with pytest.raises(ClockJumped, match="ahead by" if skew > 0 else "back by"):
                await writer.server_time()
        server.skew, transport._date = 0.0, None
        assert await writer.server_time() == start
        server.world.clock.advance(3600)
        transport._date = None
        assert await writer.server_time() == start + 3600


async def test_the_time_is_that_of_the_latest_answer(tmp_path: Path) -> None:
    async with _raw(tmp_path) as (server, writer):
        await writer.get(WEB)
        asked = len(server.seen)
        assert await writer.server_time() == http_date(DATE)
        assert len(server.seen) == asked


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-20, 20)), max_size=30))
def test_the_time_given_never_goes_back_and_never_strays(steps: list[tuple[float, float]]) -> None:
    true, given_last = 1_000.0, 0.0
    clock = ServerClock(lambda: true)
    clock.read(true)
    for passed, wrong in steps:
        true += passed
        with suppress(ClockJumped):
            now = clock.read(true + wrong)
            assert now >= given_last
            assert abs(now - true) <= JUMP_SECONDS + 0.5 + passed
            given_last = now


# --- the reader has none of this ---------------------------------------------------------------------------


def test_the_readers_port_has_no_way_to_write() -> None:
    known = {"address", "requests", "aclose", "discovery", "pages", "get", "logs", "allowed", "whoami", "server_time"}
    assert {attribute for attribute in dir(LiveKube) if not attribute.startswith("_")} == known
    shared = {"address", "close", "date", "fetch", "json", "parse"}
    assert {attribute for attribute in dir(Transport) if not attribute.startswith("_")} == shared
    assert {attribute for attribute in vars(WritingTransport) if not attribute.startswith("_")} == {"patch"}
    for module in ("port", "transport", "pages", "discovery", "connect"):
        text = (ROOT / "tools" / "kube" / f"{module}.py").read_text(encoding="utf-8")
        assert set(re.findall(r'"(GET|POST|PUT|PATCH|DELETE)"', text)) <= {"GET", "POST"}, module


def test_nothing_that_reads_or_reasons_imports_the_writer() -> None:
    ours = {"tools/kube/writer.py", "tools/kube/patching.py"}
    for path in sources("agent", "tools", "prompts", "tui"):
        found = {one for one in imported(path) if one.startswith(("tools.kube.writer", "tools.kube.patching"))}
        assert name(path) in ours or not found, name(path)
    assert any(
        one.startswith("tools.kube.patching") for one in imported(Path(patching.__file__).with_name("writer.py"))
    )


async def _only_reads(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[KubeServer] = []

    def kept(made: World) -> KubeServer:
        served.append(KubeServer(made))
        return served[-1]

    monkeypatch.setattr(once, "KubeServer", kept)
    await once.run(SCENARIOS[scenario].model_copy(update={"change": None}))
    (server,) = served
    assert server.requests
    assert server.writes == []
    for one in server.requests:
        assert one.method == "GET" or (one.method == "POST" and one.path in (routes.ACCESS_REVIEW, routes.SELF_REVIEW))


SCENARIOS = {scenario.name: scenario for scenario in load_all()}


@pytest.mark.parametrize("scenario", ["kv-exhausted-small", "hpa-keda-cpu"])
async def test_a_question_only_reads(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await _only_reads(scenario, monkeypatch)


@pytest.mark.prove
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_question_only_reads(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await _only_reads(scenario, monkeypatch)
