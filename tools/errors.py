"""Every error Plumbline raises on purpose, drawn as one tree.

PlumblineError
├── UserError            the user must mend something: one line, a hint, exit code 2
│   ├── SettingsError      flags, files, environment
│   ├── CredentialsError   no kubeconfig, unknown context, refused plugin, 401
│   ├── TargetError        server unreachable or not what it should be
│   ├── UnknownName        no such namespace, object, world, session; carries near names
│   └── DocumentError      malformed YAML or JSON file: file, line, field
├── PortError            what the reasoner may see: becomes Evidence with a status
│   ├── Denied             403, or refused by policy → denied
│   ├── NotFound           404 → empty
│   ├── NotServed          the cluster does not serve this kind → empty
│   ├── Unavailable        timeout, refused connection, 5xx, 429 → unavailable
│   └── BadAnswer          HTML, broken JSON, 422, unsupported → failed
├── Refused              the gate will not run this call (policy, limits, arguments)
├── AuditUnavailable     the audit log cannot be written: no call runs at all
└── Interrupted          the user stopped the run; the checkpoint is kept

Anything else is a bug and propagates.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class PlumblineError(Exception):
    """Root of the tree; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UserError(PlumblineError):
    """Something only the user can mend. Shown as one line; exit code 2."""


class SettingsError(UserError):
    """A flag, settings file or environment variable is wrong."""


class CredentialsError(UserError):
    """No usable credentials: missing kubeconfig, unknown context, refused plugin, expired token."""


class TargetError(UserError):
    """The API server or Prometheus cannot be reached, or is not one."""


class UnknownName(UserError):
    """A name that does not exist here. `what` it would name; `near` holds the closest existing names."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what = what
        self.near = tuple(difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=0.5))
        hint = f"did you mean {' or '.join(self.near)}?" if self.near else ""
        super().__init__(f"no {what} named {name!r}", hint=hint)


class DocumentError(UserError):
    """A file that cannot be read as what it should be."""

    def __init__(self, file: str, line: int | None, field: str, problem: str) -> None:
        place = f"{file}:{line}" if line else file
        where = f" {field}:" if field else ""
        super().__init__(f"{place}:{where} {problem}")
        self.file, self.line, self.field, self.problem = file, line, field, problem


class PortError(PlumblineError):
    """An expected failure of a port; the gate turns it into Evidence."""


class Denied(PortError):
    """The server or the policy says no."""


class NotFound(PortError):
    """The object does not exist."""


class NotServed(PortError):
    """The cluster does not serve this kind."""


class Unavailable(PortError):
    """No answer in time, or an answer that says "not now"."""


class BadAnswer(PortError):
    """An answer that cannot be understood, or a request the server calls wrong."""


class Refused(PlumblineError):
    """The gate refuses the call itself."""


class AuditUnavailable(PlumblineError):
    """The audit log cannot be written, so nothing may run."""


class Interrupted(PlumblineError):
    """The run was stopped; it can be resumed."""


def first_problem(error: ValidationError, what: str = "arguments") -> str:
    """The first problem of arguments in one line, without quoting what was sent: neither values nor made-up names."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    unknown = first["type"] == "extra_forbidden"
    where = ".".join(str(token) for token in (first["loc"][:-1] if unknown else first["loc"]))[:80]
    message = "there is no such field" if unknown else str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where or what}: {message}{more}"
