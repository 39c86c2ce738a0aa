"""Looking for a Prometheus in the cluster: Services by the labels that charts and operators give them.

A Service's address works only inside the cluster; outside, what was found is shown with how to reach it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent.analysis.kinds import SERVICE
from tools import fields
from tools.errors import PortError
from tools.types import JsonObject, KubePort

SELECTORS = (
    "app.kubernetes.io/name in (prometheus, thanos-query, thanos-query-frontend, mimir, vmselect, vmsingle)",
    "app in (prometheus, kube-prometheus-stack-prometheus, prometheus-server, thanos-query, vmselect, vmsingle)",
    "operated-prometheus=true",
)
"""Label selectors, most specific first; `operated-prometheus` is set by the Prometheus operator."""
PORT_NAMES = ("http-web", "web", "http", "http-query", "query")
MAX_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A URL that can be used from here, or a note that says what was found and what to do."""

    url: str = ""
    note: str = ""


def _port(service: JsonObject) -> int | None:
    ports = fields.items(service, "spec", "ports")
    named = [p for p in ports if fields.text(p, "name") in PORT_NAMES] or ports
    number = fields.number(named[0], "port") if named else None
    return int(number) if number else None


async def _services(kube: KubePort) -> list[JsonObject]:
    found: list[JsonObject] = []
    for selector in SELECTORS:
        try:
            async for page in kube.pages(SERVICE, namespace=None, label_selector=selector):
                found += page.items
        except PortError:
            continue
        if found:
            return found[:MAX_CANDIDATES]
    return found


async def find_prometheus(kube: KubePort) -> Found:
    """The Prometheus of the cluster, if there is one and it can be reached from here."""
    candidates = [(s, port) for s in await _services(kube) if (port := _port(s))]
    if not candidates:
        return Found(note="no Prometheus found in the cluster; name one with --prometheus URL")
    service, port = candidates[0]
    namespace, name = fields.text(service, "metadata", "namespace"), fields.text(service, "metadata", "name")
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return Found(url=f"http://{name}.{namespace}.svc:{port}")
    forward = f"kubectl -n {namespace} port-forward svc/{name} 9090:{port}"
    return Found(
        note=f"found Service {namespace}/{name}, which is not reachable from outside the cluster: run `{forward}`"
        " and add --prometheus http://127.0.0.1:9090"
    )
