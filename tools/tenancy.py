"""Which label of a metric family names the tenant: what rows and free queries are filtered by.

Rules: the longest prefix decides; None means that nothing in the family belongs to one tenant; a family that is not
listed belongs to nobody, so only cluster read shows it. Where a target is scraped without honorLabels, a namespace
label of the metric's own arrives as exported_namespace, and `namespace` is the exporter's (prometheus.io/docs,
"honor_labels"); which exporters are scraped with it is a setting of each server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

OWN: Final = "namespace"
EXPORTED: Final = "exported_namespace"

TENANT_LABELS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        # exporters that speak of pods other than their own
        "DCGM_": EXPORTED,
        "gpu_": EXPORTED,
        "gpu_operator_": None,
        "keda_": EXPORTED,
        "kueue_": None,
        "kueue_cluster_queue": None,
        "kueue_local_queue_": EXPORTED,
        "jobset_": EXPORTED,
        "kuberay_": EXPORTED,
        "inference_objective_": EXPORTED,
        "inference_pool_": EXPORTED,
        "llm_d_epp_": EXPORTED,
        "certmanager_certificate_": EXPORTED,
        "gotk_": EXPORTED,
        "argocd_": None,
        "argocd_app_info": "dest_namespace",
        "kepler_": None,
        "kepler_pod_": "pod_namespace",
        # kube-state-metrics is scraped with honorLabels by its chart and by kube-prometheus
        "kube_": OWN,
        "kube_node_": None,
        "kube_persistentvolume_": None,
        "kube_storageclass_": None,
        "kube_volumeattachment_": None,
        "kube_certificatesigningrequest_": None,
        "kube_clusterrole": None,
        "kube_ingressclass_": None,
        "kube_mutatingwebhookconfiguration_": None,
        "kube_validatingwebhookconfiguration_": None,
        "kube_state_metrics_": None,
        "kube_customresource_": None,
        # the workload's own target, or the kubelet speaking of it
        "container_": OWN,
        "kubelet_": None,
        "machine_": None,
        "node_": None,
        "scheduler_": None,
        "vllm:": OWN,
        "sglang:": OWN,
        "tgi_": OWN,
        "trtllm_": OWN,
        "nv_": OWN,
        # our own recording rules
        "plumbline:": OWN,
        "plumbline:free": None,
    }
)


def tenant_label(metric: str, labels: Mapping[str, str | None] = TENANT_LABELS) -> str | None:
    """The label of `metric` that names its tenant, or None where there is none or the family is unknown."""
    best = max((prefix for prefix in labels if metric.startswith(prefix)), key=len, default=None)
    return labels[best] if best is not None else None


def honouring(families: Iterable[str], labels: Mapping[str, str | None] = TENANT_LABELS) -> dict[str, str | None]:
    """The table for a server that scrapes these families (prefixes of the table) with honorLabels: true."""
    chosen = set(families)
    return {prefix: OWN if label == EXPORTED and prefix in chosen else label for prefix, label in labels.items()}
