"""The failures a Kubernetes API server answers with: a Status body of fixed reason, code, details and message form.

Every refusal of the world server is an ApiError; only the server turns one into bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evals.servers.kube.kinds import Resource
from tools.types import JsonObject

Cause = tuple[str, str, str]
"""(reason, message, field) of one StatusCause."""

REASONS: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A Status of status Failure. `details` None leaves the field out, as some of the real answers do."""

    def __init__(
        self, code: int, message: str, *, reason: str = "", details: JsonObject | None = None, cont: str = ""
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.reason = reason or REASONS.get(code, "")
        self.details, self.cont = details, cont

    def body(self) -> JsonObject:
        """The Status object."""
        body: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.cont} if self.cont else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


class PlainError(Exception):
    """An answer in plain text, such as that of a path no handler knows."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def details_of(resource: Resource, name: str = "", *, kind: str = "") -> JsonObject:
    """`details` naming a resource: name and group only where there are any."""
    details: JsonObject = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = kind or resource.plural
    return details


def bad_request(message: str) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, message)


def unauthorized() -> ApiError:
    """401: the bearer token is unknown."""
    return ApiError(401, "Unauthorized")


def unknown_resource() -> ApiError:
    """404 for a resource the (known) group does not serve."""
    return ApiError(404, "the server could not find the requested resource", details={})


def unknown_path() -> PlainError:
    """404 for a path that no handler serves."""
    return PlainError(404, "404 page not found\n")


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object that does not exist."""
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=details_of(resource, name))


def not_supported(resource: Resource, action: str) -> ApiError:
    """405 for a verb the resource does not have."""
    message = f'{action} is not supported on resources of kind "{resource.qualified}"'
    return ApiError(405, message, details=details_of(resource))


def not_allowed() -> ApiError:
    """405 for a method that means nothing on the path."""
    return ApiError(405, "the server does not allow this method on the requested resource", details={})


_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, problem: str = _MODIFIED) -> ApiError:
    """409, for a stale resourceVersion unless `problem` says otherwise."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {problem}'
    return ApiError(409, message, details=details_of(resource, name))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: `causes` say which fields are wrong and why."""
    texts = [f"{field}: {message}" for _, message, field in causes]
    unique = list(dict.fromkeys(texts))
    said = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
    details: JsonObject = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [{"reason": reason, "message": text, "field": field} for reason, text, field in causes]
    full = f"{kind}.{group}" if group else kind
    return ApiError(422, f'{full} "{name}" is invalid: {said}', details=details)


def immutable(value: str, field: str) -> Cause:
    """The cause of changing a field that must not change."""
    return ("FieldValueInvalid", f'Invalid value: "{value}": field is immutable', field)


def unsupported_media(accepted: str = "") -> ApiError:
    """415: a body type that is not understood; `accepted` lists those that are, where the server says so."""
    if not accepted:
        return ApiError(415, "415: Unsupported Media Type", details={})
    known = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, known)


def expired(message: str, *, cont: str = "") -> ApiError:
    """410: the resourceVersion or continue token is older than what the server remembers."""
    return ApiError(410, message, cont=cont)


def too_large(asked: int, current: int) -> ApiError:
    """504: a resourceVersion from the future."""
    details: JsonObject = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    return ApiError(504, f"Timeout: Too large resource version: {asked}, current: {current}", details=details)
