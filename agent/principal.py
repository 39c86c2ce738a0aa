"""Who asks, and which namespaces they may see: established from the cluster, never from a claim."""

from __future__ import annotations

from collections.abc import Sequence

from agent.analysis.kinds import NAMESPACE
from tools import fields
from tools.errors import BadAnswer, Denied, NotServed, Unavailable
from tools.types import AccessCheck, KubePort, Principal

PROBED_NAMESPACES = 100
"""Namespaces whose permission is asked one by one when cluster-wide read is refused."""
CLUSTER_READ = AccessCheck(verb="list", resource="pods")


async def establish(kube: KubePort) -> Principal:
    """The caller as the API server sees it (SelfSubjectReview). An older server that lacks it gives "unknown"."""
    try:
        user, groups = await kube.whoami()
    except (NotServed, Denied, BadAnswer):
        return Principal(source="cli", user="unknown", established="the server does not tell")
    return Principal(source="cli", user=user, groups=tuple(groups), established="SelfSubjectReview")


async def cluster_uid(kube: KubePort) -> str:
    """uid of the namespace kube-system, which tells one cluster from another. Raises PortError."""
    found = fields.text(await kube.get(NAMESPACE, namespace=None, name="kube-system"), "metadata", "uid")
    if not found:
        raise BadAnswer("the API server gives the namespace kube-system no uid")
    return found


async def permitted(kube: KubePort, hinted: Sequence[str]) -> tuple[str, ...] | None:
    """Namespaces the caller may read, or None for all of them. Fails closed: no answer is no permission."""
    try:
        (everything,) = await kube.allowed([CLUSTER_READ])
        if everything:
            return None
        candidates = list(dict.fromkeys([*hinted, *await _namespaces(kube)]))[:PROBED_NAMESPACES]
        checks = [AccessCheck(verb="list", resource="pods", namespace=namespace) for namespace in candidates]
        answers = await kube.allowed(checks) if checks else []
    except (Unavailable, BadAnswer, NotServed, Denied):
        return ()
    return tuple(namespace for namespace, allowed in zip(candidates, answers, strict=True) if allowed)


async def _namespaces(kube: KubePort) -> list[str]:
    names: list[str] = []
    try:
        async for page in kube.pages(NAMESPACE, namespace=None):
            names += [fields.text(item, "metadata", "name") for item in page.items]
    except Denied:
        return names
    return names
