"""Field selectors: which fields a kind may be selected by, and the exact refusal of every other one.

The lists are those of kube-apiserver 1.36 (each kind's field label conversion). A missing field reads "".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from evals.servers.kube.jsonread import as_text, dig
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import bad_request
from tools.types import JsonObject

_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
SUPPORTED: Mapping[str, tuple[str, ...]] = {
    "/pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "/nodes": ("spec.unschedulable",),
    "/namespaces": ("status.phase",),
    "/secrets": ("type",),
    "/services": ("spec.clusterIP", "spec.type"),
    "/replicationcontrollers": ("status.replicas",),
    "/events": (
        *(f"involvedObject.{name}" for name in _INVOLVED),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "events.k8s.io/events": (*(f"regarding.{name}" for name in _INVOLVED), "reason", "reportingController", "type"),
    "apps/replicasets": ("status.replicas",),
    "batch/jobs": ("status.successful",),
    "certificates.k8s.io/certificatesigningrequests": ("spec.signerName",),
    "resource.k8s.io/resourceslices": ("spec.nodeName", "spec.driver"),
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "component"),
    "status.successful": ("status", "succeeded"),
}
"""Selectors that are not simply a path."""
_DEFAULTS: Mapping[str, str] = {
    "spec.hostNetwork": "false",
    "spec.unschedulable": "false",
    "status.replicas": "0",
    "status.successful": "0",
}
_TERM = re.compile(r"(?P<field>(?:\\.|[^\\=!])+?)(?P<op>!=|==|=)(?P<value>(?:\\.|[^\\=])*)")


def field_selector(text: str, resource: Resource) -> Callable[[JsonObject], bool] | None:
    """The test of a selector on a kind's stored objects; None for an empty one. Raises ApiError 400."""
    terms = [_term(term, resource) for term in re.split(r"(?<!\\),", text) if term]
    if not terms:
        return None
    return lambda item: all(
        _value(item, field) == value if equal else _value(item, field) != value for field, equal, value in terms
    )


def _term(text: str, resource: Resource) -> tuple[str, bool, str]:
    match = _TERM.fullmatch(text)
    if match is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    field = match["field"].strip()
    _check(field, resource)
    return _stored(field), match["op"] != "!=", re.sub(r"\\(.)", r"\1", match["value"])


def _check(field: str, resource: Resource) -> None:
    key = f"{resource.group}/{resource.plural}"
    known = resource.selectable if resource.custom else SUPPORTED.get(key, ())
    if field == "metadata.name" or field in known:
        return
    if field == "metadata.namespace" and (resource.namespaced or not (known or resource.custom)):
        return
    if known or resource.custom:
        raise bad_request(f"field label not supported: {field}")
    raise bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _stored(field: str) -> str:
    """events.k8s.io reads the same stored core events."""
    if field.startswith("regarding."):
        return "involvedObject." + field.removeprefix("regarding.")
    return "reportingComponent" if field == "reportingController" else field


def _value(item: JsonObject, field: str) -> str:
    path = _FIELDS.get(field) or tuple(field.split("."))
    value = dig(item, *path)
    if field == "source" and not value:
        value = dig(item, "reportingComponent")
    if field == "status.podIPs":
        value = ""
    return as_text(value) or _DEFAULTS.get(field, "")
