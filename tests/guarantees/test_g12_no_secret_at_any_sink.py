"""G12: no planted secret appears at any sink: 0 of the structured shapes, at least 99 % caught in free text.

Size: 52 free-text shapes × 10 and 300 structured secrets in `make test` (the sinks get one pass each); × 60 shapes
and 6,000 structured in `make prove`. Sinks that exist now: evidence, its store, the event log, audit, rendered JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.events import CallFinished, Failed
from agent.store.sqlite import SqliteStore
from tests.tools.fakes import CLUSTER, PERSON, Bench, FakeKube
from tests.tools.secrets import TEXT_SHAPES, Source, config_map, structured
from tools.audit import AuditLog
from tools.projection.objects import object_row
from tools.redact import WORLD_KEY, Redactor
from tools.types import Evidence, JsonObject, KindRef, ToolCall

DEPLOYMENT = KindRef(group="apps", kind="Deployment")


def leaked(text: str, secrets: list[str]) -> list[str]:
    """Secrets that stand in `text`, as they are or as JSON writes them."""
    return [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]


def text_leaks(each: int, seed: int) -> tuple[int, int]:
    """(leaks, secrets) over every free-text shape."""
    source = Source(seed)
    lost = total = 0
    for shape in TEXT_SHAPES.values():
        for _ in range(each):
            text, secrets = shape(source)
            lost += bool(leaked(Redactor(WORLD_KEY).text(text)[0], secrets))
            total += 1
    return lost, total


def structured_leaks(count: int, seed: int) -> tuple[int, int]:
    """(leaks, secrets) over objects that hold secrets where structure says so."""
    source = Source(seed)
    lost = total = 0
    for number in range(count):
        for kind, (item, secrets) in (
            (DEPLOYMENT, structured(source, number)),
            (KindRef(group="example.com", kind="Unheard"), structured(source, number)),
            (KindRef(kind="ConfigMap"), config_map(source)),
        ):
            row = object_row(kind, item)
            assert row is not None
            shown = json.dumps(Redactor(WORLD_KEY).row(row)[0].data, ensure_ascii=False)
            lost += len(leaked(shown, secrets))
            total += len(secrets)
    return lost, total


def test_shapes_are_many() -> None:
    assert len(TEXT_SHAPES) >= 30


def test_free_text() -> None:
    lost, total = text_leaks(10, seed=20261101)
    assert total >= 500
    assert lost <= total * 0.01, f"{lost} of {total}"


def test_structure() -> None:
    lost, total = structured_leaks(8, seed=20261102)
    assert total >= 300
    assert lost == 0


@pytest.mark.prove
def test_free_text_in_full() -> None:
    lost, total = text_leaks(600, seed=20261103)
    assert lost <= total * 0.01, f"{lost} of {total}"


@pytest.mark.prove
def test_structure_in_full() -> None:
    lost, total = structured_leaks(160, seed=20261104)
    assert total >= 6000
    assert lost == 0


class Planted:
    """A cluster with one secret of every shape in logs, events and objects, and what was planted."""

    def __init__(self, seed: int) -> None:
        source = Source(seed)
        self.secrets: list[str] = []
        lines: list[str] = []
        events: list[JsonObject] = []
        for number, (name, shape) in enumerate(TEXT_SHAPES.items()):
            text, secrets = shape(source)
            self.secrets += secrets
            lines.append(text)
            events.append(
                {
                    "kind": "Event",
                    "metadata": {"name": f"e{number}", "namespace": "search"},
                    "reason": "Failed",
                    "message": f"{name}: {text}",
                }
            )
        item, secrets = structured(source, 1)
        self.secrets += secrets
        data, more = config_map(source)
        self.secrets += more
        self.kube = FakeKube(
            objects={"Deployment.apps": [item], "ConfigMap": [data], "Event": events}, log="\n".join(lines).encode()
        )


CALLS: tuple[tuple[str, JsonObject], ...] = (
    ("list_objects", {"group": "apps", "kind": "Deployment"}),
    ("get_object", {"group": "apps", "kind": "Deployment", "namespace": "search", "name": "app-1"}),
    ("list_objects", {"kind": "ConfigMap"}),
    ("list_events", {}),
    ("pod_logs", {"namespace": "search", "pod": "chat-0"}),
    ("rollout_history", {"namespace": "search", "kind": "Deployment", "name": "app-1"}),
)


async def gathered(bench: Bench) -> list[Evidence]:
    """Every way to read what was planted."""
    found = []
    for number, (tool, args) in enumerate(CALLS, 1):
        call = ToolCall(tool=tool, args=args)
        found.append(
            await bench.gate.run(call, PERSON, "propose", scope=CLUSTER, meter=bench.meter, evidence_id=f"E{number}")
        )
    return found


async def test_evidence_and_rendered_json() -> None:
    planted = Planted(seed=1)
    evidence = await gathered(Bench(kube=planted.kube))
    assert [one.status for one in evidence] == ["ok"] * len(CALLS)
    assert all(one.redactions for one in evidence[:5])
    rendered = json.dumps([one.model_dump(mode="json") for one in evidence], ensure_ascii=False)
    assert leaked(rendered, planted.secrets) == []
    assert "‹redacted:" in rendered


async def test_store_and_event_log(tmp_path: Path) -> None:
    planted = Planted(seed=2)
    store = SqliteStore(tmp_path)
    try:
        for one in await gathered(Bench(kube=planted.kube)):
            store.keep("s", 1, one)
            store.append(
                "s", 1, CallFinished(call=one.id, evidence=one.id, status=one.status, rows=1, seconds=0.0), at=0.0
            )
            store.append("s", 1, Failed(message=one.detail, hint=one.query), at=0.0)
    finally:
        store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert written
    assert leaked(written.decode("utf-8", "replace"), planted.secrets) == []


async def test_audit_also_of_what_a_model_writes(tmp_path: Path) -> None:
    planted = Planted(seed=3)
    bench = Bench(kube=planted.kube)
    log = AuditLog(tmp_path / "audit.jsonl", durable=False)
    bench.audit = log  # type: ignore[assignment]
    await gathered(bench)
    source = Source(4)
    for shape in TEXT_SHAPES.values():
        text, secrets = shape(source)
        planted.secrets += secrets
        call = ToolCall(tool="pod_logs", args={"namespace": "search", "pod": text, text: [text]}, reason=text)
        refused = await bench.gate.run(call, PERSON, "propose", scope=CLUSTER, meter=bench.meter, evidence_id="E9")
        assert refused.status == "failed"
        assert leaked(refused.model_dump_json(), secrets) == []
    log.close()
    assert leaked((tmp_path / "audit.jsonl").read_text(), planted.secrets) == []


def test_a_dropped_value_is_known_wherever_it_turns_up() -> None:
    redactor = Redactor(WORLD_KEY)
    item, secrets = structured(Source(5), 1)
    row = object_row(DEPLOYMENT, item)
    assert row is not None
    redactor.row(row)
    learned = [secret for secret in secrets if "redacted" in redactor.text(f"saw {secret}!")[0]]
    assert len(learned) >= len(secrets) * 0.5


def test_own_credentials_in_any_encoding() -> None:
    own = "Zk9-own+bearer/credential="
    redactor = Redactor(WORLD_KEY, known=[own])
    for form in (own, "Zk9-own%2Bbearer%2Fcredential%3D", "Wms5LW93bitiZWFyZXIvY3JlZGVudGlhbD0"):
        shown, count = redactor.text(f"the proxy said {form} and closed")
        assert form not in shown
        assert count == 1
