"""What a change may name: one object of the kinds it is made for, by group, kind, namespace and name.

Rule: never a selector, never a uid (that is read, not told), and nothing that is no name.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import StringConstraints, model_validator

from tools.arguments import Group, Kind, Namespace, Subdomain
from tools.changes import ChangeArgs
from tools.naming import KindRef, ResourceRef

DEPLOYMENT = KindRef(group="apps", kind="Deployment")
STATEFUL_SET = KindRef(group="apps", kind="StatefulSet")
REPLICA_SET = KindRef(group="apps", kind="ReplicaSet")
CONTROLLER_REVISION = KindRef(group="apps", kind="ControllerRevision")
LEADER_WORKER_SET = KindRef(group="leaderworkerset.x-k8s.io", kind="LeaderWorkerSet")
INFERENCE_SERVICE = KindRef(group="serving.kserve.io", kind="InferenceService")
LLM_INFERENCE_SERVICE = KindRef(group="serving.kserve.io", kind="LLMInferenceService")
HPA = KindRef(group="autoscaling", kind="HorizontalPodAutoscaler")
SCALED_OBJECT = KindRef(group="keda.sh", kind="ScaledObject")
JOB = KindRef(group="batch", kind="Job")
JOB_SET = KindRef(group="jobset.x-k8s.io", kind="JobSet")
TRAIN_JOB = KindRef(group="trainer.kubeflow.org", kind="TrainJob")
PYTORCH_JOB = KindRef(group="kubeflow.org", kind="PyTorchJob")
RAY_JOB = KindRef(group="ray.io", kind="RayJob")
WORKLOAD = KindRef(group="kueue.x-k8s.io", kind="Workload")
CLUSTER_QUEUE = KindRef(group="kueue.x-k8s.io", kind="ClusterQueue")
NOTEBOOK = KindRef(group="kubeflow.org", kind="Notebook")
NODE = KindRef(kind="Node")
SERVED = (DEPLOYMENT, STATEFUL_SET, LEADER_WORKER_SET, INFERENCE_SERVICE, LLM_INFERENCE_SERVICE)
"""Kinds that run replicas of a server."""
JOBS = (JOB, JOB_SET, TRAIN_JOB, PYTORCH_JOB, RAY_JOB)
"""Kinds that run to an end."""


KEDA_PAUSED = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")
"""Annotations of a ScaledObject that does nothing for now."""
ContainerName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""One container by its name."""


class Target(ChangeArgs):
    """One object in a namespace."""

    group: Group
    kind: Kind
    namespace: Namespace
    name: Subdomain

    @model_validator(mode="after")
    def _of_a_kind_it_is_made_for(self) -> Target:
        if self.ref.kind_ref not in self.KINDS:
            raise ValueError(f"it is made for {', '.join(map(str, self.KINDS))}")
        return self

    @property
    def ref(self) -> ResourceRef:
        """The object named."""
        return ResourceRef(group=self.group, kind=self.kind, namespace=self.namespace, name=self.name)


class ClusterTarget(ChangeArgs):
    """One object outside of namespaces, of the one kind the change is made for."""

    name: Subdomain

    @property
    def ref(self) -> ResourceRef:
        """The object named."""
        (kind,) = self.KINDS
        return ResourceRef(group=kind.group, kind=kind.kind, name=self.name)


class NodeTarget(ClusterTarget):
    """One node."""

    KINDS = (NODE,)
