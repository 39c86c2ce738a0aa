"""What users suspect, in their words: which causes of the catalogue a word means, and what would show the rest.

Rule: a word that means no cause we have is answered honestly: it was not checked, and this would show it.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.phrases import words


@dataclass(frozen=True, slots=True)
class Suspect:
    """A kind of cause that people name."""

    words: str
    """Words and phrases, separated by `|`; `x*` is any text that begins so."""
    causes: tuple[str, ...]
    """Causes it means; those this build lacks are harmless."""
    stems: str
    """How statements about it can be recognised, separated by `|`."""
    would_show: str
    """What would show it, in the field's terms."""


WEIGHTLESS = words(
    """
    a an the some any problem problems issue issues trouble fault error errors failure failures bottleneck cause
    causes caused because of due to by its their our your or and slow wrong bad broken itself simply just maybe perhaps
    there with being too is are it that this
    """
)
"""Words left out of "a network problem" before it is looked up."""

SUSPECTS: tuple[Suspect, ...] = (
    Suspect(
        words="network*|nccl|rdma|infiniband|ib|roce|fabric|interconnect|nvlink|bandwidth|packet loss|cni|nic|nics"
        "|latency of network",
        causes=(),
        stems="network|nccl|rdma",
        would_show="NCCL errors and time-outs in the logs of the ranks, link errors and retransmits of the nodes' NICs "
        "(node_exporter: node_infiniband_*, node_netstat_Tcp_RetransSegs), and steps that slow down on every "
        "rank at once",
    ),
    Suspect(
        words="dns|name resolution|coredns",
        causes=(),
        stems="dns",
        would_show="CoreDNS's error and latency series (coredns_dns_responses_total by rcode, "
        "coredns_dns_request_duration_seconds) and resolver errors in the pods' logs",
    ),
    Suspect(
        words="kv cache*|kv|cache|preemption*|preempt*|batch size|recomput*",
        causes=("U16", "U17"),
        stems="preempt|cache",
        would_show="vLLM's cache use and preemption counters",
    ),
    Suspect(
        words="data|data load*|dataload*|loader*|input*|input pipeline|data pipeline|prefetch*|dataset|starv*",
        causes=("U25", "U26"),
        stems="input|loader|fed",
        would_show="low mean and high variation of GPU use in training pods with CPU or I/O pressure beside it",
    ),
    Suspect(
        words="disk*|storage|volume*|nfs|ceph|pvc*|filesystem|file system|io|i/o|checkpoint*|s3",
        causes=("U25",),
        stems="volume|disk|checkpoint",
        would_show="pressure-stall and latency series of the volumes (node_disk_io_time_seconds_total, "
        "container_pressure_io_*), and FailedMount or FailedAttachVolume events",
    ),
    Suspect(
        words="hardware|xid*|ecc|gpu fault*|gpu error*|gpu failure*|broken gpu*|faulty gpu*|dead gpu*|node fault*"
        "|gpu hardware|nvidia driver|driver*",
        causes=("U35", "U37", "U38"),
        stems="xid|fault",
        would_show="DCGM_FI_DEV_XID_ERRORS and the ECC and row-remap fields of dcgm-exporter, and the kernel log",
    ),
    Suspect(
        words="gpu memory|vram|hbm|gpu oom|cuda out of memory|out of gpu memory",
        causes=("U16",),
        stems="cache|memory",
        would_show="DCGM_FI_DEV_FB_USED beside DCGM_FI_DEV_FB_FREE, and out-of-memory lines in the logs",
    ),
    Suspect(
        words="memory|oom*|ram|out of memory|memory leak",
        causes=(),
        stems="oom|memory",
        would_show="container_memory_working_set_bytes against the limits, OOMKilled states and restarts of the pods",
    ),
    Suspect(
        words="cpu*|throttl*|cpu limit*|cpu starvation",
        causes=("U25", "U13"),
        stems="cpu|throttl",
        would_show="container_cpu_cfs_throttled_periods_total and CPU pressure of the pods and nodes",
    ),
    Suspect(
        words="autoscal*|hpa|keda|scal*|replica*|scaledobject*|scaler",
        causes=("U13",),
        stems="autoscaler|replica|hpa",
        would_show="the HPA's or ScaledObject's metrics, conditions and desired replicas over time",
    ),
    Suspect(
        words="schedul*|unschedul*|taint*|toleration*|affinity|node selector*|selector*|placement|constraint*",
        causes=("U08", "U10"),
        stems="wait|taint|node",
        would_show="FailedScheduling events and the constraints of the pending pods",
    ),
    Suspect(
        words="quota*|kueue|queue*|admission|resourcequota",
        causes=("U04", "U05", "U06"),
        stems="queue|quota",
        would_show="the conditions of Kueue's Workloads, the usage of their ClusterQueues, and ResourceQuota events",
    ),
    Suspect(
        words="capacity|no free gpu*|full cluster|too few gpu*|lack of gpu*|shortage",
        causes=("U03", "U08", "U10", "U11"),
        stems="free|allocatable",
        would_show="free GPUs per node beside what the pending pods ask for",
    ),
    Suspect(
        words="image*|digest*|tag*|wrong version|version*|image drift|old image",
        causes=("D03", "D04"),
        stems="digest|image",
        would_show="image digests of the running replicas beside their references",
    ),
    Suspect(
        words="idle*|nobody us*|unused|abandoned|waste*|forgotten|zombie*",
        causes=("U01",),
        stems="idle|worked",
        would_show="GPU use of the pod over its whole life",
    ),
    Suspect(
        words="telemetry|metrics|monitoring|dcgm*|exporter*|measurement|missing metrics|blind spot*",
        causes=("U00",),
        stems="telemetry",
        would_show="dcgm-exporter's coverage of the GPUs in use",
    ),
    Suspect(
        words="drift*|git|argo*|out of sync|gitops|config*|configuration",
        causes=("D01", "D02", "D03"),
        stems="digest|drift",
        would_show="the sync state of the owning Argo CD application, and the fields' managers",
    ),
    Suspect(
        words="power|thermal*|temperature|clock*|overheat*|power cap*",
        causes=("U38", "U39"),
        stems="power|thermal|clock",
        would_show="DCGM_FI_DEV_POWER_USAGE, DCGM_FI_DEV_GPU_TEMP and the clocks-event reasons of dcgm-exporter",
    ),
    Suspect(
        words="probe*|readiness|liveness|crash*|restart*|bug in application|application|code",
        causes=(),
        stems="restart|ready",
        would_show="restart counts, last termination states and the logs of the previous containers",
    ),
    Suspect(
        words="gateway*|ingress|load balanc*|routing|router|istio|envoy",
        causes=(),
        stems="gateway|routing",
        would_show="the gateway's own latency and error series, beside the queue length of each model server",
    ),
    Suspect(
        words="traffic|load|demand|too many requests|request rate|peak*|burst*",
        causes=(),
        stems="requests|waiting",
        would_show="the rate of requests and tokens over the window, beside the same hours of earlier days",
    ),
    Suspect(
        words="certificate*|tls|auth*|permission*|rbac",
        causes=(),
        stems="denied",
        would_show="error lines in the logs of the clients, and 401 and 403 rates of the servers",
    ),
)
"""The first that matches counts."""


def suspected(text: str) -> Suspect | None:
    """The kind of cause a text names ("a network problem", "the KV cache"), or None."""
    bare = " ".join(word for word in text.split() if word not in WEIGHTLESS)
    for form in dict.fromkeys((text, bare)):
        for suspect in SUSPECTS:
            if form and any(_fits(entry, form) for entry in suspect.words.split("|")):
                return suspect
    return None


def stems_of(cause: str) -> list[str]:
    """How statements about a cause of the catalogue can be recognised; those of the words that mean it first."""
    meant = [s for s in SUSPECTS if s.causes[:1] == (cause,)] or [s for s in SUSPECTS if cause in s.causes]
    return [stem for suspect in meant for stem in suspect.stems.split("|")]


def _fits(entry: str, text: str) -> bool:
    return text.startswith(entry.removesuffix("*")) if entry.endswith("*") else text == entry
