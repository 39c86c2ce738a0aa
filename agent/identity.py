"""What the credentials could do beyond reading, asked of the server before anything else is.

`incident` refuses credentials that can write or reach further; `propose` warns. The list is fixed: see
docs/limits.md for what a review cannot tell. That `get` on nodes/proxy and pods/exec runs commands is Kubernetes's
own documentation ("RBAC Good Practices"; kube-apiserver checks `create` for exec as well only since 1.35).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from tools.errors import CredentialsError, PortError
from tools.types import AccessCheck, Frozen, Mode

RBAC, HOOKS = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
WRITES = ("create", "patch", "delete")
WORKLOADS: tuple[tuple[str, str], ...] = (
    ("", "pods"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
)
"""(group, resource) of what runs code in the cluster."""
SHOWN = 6
"""Dangers named in one line; the rest is counted."""
MAX_NAMESPACES = 5
"""Namespaces asked about one by one, when they were named."""


class Reviewer(Protocol):
    """The one thing asked of a Kubernetes port here."""

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        """SelfSubjectAccessReview answers, in order; None where the server would not say."""
        ...


class Danger(Frozen):
    """Something the credentials may do that reading never needs."""

    what: str
    check: AccessCheck
    certain: bool = True
    """False when the server would not say."""


def _check(verb: str, resource: str, *, group: str = "", sub: str = "") -> AccessCheck:
    return AccessCheck(verb=verb, group=group, resource=resource, subresource=sub)


DANGERS: tuple[tuple[AccessCheck, str], ...] = (
    *((_check(verb, "secrets"), "read Secrets") for verb in ("get", "list", "watch")),
    *((_check(verb, "nodes", sub="proxy"), "run commands through nodes/proxy") for verb in ("get", "create")),
    *(
        (_check(verb, "pods", sub=sub), f"reach into pods ({sub})")
        for sub in ("exec", "attach", "portforward", "proxy")
        for verb in ("get", "create")
    ),
    (_check("get", "services", sub="proxy"), "reach services through the API server"),
    *((_check(verb, resource, group=group), f"{verb} {resource}") for group, resource in WORKLOADS for verb in WRITES),
    (_check("patch", "nodes"), "patch nodes"),
    *((_check("impersonate", who), "impersonate others") for who in ("users", "groups", "serviceaccounts")),
    *(
        (_check(verb, roles, group=RBAC), f"{verb} roles")
        for verb in ("escalate", "bind")
        for roles in ("roles", "clusterroles")
    ),
    (_check("create", "serviceaccounts", sub="token"), "mint tokens"),
    *(
        (_check(verb, f"{kind}webhookconfigurations", group=HOOKS), "register webhooks")
        for kind in ("mutating", "validating")
        for verb in ("create", "patch")
    ),
)
"""What is asked, and how it is said."""
CLUSTER_SCOPED = frozenset({"nodes", "users", "groups", "clusterroles"})
"""Resources for which a namespace means nothing."""


def checks(namespaces: Iterable[str] = ()) -> list[tuple[AccessCheck, str]]:
    """Every danger for the whole cluster, and for each namespace named (at most MAX_NAMESPACES of them)."""
    out = list(DANGERS)
    for namespace in list(dict.fromkeys(namespaces))[:MAX_NAMESPACES]:
        for check, what in DANGERS:
            if check.resource not in CLUSTER_SCOPED and not check.resource.endswith("webhookconfigurations"):
                out.append((check.model_copy(update={"namespace": namespace}), f"{what} in {namespace}"))
    return out


async def dangers(kube: Reviewer, namespaces: Iterable[str] = ()) -> list[Danger]:
    """The listed dangers that are allowed, or that the server would not deny; never raises."""
    asked = checks(namespaces)
    try:
        answers: Sequence[bool | None] = await kube.allowed([check for check, _ in asked])
    except PortError:
        answers = [None] * len(asked)
    found = [
        Danger(what=what, check=check, certain=answer is not None)
        for (check, what), answer in zip(asked, answers, strict=True)
        if answer is not False
    ]
    wide = {danger.what for danger in found}
    return [danger for danger in found if danger.what.rpartition(" in ")[0] not in wide]


def described(found: Sequence[Danger]) -> str:
    """The dangers in a few words."""
    words = list(dict.fromkeys(danger.what for danger in found if danger.certain))
    if not words:
        return "the server does not say what these credentials may do"
    more = f" and {len(words) - SHOWN} more such things" if len(words) > SHOWN else ""
    return f"these credentials may {', '.join(words[:SHOWN])}{more}"


async def check_mode(kube: Reviewer, mode: Mode, *, accept: bool = False, namespaces: Iterable[str] = ()) -> list[str]:
    """Warnings for a mode. Raises CredentialsError where `incident` meets credentials that are not read-only.

    A server that does not answer the question counts as one that allows: a guarantee cannot rest on silence.
    """
    found = await dangers(kube, namespaces)
    if not found:
        return []
    text = described(found)
    if mode == "incident" and not accept:
        raise CredentialsError(
            f"incident mode needs read-only credentials, but {text}",
            hint="use the reader role, or add --accept-writable-credentials",
        )
    return [f"{text}; Plumbline only reads, and a reader role would make sure"]
