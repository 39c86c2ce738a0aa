"""What the credentials could do beyond reading, asked of the server before anything else is.

`incident` refuses credentials that can write or reach further; `propose` warns. The list is fixed: see
docs/limits.md for what a review cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.errors import CredentialsError, PortError
from tools.types import AccessCheck, Frozen, KubePort, Mode

DANGERS: tuple[tuple[AccessCheck, str], ...] = (
    (AccessCheck(verb="get", resource="secrets"), "read Secrets"),
    (AccessCheck(verb="list", resource="secrets"), "list Secrets"),
    (AccessCheck(verb="get", resource="nodes", subresource="proxy"), "run commands through nodes/proxy"),
    (AccessCheck(verb="get", resource="pods", subresource="exec"), "run commands in pods"),
    (AccessCheck(verb="create", resource="pods", subresource="exec"), "run commands in pods"),
    (AccessCheck(verb="create", resource="pods"), "create pods"),
    (AccessCheck(verb="patch", group="apps", resource="deployments"), "change Deployments"),
    (AccessCheck(verb="create", group="apps", resource="deployments"), "create Deployments"),
    (AccessCheck(verb="delete", group="apps", resource="deployments"), "delete Deployments"),
    (AccessCheck(verb="delete", resource="pods"), "delete pods"),
    (AccessCheck(verb="patch", resource="nodes"), "change nodes"),
    (AccessCheck(verb="impersonate", resource="users"), "impersonate users"),
    (
        AccessCheck(verb="escalate", group="rbac.authorization.k8s.io", resource="clusterroles"),
        "escalate its own role",
    ),
    (AccessCheck(verb="bind", group="rbac.authorization.k8s.io", resource="clusterroles"), "bind any role"),
    (AccessCheck(verb="create", resource="serviceaccounts", subresource="token"), "mint tokens"),
    (
        AccessCheck(verb="create", group="admissionregistration.k8s.io", resource="mutatingwebhookconfigurations"),
        "register webhooks",
    ),
)


class Danger(Frozen):
    """Something the credentials may do that reading never needs."""

    what: str
    check: AccessCheck
    certain: bool = True
    """False when the server would not say."""


async def dangers(kube: KubePort) -> list[Danger]:
    """The listed dangers that are allowed, or that the server would not deny knowing."""
    try:
        answers: Sequence[bool | None] = await kube.allowed([check for check, _ in DANGERS])
    except PortError:
        answers = [None] * len(DANGERS)
    return [
        Danger(what=what, check=check, certain=answer is not None)
        for (check, what), answer in zip(DANGERS, answers, strict=True)
        if answer is not False
    ]


async def check_mode(kube: KubePort, mode: Mode, *, accept: bool = False) -> list[str]:
    """Warnings for a mode. Raises CredentialsError where `incident` meets credentials that are not read-only."""
    found = await dangers(kube)
    if not found:
        return []
    words = ", ".join(dict.fromkeys(d.what for d in found if d.certain))
    text = f"these credentials may {words}" if words else "the server does not say what these credentials may do"
    if mode == "incident" and not accept:
        raise CredentialsError(
            f"incident mode needs read-only credentials, but {text}",
            hint="use the reader role, or add --accept-writable-credentials",
        )
    return [f"{text}; Plumbline only reads, and a reader role would make sure"]
