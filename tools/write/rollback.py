"""Gives a Deployment the pod template of an earlier revision, as `kubectl rollout undo` does.

Rules: the template comes from the ReplicaSet of that revision, which has to be read with the Deployment; its hash
label stays behind; fields that are the same are not written. A revision with other containers, images from elsewhere,
other volumes, identities or rights is another workload and is left to whatever delivers it: the admission policies
(`agent/admission.py`) hold the same bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tools import checks, fields, targets, workloads
from tools.changes import Blast, ChangeSpec, Path, Wanted, related
from tools.types import JsonObject

REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_TEMPLATE: Path = ("spec", "template")
REPOSITORY = "^([^/]+/)*[^:@/]+"
"""What of an image reference stands before its tag and digest."""
CONTAINER_FIELDS = ("imagePullPolicy", "livenessProbe", "ports", "readinessProbe", "startupProbe", "workingDir")
"""What of a container may differ in the revision, besides image tag, command line, environment and resources."""
POD_FIELDS = (
    "affinity", "nodeSelector", "restartPolicy", "terminationGracePeriodSeconds", "tolerations",
    "topologySpreadConstraints",
)  # fmt: skip
"""What of a pod spec may differ in the revision, besides its containers."""


class Args(targets.Target):
    """Which Deployment, and the revision to go back to."""

    KINDS = (targets.DEPLOYMENT,)

    revision: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


def _template(args: Args, obj: JsonObject) -> JsonObject | None:
    """The template of the revision; None unless exactly one ReplicaSet of the Deployment has it."""
    uid = fields.text(obj, "metadata", "uid")
    found = [
        one
        for one in related(obj, targets.REPLICA_SET) or ()
        if fields.text(one, "metadata", "annotations", REVISION) == str(args.revision)
        and any(
            fields.text(owner, "uid") == uid and fields.flag(owner, "controller")
            for owner in fields.items(one, "metadata", "ownerReferences")
        )
    ]
    template = fields.mapping(found[0], *_TEMPLATE) if len(found) == 1 and uid else {}
    if not fields.items(template, "spec", "containers"):
        return None
    labels = {key: value for key, value in fields.mapping(template, "metadata", "labels").items() if key != _HASH}
    return {**template, "metadata": {**fields.mapping(template, "metadata"), "labels": labels}}


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    template = _template(args, obj)
    return () if template is None else tuple(_different(fields.mapping(obj, *_TEMPLATE), template, _TEMPLATE))


def _different(before: JsonObject, after: JsonObject, path: Path) -> Iterator[Wanted]:
    """The fields that turn one object into the other; an explicit null counts as absent."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(new, dict) and (isinstance(old, dict) or (old is None and new)):
            yield from _different(old if isinstance(old, dict) else {}, new, (*path, key))
        else:
            yield Wanted(path=(*path, key), value=new)


def _refusal(args: Args, obj: JsonObject) -> str:
    if related(obj, targets.REPLICA_SET) is None:
        return f"the revisions of {args.ref} were not read: list the ReplicaSets of its namespace first"
    if _template(args, obj) is None:
        return f"{args.ref} has no revision {args.revision} any more"
    if beyond := _beyond(fields.mapping(obj, *_TEMPLATE, "spec"), fields.mapping(_template(args, obj), "spec")):
        return f"revision {args.revision} of {args.ref} has {beyond}: go back with what delivers it"
    if fields.text(obj, "metadata", "annotations", REVISION) == str(args.revision):
        return f"{args.ref} runs revision {args.revision} already"
    if fields.flag(obj, "spec", "paused"):
        return "its rollout is paused"
    return workloads.interrupts(obj, args.ref.kind_ref)


def _beyond(before: JsonObject, after: JsonObject) -> str:
    """What makes the revision another workload, in a few words; "" where it is the same one."""
    if key := _differs(before, after, ("containers", *POD_FIELDS)):
        return f"another {key}"
    was = {fields.text(one, "name"): one for one in fields.items(before, "containers")}
    now = {fields.text(one, "name"): one for one in fields.items(after, "containers")}
    if was.keys() != now.keys():
        return "other containers"
    for name, one in now.items():
        if reason := _other_program(was[name], one):
            return f"{reason} in container {name}"
    return ""


def _other_program(was: JsonObject, now: JsonObject) -> str:
    if key := _differs(was, now, ("args", "command", "env", "image", "resources", *CONTAINER_FIELDS)):
        return f"another {key}"
    images = [re.match(REPOSITORY, fields.text(one, "image")) for one in (was, now)]
    if len({found and found[0] for found in images}) > 1:
        return "an image from elsewhere"
    if fields.texts(was, "command")[:1] != fields.texts(now, "command")[:1]:
        return "another program"
    held = fields.items(was, "env")
    if any("valueFrom" in one and one not in held for one in fields.items(now, "env")):
        return "a variable from another source"
    return ""


def _differs(before: JsonObject, after: JsonObject, but: tuple[str, ...]) -> str:
    """The first key, besides those, whose values differ; an explicit null counts as absent."""
    keys = sorted((before.keys() | after.keys()) - set(but))
    return next((key for key in keys if before.get(key) != after.get(key)), "")


def _blast(args: Args, obj: JsonObject) -> Blast:
    before = workloads.gpus(obj, args.ref.kind_ref)
    after = workloads.gpus_of_pod(fields.mapping(_template(args, obj), "spec"))
    return workloads.restarting(obj, args.ref.kind_ref, more_gpus=after - before)


CHANGE = ChangeSpec(
    name="rollback",
    summary="Give a Deployment the pod template of an earlier revision; its pods are replaced.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=_blast,
    verification=lambda args, obj: checks.restarted(obj, args.ref.kind_ref),
    guards=(_TEMPLATE, *workloads.ROLLOUT_GUARDS),
    reads=(targets.REPLICA_SET,),
)
