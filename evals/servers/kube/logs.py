"""Container logs: which container is meant, and which part of its log.

Logs are bytes and stay bytes. A line's time is the RFC 3339 time it begins with; a line without one has the time
of the line before, and the first has the container's start.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from evals.servers.kube.calls import Answer, Call
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at, seconds_of
from evals.servers.kube.status import ApiError, bad_request, invalid
from evals.servers.kube.store import Item
from evals.world.model import World
from tools.types import JsonObject

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def read_log(call: Call, pod: Item, world: World) -> Answer:
    """The log asked for; it always ends (`follow` ends with the log). Raises ApiError 400, 422."""
    container = _container(call.query.get("container", ""), pod)
    numbers = {name: _number(call, name) for name in ("tailLines", "limitBytes", "sinceSeconds")}
    since = _since(call, numbers["sinceSeconds"], world.clock.now)
    if not as_text(dig(pod.body, "spec", "nodeName")):
        # Not scheduled: there is no kubelet to ask, and the real server says so with an empty answer.
        return Answer(b"", "", 204)
    status = _status(pod, container)
    previous = call.flag("previous")
    _require_log(pod, container, status, world, previous=previous)
    key = (pod.namespace, pod.name, f"{container}/previous" if previous else container)
    lines = world.logs.get(key, b"").splitlines(keepends=True)
    if since is not None or call.flag("timestamps"):
        lines = _timed(lines, _start(pod, status), since, stamp=call.flag("timestamps"))
    if numbers["tailLines"] is not None:
        lines = lines[len(lines) - min(numbers["tailLines"], len(lines)) :]
    data = b"".join(lines)
    if numbers["limitBytes"] is not None:
        data = data[: numbers["limitBytes"]]
    return Answer(data, "text/plain")


def _container(asked: str, pod: Item) -> str:
    names = [as_text(one.get("name")) for one in objects_at(pod.body, "spec", "containers")]
    first = [as_text(one.get("name")) for one in objects_at(pod.body, "spec", "initContainers")]
    extra = [as_text(one.get("name")) for one in objects_at(pod.body, "spec", "ephemeralContainers")]
    if asked:
        if asked not in (*names, *first, *extra):
            raise bad_request(f"container {asked} is not valid for pod {pod.name}")
        return asked
    if len(names) == 1 and not first and not extra:
        return names[0]
    if not names:
        raise bad_request(f"a container name must be specified for pod {pod.name}")
    message = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(names)}]"
    if first:
        message += f" or one of the init containers: [{' '.join(first)}]"
    raise bad_request(message)


def _number(call: Call, name: str) -> int | None:
    text = call.query.get(name, "")
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    least = 0 if name == "tailLines" else 1
    if value < least:
        problem = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
        raise _wrong(name, f"Invalid value: {value}: {problem}")
    return value


def _wrong(field: str, message: str) -> ApiError:
    return invalid("PodLogOptions", "", "", [("FieldValueInvalid", message, field)])


def _since(call: Call, seconds: int | None, now: float) -> float | None:
    text = call.query.get("sinceTime", "")
    if text and seconds is not None:
        raise _wrong("sinceSeconds", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if not text:
        return None if seconds is None else now - seconds
    moment = seconds_of(text)
    if moment is None:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    return moment


def _status(pod: Item, container: str) -> JsonObject:
    for field in _STATUSES:
        for one in objects_at(pod.body, "status", field):
            if one.get("name") == container:
                return one
    return {}


def _require_log(pod: Item, container: str, status: JsonObject, world: World, *, previous: bool) -> None:
    """The kubelet's refusals. A log the world has is always there."""
    if (pod.namespace, pod.name, f"{container}/previous" if previous else container) in world.logs:
        return
    if previous:
        ended = dig(status, "lastState", "terminated")
        if not ended and not as_int(status.get("restartCount")):
            raise bad_request(f'previous terminated container "{container}" in pod "{pod.name}" not found')
        return
    waiting = as_object(dig(status, "state", "waiting"))
    if waiting:
        reason = as_text(waiting.get("reason")) or "ContainerCreating"
        verb = "trying and failing to pull image" if "ImagePull" in reason else f"waiting to start: {reason}"
        raise bad_request(f'container "{container}" in pod "{pod.name}" is {verb}')


def _start(pod: Item, status: JsonObject) -> float:
    for path in (("state", "running", "startedAt"), ("state", "terminated", "startedAt")):
        moment = seconds_of(dig(status, *path))
        if moment is not None:
            return moment
    started = seconds_of(dig(pod.body, "status", "startTime"))
    return seconds_of(pod.metadata["creationTimestamp"]) or 0.0 if started is None else started


def _timed(lines: list[bytes], start: float, since: float | None, *, stamp: bool) -> list[bytes]:
    shown: list[bytes] = []
    time = start
    for line in lines:
        if match := _STAMP.match(line):
            time = seconds_of(match[0].decode()) or time
        if since is not None and time < since:
            continue
        shown.append(_stamp(time) + line if stamp else line)
    return shown


def _stamp(seconds: float) -> bytes:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()
