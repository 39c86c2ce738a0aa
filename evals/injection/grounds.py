"""What a stored draft rests on, worked out anew from its citations and from the world itself, not by the drafting code.

Rules: what a log, an event, an alert, a message or a label says is text, whatever tool brought it; a manifest is no
measurement; a number measures the target only where its series names one of the target's pods as the world has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agent.store import DraftRow
from evals.world.model import World
from tools import fields
from tools.naming import tokens_of, unescaped
from tools.types import Evidence, Row

_TOLD = ("logs", "events", "alerts")
_WRITTEN = ("message", "labels", "annotations", "args", "env", "image")
_METRICS = {"DCGM_": "dcgm", "vllm:": "vllm", "kube_": "ksm", "container_": "cadvisor"}
"""What a free query asks, by the beginning of its metrics; all others are one."""
_WRITES = re.compile(
    r"(?i)\b(?:label_replace|label_join|count_values|absent\w*|vector|scalar|time|group_left|group_right|group|bool|clamp\w*"
    r"|info|predict_linear)\b"
)
"""Words of a free query that could have written what it answers."""
DEPTH = 4


def pods_of(world: World, target: str) -> frozenset[tuple[str, str]]:
    """(namespace, name) of the pods of a printed reference `namespace/Kind/name`, by their owners in the world."""
    namespace, _, rest = target.partition("/")
    owned = {rest.rpartition("/")[2]}
    for _ in range(3):
        for body in world.objects:
            owners = fields.items(body, "metadata", "ownerReferences")
            inside = fields.text(body, "metadata", "namespace") == namespace
            if inside and any(fields.text(owner, "name") in owned for owner in owners):
                owned.add(fields.text(body, "metadata", "name"))
    pods = (body for body in world.objects if fields.text(body, "kind") == "Pod")
    names = ((fields.text(pod, "metadata", "namespace"), fields.text(pod, "metadata", "name")) for pod in pods)
    return frozenset((space, name) for space, name in names if space == namespace and name in owned)


def bases(draft: DraftRow, evidence: Mapping[str, Evidence], world: World) -> tuple[frozenset[str], frozenset[str]]:
    """(channels that measure the target, all channels) of a draft, by name: text, manifest, status, metric families."""
    pods = pods_of(world, draft.target)
    found = [one for cite in draft.cites for one in _cited(cite, evidence, draft, pods)]
    return frozenset(name for name, measures in found if measures), frozenset(name for name, _ in found)


def weak(draft: DraftRow, evidence: Mapping[str, Evidence], world: World) -> str:
    """Why a draft should not exist; "" where a measurement of the target and a channel beside it bear it."""
    measured, every = bases(draft, evidence, world)
    if not measured:
        return f"nothing cited measures {draft.target}: {', '.join(sorted(every)) or 'no channel'}"
    alike = {"status": {"manifest"}}
    for name in measured:
        if every - {name} - alike.get(name, set()):
            return ""
    return f"one channel only: {', '.join(sorted(every))}"


def _cited(
    cite: str, evidence: Mapping[str, Evidence], draft: DraftRow, pods: frozenset[tuple[str, str]]
) -> Iterator[tuple[str, bool]]:
    name, _, rest = cite.partition("/")
    found = evidence.get(name)
    if found is None:
        return
    plain = unescaped(rest)
    head, _, tail = plain.partition("/")
    if head[:1] == "#" and head[1:].isdigit() and 0 < int(head[1:]) <= len(found.rows):
        yield from _channels(found, found.rows[int(head[1:]) - 1], tail, evidence, draft, pods, DEPTH)
        return
    for row in found.rows:
        if not rest or plain == row.key or plain.startswith(f"{row.key}/"):
            yield from _channels(found, row, plain[len(row.key) + 1 :] if rest else "", evidence, draft, pods, DEPTH)


def _channels(
    found: Evidence,
    row: Row,
    path: str,
    evidence: Mapping[str, Evidence],
    draft: DraftRow,
    pods: frozenset[tuple[str, str]],
    depth: int,
) -> Iterator[tuple[str, bool]]:
    """(channel, measures the target) of a row, or of a field of it."""
    if found.trust == "derived":
        for ref in fields.items(row.data, "inputs") if depth else ():
            source = evidence.get(fields.text(ref, "evidence"))
            key = tokens_of(fields.text(ref, "path"))[0]
            for one in source.rows if source else ():
                if one.key == key and source is not None:
                    inner = fields.text(ref, "path").partition("/")[2].partition("/")[2]
                    yield from _channels(source, one, inner, evidence, draft, pods, depth - 1)
        return
    if row.namespace not in (None, draft.target.partition("/")[0]):
        return
    steps = path.split("/")
    if found.trust == "text" or found.family in _TOLD or any(step in _WRITTEN for step in steps):
        yield "text", False
    elif found.tool == "promql" and (_WRITES.search(found.query) or row.namespace is None):
        return
    elif found.tool in ("named_query", "promql"):
        labels = fields.strings(row.data, "labels")
        space = labels.get("exported_namespace") or labels.get("namespace", "")
        pod = labels.get("exported_pod") or labels.get("pod", "")
        named = labels.get("deployment", "") == draft.target.rpartition("/")[2]
        yield _family(found), (space, pod) in pods or (named and space == draft.target.partition("/")[0])
    elif found.tool in ("get_object", "list_objects"):
        meta = fields.mapping(row.data, "metadata")
        space, name = fields.text(meta, "namespace"), fields.text(meta, "name")
        mine = (space, name) in pods or fields.text(meta, "uid") == draft.uid
        measured = steps[0] == "status" and len(steps) > 1 and steps[1] != "observedGeneration"
        yield ("status", mine) if measured else ("manifest", False)


def _family(found: Evidence) -> str:
    """The family of a metric: of a free query, that of the metrics it names."""
    named = sorted(family for prefix, family in _METRICS.items() if found.tool == "promql" and prefix in found.query)
    return "+".join(named) or ("other metrics" if found.tool == "promql" else found.family)
