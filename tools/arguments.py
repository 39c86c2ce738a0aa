"""What a tool may be told: bounded, typed pieces of arguments, so that no free text reaches a request.

Rules: every string has a pattern and a length; an unknown argument is an error; times are Unix seconds or RFC 3339.
The formats are those of Kubernetes (RFC 1123 names, label selector syntax) and Prometheus (label names).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue, StringConstraints

from tools import fields
from tools.types import CallScope, KindRef, Ports

Group: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$")]
"""An API group; "" is the core group."""
Kind: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")]
"""A kind in its own spelling, such as Pod."""
Namespace: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$")]
"""An object's name: RFC 1123, and the colons of RBAC and node names."""
Subdomain: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253)
]
"""The name of a workload: an RFC 1123 subdomain."""
Container: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")]
Selector: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._/=!,()-]*$", max_length=1024)]
"""A label selector."""
FieldSelector: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._/=!,:\[\]-]*$", max_length=512)]
QueryName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.:-]{0,127}$")]
LabelName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
PromQL: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


def _moment(value: JsonValue) -> JsonValue:
    return fields.timestamp(value) if isinstance(value, str) and fields.timestamp(value) is not None else value


Moment: TypeAlias = Annotated[float, Field(ge=0, le=32_503_680_000, allow_inf_nan=False), BeforeValidator(_moment)]
"""Unix seconds, or an RFC 3339 time."""


def kind_scope(kind: KindRef, namespace: str | None, name: str = "") -> CallScope:
    """The scope of a call about one kind."""
    return CallScope(
        kinds=(kind,), namespaces=None if namespace is None else (namespace,), names=(name,) if name else ()
    )


def kubectl(verb: str, kind: KindRef, namespace: str | None, *more: str) -> str:
    """The call as a kubectl line, for people to read; nothing runs it."""
    where = f"-n {namespace}" if namespace else "-A"
    return " ".join(word for word in ("kubectl", verb, str(kind).lower(), *more, where) if word)


def family_of(name: str) -> Callable[[object, Ports], str]:
    """A constant signal family."""
    return lambda _args, _ports: name
