"""What changes of a node have in common: its GPUs, who looks after it, and the taints that may be set.

Labels: NVIDIA GPU operator, MIG manager and device plugin. Rule: a node of the control plane is never changed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tools import fields, targets
from tools.changes import Blast, Path, Wanted
from tools.naming import JsonObject
from tools.workloads import GPU_RESOURCE

TaintName: TypeAlias = Literal["quarantine", "gpu-only"]
TAINTS: dict[str, JsonObject] = {
    "quarantine": {"key": "plumbline.dev/quarantine", "value": "gpu-fault", "effect": "NoSchedule"},
    "gpu-only": {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
}
"""The taints of the catalogue: none of them ends a pod that runs. The second is the GPU operator's own."""
LABELS: Path = ("metadata", "labels")
UNSCHEDULABLE: Path = ("spec", "unschedulable")
UPGRADE = "nvidia.com/gpu-driver-upgrade-state"
MIG_STATE = "nvidia.com/mig.config.state"
GUARDS: tuple[Path, ...] = (UNSCHEDULABLE, (*LABELS, UPGRADE), (*LABELS, MIG_STATE))
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def refusal(obj: JsonObject, target: targets.NodeTarget) -> str:
    """Why a node is left to others for now, in one line; "" where it is not."""
    labels = fields.strings(obj, *LABELS)
    if any(key in labels for key in CONTROL_PLANE):
        return f"{target.ref} belongs to the control plane"
    if labels.get(UPGRADE, "upgrade-done") not in ("upgrade-done", ""):
        return f"the GPU operator upgrades the driver of {target.ref}"
    if labels.get(MIG_STATE) in ("pending", "rebooting"):
        return f"the MIG manager is at work on {target.ref}"
    return ""


def has_taint(obj: JsonObject, name: TaintName) -> bool:
    """True where the taint stands, with whatever value."""
    return any(_is(one, name) for one in fields.items(obj, "spec", "taints"))


def _is(one: JsonObject, name: TaintName) -> bool:
    return all(fields.text(one, key) == TAINTS[name][key] for key in ("key", "effect"))


def taints(obj: JsonObject, name: TaintName, *, present: bool) -> tuple[Wanted, ...]:
    """The whole list of taints with or without that one; what else is tainted stays."""
    if has_taint(obj, name) is present:
        return ()
    kept = [one for one in fields.items(obj, "spec", "taints") if not _is(one, name)]
    made = [*kept, *([TAINTS[name]] if present else [])]
    return (Wanted(path=("spec", "taints"), value=[*made] or None),)


def taint_refusal(obj: JsonObject, target: targets.NodeTarget, name: TaintName, *, present: bool) -> str:
    """Why a taint cannot be set, or taken off, in one line; "" where it can."""
    if has_taint(obj, name) is present:
        return f"{target.ref} {'has that taint already' if present else 'does not have that taint'}"
    return refusal(obj, target)


def gpus(obj: JsonObject) -> float:
    """GPUs that the node offers."""
    offered = fields.strings(obj, "status", "allocatable")
    return sum(fields.quantity(text) or 0.0 for name, text in offered.items() if GPU_RESOURCE.match(name))


def closing(obj: JsonObject) -> Blast:
    """New pods get none of its GPUs; pods that run stay."""
    return Blast(gpus_before=0.0 if fields.flag(obj, *UNSCHEDULABLE) else gpus(obj), gpus_after=0.0)


def opening(obj: JsonObject) -> Blast:
    """New pods get its GPUs."""
    return Blast(gpus_before=0.0, gpus_after=gpus(obj))
