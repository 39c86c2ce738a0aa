"""A plan: the exact bytes that a person approves and the applier applies. Everything shown comes from these bytes.

Rules: a plan patches one object; its digest is SHA-256 over canonical JSON; no prose of a model stands in it; an object
is fit for a plan only where uid, generation, every bound field and the policy are as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import StringConstraints, ValidationError

from agent.changes.patches import FieldChange, FieldValue, Path, differences, merged, stands, touched, value_at
from tools import fields
from tools.changes import PLAN_ANNOTATION, Tier
from tools.changes import Blast as Blast
from tools.changes import Verification as Verification
from tools.errors import UserError
from tools.types import Frozen, JsonObject, ResourceRef, canonical, digest_of

VERSION = 1
MAX_BYTES = 256 << 10
"""Bytes of a plan at most; a manifest with long engine arguments has a few KiB."""
Hex: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}$")]


class Plan(Frozen):
    """The canonical plan of one change of one object."""

    version: Literal[1] = 1
    proposal: str
    change: str
    args: JsonObject
    tier: Tier
    cluster: str
    """uid of the namespace kube-system: what tells one cluster from another."""
    target: ResourceRef
    """With its uid."""
    generation: int | None
    """Of the object, where its kind has one."""
    before: tuple[FieldValue, ...]
    """Every field that the patch, its inverse or a guard touches."""
    patch: JsonObject
    inverse: JsonObject
    policy: str
    dry_run: tuple[FieldChange, ...]
    """What the server said would change, without what it writes by itself."""
    predicted: tuple[str, ...]
    """The expected effect, line by line, with the assumptions it stands on."""
    blast: Blast
    verification: tuple[Verification, ...]
    """All of it must hold."""
    expires: float
    """On the API server's clock."""
    nonce: Hex
    undoes: str = ""
    """The proposal that this plan undoes, where it is one of those."""
    requesters: tuple[str, ...] = ()
    """Who asked for it, wrote it or submitted it: none of them approves it on a risky tier."""

    @property
    def body(self) -> bytes:
        """The canonical bytes."""
        return canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, as 64 hex digits: what an approval names."""
        return digest_of(self.model_dump(mode="json"))


class BadPlan(UserError):
    """Bytes that are no plan, or not the one that was approved."""


def read(body: bytes, *, digest: str) -> Plan:
    """The plan of stored bytes. Raises BadPlan unless they are whole, canonical, and have that digest."""
    hint = "preview the proposal again"
    if len(body) > MAX_BYTES:
        raise BadPlan(f"the plan is longer than {MAX_BYTES >> 10} KiB", hint=hint)
    try:
        plan = Plan.model_validate_json(body)
    except (ValidationError, RecursionError):
        raise BadPlan("the stored bytes are no plan", hint=hint) from None
    if plan.body != body or plan.digest != digest:
        raise BadPlan("the stored plan is not the one its digest names", hint=hint)
    return plan


def bind(obj: JsonObject, patch: JsonObject, inverse: JsonObject, guards: Sequence[Path]) -> tuple[FieldValue, ...]:
    """What stands in every field a plan must hold on to, in order of the paths."""
    paths = {*touched(patch), *touched(inverse), *guards}
    return tuple(value_at(obj, path) for path in sorted(paths))


def changed(obj: JsonObject, dry_run: JsonObject) -> tuple[FieldChange, ...]:
    """The normalised difference between an object and the server's dry run of a patch on it."""
    return differences(obj, dry_run)


def stale(plan: Plan, obj: JsonObject, *, policy: str) -> str:
    """Why a plan no longer fits a fresh read of its object, in one line; "" while it does.

    Status, metrics and resourceVersion may move; uid, generation, bound fields and the policy may not.
    """
    if fields.text(obj, "metadata", "uid") != plan.target.uid:
        return f"{plan.target} was deleted and made again"
    if fields.text(obj, "metadata", "deletionTimestamp"):
        return f"{plan.target} is being deleted"
    for bound in plan.before:
        if not stands(bound, obj):
            return f"{'.'.join(bound.path)} of {plan.target} has changed since the preview"
    if _generation(obj) != plan.generation:
        return f"{plan.target} was changed since the preview (generation)"
    if policy != plan.policy:
        return "the policy has changed since the preview"
    return ""


def _generation(obj: JsonObject) -> int | None:
    found = fields.number(obj, "metadata", "generation")
    return None if found is None else int(found)


def request(plan: Plan, obj: JsonObject, *, head: str = "") -> JsonObject:
    """The merge patch to send: the plan's, plus uid, the resourceVersion just read, and the plan's own mark.

    `head`: of the audit log, kept on the object so that a log that is cut later shows.
    """
    metadata: JsonObject = {
        "uid": plan.target.uid,
        "resourceVersion": fields.text(obj, "metadata", "resourceVersion"),
        "annotations": {PLAN_ANNOTATION: f"{plan.digest} {head}".strip()},
    }
    body = merged(plan.patch, {"metadata": metadata})
    if not isinstance(body, dict):
        raise TypeError("a plan's patch is an object")
    return body


def carries(obj: JsonObject, plan: Plan) -> bool:
    """True where an object bears the mark of this very plan."""
    return fields.text(obj, "metadata", "annotations", PLAN_ANNOTATION).partition(" ")[0] == plan.digest
