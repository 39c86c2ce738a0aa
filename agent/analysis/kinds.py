"""The kinds that causes read, named once."""

from __future__ import annotations

from tools.types import KindRef

POD = KindRef(kind="Pod")
NODE = KindRef(kind="Node")
NAMESPACE = KindRef(kind="Namespace")
EVENT = KindRef(kind="Event")
SERVICE = KindRef(kind="Service")
DEPLOYMENT = KindRef(group="apps", kind="Deployment")
REPLICA_SET = KindRef(group="apps", kind="ReplicaSet")
STATEFUL_SET = KindRef(group="apps", kind="StatefulSet")
DAEMON_SET = KindRef(group="apps", kind="DaemonSet")
JOB = KindRef(group="batch", kind="Job")
HPA = KindRef(group="autoscaling", kind="HorizontalPodAutoscaler")
PERSISTENT_VOLUME = KindRef(kind="PersistentVolume")
PERSISTENT_VOLUME_CLAIM = KindRef(kind="PersistentVolumeClaim")
LOCAL_QUEUE = KindRef(group="kueue.x-k8s.io", kind="LocalQueue")
CLUSTER_QUEUE = KindRef(group="kueue.x-k8s.io", kind="ClusterQueue")
WORKLOAD = KindRef(group="kueue.x-k8s.io", kind="Workload")
JOB_SET = KindRef(group="jobset.x-k8s.io", kind="JobSet")
TRAIN_JOB = KindRef(group="trainer.kubeflow.org", kind="TrainJob")
LEADER_WORKER_SET = KindRef(group="leaderworkerset.x-k8s.io", kind="LeaderWorkerSet")
SCALED_OBJECT = KindRef(group="keda.sh", kind="ScaledObject")
INFERENCE_SERVICE = KindRef(group="serving.kserve.io", kind="InferenceService")
NOTEBOOK = KindRef(group="kubeflow.org", kind="Notebook")
APPLICATION = KindRef(group="argoproj.io", kind="Application")
RESOURCE_CLAIM = KindRef(group="resource.k8s.io", kind="ResourceClaim")
