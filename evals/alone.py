"""What a competent engineer would read first without any checks, and what each table shows. Modest on purpose.

Rules: a cause is named only where two reads agree on one object; where a read is lacking or says too little, nothing
can be told; it is a yardstick for models that stand alone, and no rival to the causes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.servers.model.script import ScriptedCall
from evals.transcript import Result, SeenCase, Statement

BUSY, XID, XID_CODE = "gpu_busy_max_30m", "gpu_xid_changes_30m", "gpu_xid_last"
COVERED, PREEMPTED, FULL = "gpu_coverage_by_pod", "vllm_preemptions_10m", "vllm_kv_cache_max_10m"
FIRST = (BUSY, XID, COVERED, PREEMPTED, FULL)
IDLE = 0.05
"""Busy share of its best moment below which a pod did nothing."""
KV_FULL = 0.95
SAMPLES = 50
"""Samples of 30 minutes from which a pod counts as measured (one in 30 s is 60)."""
HARDWARE = frozenset({46, 48, 63, 64, 74, 79, 92, 94, 95, 110, 119, 120, 136, 140, 143})
"""XID codes that call for a reset or a repair (NVIDIA, "XID Errors", r580)."""
OWNERS = (("apps", "Deployment"), ("apps", "StatefulSet"), ("batch", "Job"))
_OTHER = re.compile(r"version|image|drift|slow|throughput|train|tune|latency|first token", re.IGNORECASE)
"""Questions about what the reads below do not test."""
SYSTEM = ("gpu-operator", "kube-system", "monitoring")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tables show."""

    status: str = "inconclusive"
    cause: str = ""
    subject: str = ""
    said: tuple[Statement, ...] = ()


def first_reads() -> list[ScriptedCall]:
    """What is read for any question."""
    objects = [
        ScriptedCall("list_objects", {"group": "autoscaling", "kind": "HorizontalPodAutoscaler"}),
        ScriptedCall("list_objects", {"kind": "Pod", "field_selector": "status.phase=Pending"}),
    ]
    return [*objects, *(ScriptedCall("named_query", {"name": name}) for name in FIRST)]


def second_reads(done: Sequence[Result]) -> list[ScriptedCall]:
    """What tells more about the suspects: the codes of XIDs, and the owners of pods."""
    suspects = [*_above(done, XID, 0.0), *_above(done, PREEMPTED, 0.0), *_idle(done)]
    if not suspects:
        return []
    codes = [ScriptedCall("named_query", {"name": XID_CODE})] if _above(done, XID, 0.0) else []
    return codes + [ScriptedCall("list_objects", {"group": group, "kind": kind}) for group, kind in OWNERS]


def judge(case: SeenCase, done: Sequence[Result]) -> Verdict:
    """The first rule that holds; healthy where everything was read and nothing stands out."""
    for rule in (_faulty, _preempting, _wrong_signal, _unused):
        if (verdict := rule(done)) is not None:
            return verdict
    read = [one for one in done if one.tool in ("list_objects", "named_query")]
    waiting = _table(done, "list_objects", field_selector="status.phase=Pending")
    if waiting and waiting.count:
        words = "pod waits" if waiting.count == 1 else "pods wait"
        return Verdict(said=(Statement(f"{waiting.count} {words} for a node.", (waiting.id,)), *_measured(done)))
    lacking = [one for one in read if not one.read or (one.status == "empty" and one.arguments.get("name") == BUSY)]
    untested = lacking or not read or _OTHER.search(case.question)
    return Verdict(status="inconclusive" if untested else "healthy", said=_measured(done))


# --- rules -------------------------------------------------------------------------------------------------


def _faulty(done: Sequence[Result]) -> Verdict | None:
    codes = _table(done, "named_query", name=XID_CODE)
    for number, row in _above(done, XID, 0.0):
        for code_number, code_row in _rows(codes):
            same = all(row.get(k) == code_row.get(k) for k in ("node", "gpu") if k in code_row)
            code = _number(code_row.get("value", ""))
            if codes and same and code is not None and int(code) in HARDWARE:
                seen = _cited(done, XID, number)
                text = f"GPU {row.get('gpu', '')} of {row.get('node', '')} reported XID {code:g}."
                said = Statement(text, (f"{codes.id}/{code_number}", *seen))
                return Verdict("found", "U35", _owner(done, row) or f"Node/{row.get('node', '')}", (said,))
    return None


def _preempting(done: Sequence[Result]) -> Verdict | None:
    full = {row.get("pod"): number for number, row in _above(done, FULL, KV_FULL)}
    for number, row in _above(done, PREEMPTED, 0.0):
        if row.get("pod") in full:
            cites = (*_cited(done, PREEMPTED, number), *_cited(done, FULL, full[row.get("pod")]))
            said = Statement(f"{row.get('pod', '')} preempts requests while its KV cache is full.", cites)
            return Verdict("found", "U16", _owner(done, row), (said,))
    return None


def _wrong_signal(done: Sequence[Result]) -> Verdict | None:
    scalers = _table(done, "list_objects", kind="HorizontalPodAutoscaler")
    pods = [row.get("pod", "") for _, row in _rows(_table(done, "named_query", name=BUSY))]
    for key, row in _rows(scalers):
        metric, target = row.get("metric", ""), row.get("target", "").partition("/")[2]
        floor = row.get("bounds", "").partition("-")[0] == row.get("replicas", "").partition("→")[0]
        on_gpus = any(pod.startswith(f"{target}-") for pod in pods if target)
        if scalers and re.fullmatch(r"(cpu|memory)\b[^,]*", metric) and on_gpus and not floor:
            name = key.rpartition("/")[2]
            said = Statement(
                f"HPA {key} of a GPU workload follows {metric.partition(' ')[0]}.", (f"{scalers.id}/{key}",)
            )
            subject = f"{key.partition('/')[0]}/HorizontalPodAutoscaler/{name}"
            return Verdict("found", "U13", subject, (said, *_measured(done)))
    return None


def _unused(done: Sequence[Result]) -> Verdict | None:
    for number, row in _idle(done):
        subject = _owner(done, row)
        if subject:
            said = Statement(f"No GPU of {row.get('pod', '')} worked in 30 min.", _cited(done, BUSY, number))
            return Verdict("found", "U01", subject, (said,))
    return None


def _measured(done: Sequence[Result]) -> tuple[Statement, ...]:
    busy = _table(done, "named_query", name=BUSY)
    if busy is None or not busy.count:
        return ()
    return (Statement(f"GPU use is measured for {busy.count} pods.", (busy.id,)),)


# --- tables ------------------------------------------------------------------------------------------------

Row = dict[str, str]


def _table(done: Sequence[Result], tool: str, **wanted: str) -> Result | None:
    def fits(one: Result) -> bool:
        return one.tool == tool and all(one.arguments.get(key) == value for key, value in wanted.items())

    return next((one for one in done if one.id and fits(one)), None)


def _rows(table: Result | None) -> list[tuple[str, Row]]:
    """(key, column → cell) of each row, labels that all rows share included."""
    if table is None or not table.read:
        return []
    return [(line.key, {**table.common, **dict(zip(table.columns, line.cells, strict=False))}) for line in table.lines]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _where(done: Sequence[Result], name: str, holds: Callable[[float], bool]) -> list[tuple[str, Row]]:
    rows = _rows(_table(done, "named_query", name=name))
    known = [(key, row, _number(row.get("value", ""))) for key, row in rows if row.get("namespace") not in SYSTEM]
    return [(key, row) for key, row, value in known if value is not None and holds(value)]


def _above(done: Sequence[Result], name: str, limit: float) -> list[tuple[str, Row]]:
    return _where(done, name, lambda value: value > limit)


def _idle(done: Sequence[Result]) -> list[tuple[str, Row]]:
    """Pods whose GPUs did nothing, and that were measured all the time."""
    measured = {row.get("pod") for _, row in _above(done, COVERED, SAMPLES)}
    return [(key, row) for key, row in _where(done, BUSY, lambda value: value < IDLE) if row.get("pod") in measured]


def _cited(done: Sequence[Result], name: str, key: str) -> tuple[str, ...]:
    table = _table(done, "named_query", name=name)
    return (f"{table.id}/{key}",) if table else ()


def _owner(done: Sequence[Result], row: Row) -> str:
    """The listed workload whose name a pod's name begins with; the longest one; "" for none."""
    found: list[str] = []
    for group, kind in OWNERS:
        for key, _ in _rows(_table(done, "list_objects", group=group, kind=kind)):
            space, _, name = key.partition("/")
            if row.get("pod", "").startswith(f"{name}-") and row.get("namespace") == space:
                found.append(f"{space}/{kind}/{name}")
    return max(found, key=len, default="")
