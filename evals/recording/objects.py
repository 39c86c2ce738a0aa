"""Lists what a session read once more, whole, so that other questions about the same cluster can be answered too.

Rules: only through the read port; only kinds that were asked for, and events; what is denied or cut is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evals.recording.tapping import TappedKube
from evals.recording.writer import LeftOut
from evals.servers.kube.kinds import kinds_of
from evals.world.manifests import entries, mapping, text
from tools.errors import NotFound, NotServed, PlumblineError
from tools.types import Discovery, JsonObject, KindRef

ALWAYS = (KindRef(kind="Namespace"), KindRef(kind="Event"))
TAIL_LINES, TAIL_BYTES, MAX_LOGS = 500, 256 << 10, 200
"""Of one log, and logs of one recording."""
READER = "recorded-reader"
Log = tuple[str, str, str, bool]


@dataclass(slots=True)
class Reading:
    """Objects and logs on their way in."""

    kube: TappedKube
    namespaces: tuple[str, ...]
    """Empty: every namespace that was asked for."""
    objects: list[JsonObject] = field(default_factory=list)
    logs: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    async def read(self) -> Discovery:
        """Everything; returns what the cluster serves."""
        found = await self.kube.discovery()
        asked = set(self.kube.listed) | {(kind, None) for kind in ALWAYS if found.find(kind)}
        listed = self._wanted(asked, found)
        for kind, namespace in sorted(listed, key=lambda one: (str(one[0]), one[1] or "")):
            await self._list(kind, namespace)
        for kind, namespace, name in sorted(self.kube.got, key=str):
            if (kind, None) not in listed and (kind, namespace) not in listed:
                await self._get(kind, namespace, name)
        await self._read_logs()
        return found

    def _wanted(self, asked: set[tuple[KindRef, str | None]], found: Discovery) -> set[tuple[KindRef, str | None]]:
        """What to list: a whole kind stands for its namespaces, and -n for both."""
        out: set[tuple[KindRef, str | None]] = set()
        for kind, namespace in asked:
            resource = found.find(kind)
            if resource is not None and resource.namespaced and self.namespaces:
                out |= {(kind, name) for name in self.namespaces}
            elif (kind, None) not in asked or namespace is None or (kind, None) in self.kube.denied:
                out.add((kind, namespace))
        return out

    async def _list(self, kind: KindRef, namespace: str | None) -> None:
        what = f"{kind} in {namespace}" if namespace else str(kind)
        try:
            async for page in self.kube.pages(kind, namespace=namespace):
                self.objects += page.items
                if page.truncated:
                    self.left_out.append(LeftOut(what, page.truncated))
        except NotServed:
            return  # the world does not serve it either
        except PlumblineError as error:
            self.left_out.append(LeftOut(what, error.message))

    async def _get(self, kind: KindRef, namespace: str | None, name: str) -> None:
        try:
            self.objects.append(await self.kube.get(kind, namespace=namespace, name=name))
        except (NotFound, NotServed):
            return
        except PlumblineError as error:
            self.left_out.append(LeftOut(f"{kind} {namespace}/{name}", error.message))

    async def _read_logs(self) -> None:
        wanted = sorted({*self.kube.read_logs, *troubled(self.objects)})
        if len(wanted) > MAX_LOGS:
            self.left_out.append(LeftOut(f"{len(wanted) - MAX_LOGS} logs", f"at most {MAX_LOGS} are read"))
        for namespace, pod, container, previous in wanted[:MAX_LOGS]:
            name = f"{container}/previous" if previous else container
            what = f"log of {namespace}/{pod}/{name}"
            try:
                chunk = await self.kube.logs(
                    namespace=namespace,
                    pod=pod,
                    container=container,
                    tail_lines=TAIL_LINES,
                    limit_bytes=TAIL_BYTES,
                    previous=previous,
                )
            except PlumblineError as error:
                self.left_out.append(LeftOut(what, error.message))
                continue
            if chunk.body:
                self.logs[(namespace, pod, name)] = chunk.body
            if chunk.truncated or chunk.body.count(b"\n") >= TAIL_LINES:
                self.left_out.append(LeftOut(what, f"only its last {TAIL_LINES} lines or {TAIL_BYTES:,} bytes"))


def troubled(objects: Iterable[JsonObject]) -> set[Log]:
    """Logs of containers that restarted, failed or do not run; those of healthy ones are not read."""
    out: set[Log] = set()
    for body in objects:
        if body.get("kind") != "Pod" or not text(body, "spec", "nodeName"):
            continue
        pod = (text(body, "metadata", "namespace"), text(body, "metadata", "name"))
        for status in entries(body, "status", "containerStatuses"):
            name, restarts = text(status, "name"), status.get("restartCount")
            ended = mapping(status, "state", "terminated")
            failed = bool(ended) and ended.get("exitCode") != 0
            if failed or restarts:
                out.add((*pod, name, False))
            if restarts and mapping(status, "lastState", "terminated"):
                out.add((*pod, name, True))
    return out


def definitions(found: Discovery) -> list[JsonObject]:
    """The kinds a world does not serve by itself."""
    known = kinds_of(kubernetes=found.server_version, definitions=(), objects=())
    return [
        {
            "group": one.group,
            "version": one.version,
            "kind": one.kind,
            "plural": one.plural,
            "namespaced": one.namespaced,
        }
        for one in sorted(found.resources, key=lambda one: (one.group, one.kind))
        if (one.group, one.version, one.plural) not in known.by_path and "/" not in one.plural
    ]


def access(kube: TappedKube, found: Discovery) -> JsonObject:
    """Access rules under which the same questions are refused; {} where none was."""
    denied = {str(kind) for kind, namespace in kube.denied if namespace is None}
    if not kube.denied:
        return {}
    plurals = sorted(
        {one.plural for one in found.resources if str(KindRef(group=one.group, kind=one.kind)) not in denied}
    )
    rules: list[JsonObject] = [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": [*plurals, "pods/log"]}
    ]
    for kind, namespace in sorted(kube.listed - kube.denied, key=str):
        resource = found.find(kind)
        if namespace is not None and str(kind) in denied and resource is not None:
            rules.append(
                {
                    "verbs": ["get", "list", "watch"],
                    "apiGroups": [kind.group],
                    "resources": [resource.plural],
                    "namespaces": [namespace],
                }
            )
    return {"tokens": {"recorded-token": {"user": READER, "groups": []}}, "rules": {READER: list(rules)}}
