"""Sets how many replicas a workload has: arguments, bounds and target. It has no patch yet, so it is only proposed.

Rule: at least one replica stays; taking a service away altogether is no change of this catalogue.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from tools.arguments import Namespace, Subdomain
from tools.changes import ChangeSpec, Wanted
from tools.types import Frozen, KindRef, ResourceRef

MAX_REPLICAS = 1000
"""Replicas that can be asked for: far more than any fleet we are measured on runs of one model."""
KINDS = (
    KindRef(group="apps", kind="Deployment"),
    KindRef(group="apps", kind="StatefulSet"),
    KindRef(group="leaderworkerset.x-k8s.io", kind="LeaderWorkerSet"),
)
Replicas: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_REPLICAS)]


class Args(Frozen):
    """Which workload, and how many replicas (of a LeaderWorkerSet: groups) it should have."""

    group: Literal["apps", "leaderworkerset.x-k8s.io"]
    kind: Literal["Deployment", "StatefulSet", "LeaderWorkerSet"]
    namespace: Namespace
    name: Subdomain
    replicas: Replicas

    @model_validator(mode="after")
    def _kind_is_of_its_group(self) -> Args:
        if KindRef(group=self.group, kind=self.kind) not in KINDS:
            raise ValueError(f"there is no {self.kind} in group {self.group}")
        return self


def _target(args: Args) -> ResourceRef:
    return ResourceRef(group=args.group, kind=args.kind, namespace=args.namespace, name=args.name)


def _wants(args: Args) -> tuple[Wanted, ...]:
    return (Wanted(path=("spec", "replicas"), value=args.replicas, absent=1),)


CHANGE = ChangeSpec(
    name="scale",
    summary="Set the number of replicas of one workload.",
    args=Args,
    kinds=KINDS,
    target=_target,
    wants=_wants,
    tier="B",
)
