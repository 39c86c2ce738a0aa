"""From a folder of files to a world, and a scenario that asks it.

Rules: every file is read, or named with the reason why not; nothing outside the folder is read; of an object given
twice the newer is kept, and a whole one before one that was described; Secrets are never written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from evals.importing import described, logs, manifests, metrics
from evals.importing.case import FILE, Case, expectation, read_case
from evals.importing.files import Files, walk
from evals.recording.writer import LeftOut, Recorded, Written, write_world
from evals.rundir import write
from evals.servers.kube.kinds import kinds_of
from evals.types import Expectation
from evals.world.manifests import Identity, identity_of, printed
from evals.world.model import Key, RawSeries, key_of
from evals.world.samples import commonest_step
from tools import fields
from tools.errors import DocumentError, SettingsError
from tools.types import JsonObject

_MOMENTS = frozenset({
    "creationTimestamp", "eventTime", "finishedAt", "lastHeartbeatTime", "lastProbeTime", "lastTimestamp",
    "lastTransitionTime", "lastUpdateTime", "renewTime", "startTime", "startedAt", "time",
})  # fmt: skip
"""Fields of objects that say when something was; others, such as the end of a certificate, lie ahead."""


NO_METRICS: JsonObject = {
    "server": "prom",
    "status": 503,
    "body": '{"status": "error", "errorType": "unavailable", "error": "the case holds no metrics"}',
}
"""How the Prometheus of a case without metrics answers: what was not captured is not absent."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a case."""

    world: Written
    scenario: Path
    expect: Expectation


def import_case(folder: Path, out: Path) -> Imported:
    """Write `out/NAME` and `out/NAME.yaml`. Raises SettingsError and DocumentError; then nothing is left behind."""
    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder", hint="give a folder of files of kubectl, logs and metrics")
    case = read_case(folder)
    name = case.name or _name(folder)
    world, scenario = out / name, out / f"{name}.yaml"
    if scenario.exists():
        raise SettingsError(f"{scenario} is there already", hint="name another folder; nothing is ever overwritten")
    expect = expectation(case)
    found = Importing(folder, case).read()
    out.mkdir(parents=True, exist_ok=True)
    done = write_world(world, found)
    write(scenario, scenario_text(name, case, expect))
    return Imported(done, scenario, expect)


def scenario_text(name: str, case: Case, expect: Expectation) -> str:
    """The scenario's file."""
    told: dict[str, JsonValue] = {"world": f"./{name}"}
    told |= {"question": case.question} if case.question else {"families": ["gpu", "drift"]}
    told |= {"namespace": case.namespace} if case.namespace else {}
    told["expect"] = expect.model_dump(mode="json", exclude_defaults=True)
    told["tags"] = ["imported"]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items())


def _name(folder: Path) -> str:
    """The folder's name as a name of a world."""
    kept = "".join(one if one.isalnum() and one.isascii() else "-" for one in folder.resolve().name.lower()).strip("-")
    return kept[:60].strip("-") or "imported"


@dataclass(slots=True)
class Importing:
    """A folder on its way to a world."""

    folder: Path
    case: Case
    left_out: list[LeftOut] = field(default_factory=list)
    objects: dict[Identity, JsonObject] = field(default_factory=dict)
    points: dict[Key, dict[float, float]] = field(default_factory=dict)

    def read(self) -> Recorded:
        """Everything. Raises SettingsError where there is nothing, or no moment."""
        files = walk(self.folder)
        self.left_out += files.left_out
        self._whole(files)
        self._metrics(files)
        told = {name: list(described.objects(text)) for name, text in files.read(files.described)}
        moments = self._moments(one.body for held in told.values() for one in held if not isinstance(one, str))
        now = self.case.moment or max(moments, default=None)
        if now is None and (self.objects or self.points or any(told.values())):
            hint = f"write it to {FILE}: now: 2026-05-12T14:00:00Z"
            raise SettingsError(f"no file in {self.folder} says when it was captured", hint=hint)
        for name, held in told.items():
            self._describe(name, held, now or 0.0)
        if not self.objects and not self.points:
            first = "; ".join(f"{one.what}: {one.why}" for one in self.left_out[:3])
            raise SettingsError(
                f"{self.folder} holds no object and no series that can be read", hint=first or "it is empty"
            )
        return self._recorded(files, int(now or 0.0))

    def _recorded(self, files: Files, now: int) -> Recorded:
        series = list(self._series(now))
        return Recorded(
            description=self.case.description or f"Imported from {self.folder.resolve().name}.",
            now=now,
            kubernetes=self.case.kubernetes,
            prometheus=self.case.prometheus,
            sample_interval=commonest_step(one.times for one in series) or 30.0,
            objects=list(self.objects.values()),
            series=series,
            logs=self._logs(files),
            definitions=list(definitions(self.objects, self.case.kubernetes)),
            faults=[] if series else [NO_METRICS],
            left_out=[*self.left_out, *([] if series else [LeftOut("every series", "no file holds metrics")])],
        )

    def _whole(self, files: Files) -> None:
        for name, text in files.read(files.manifests):
            try:
                for body in manifests.objects(text, name):
                    if metrics.is_answer(body):
                        self._add(name, metrics.answered(body, name))
                    elif manifests.is_manifest(body):
                        self._keep(body, name)
                    else:
                        self.left_out.append(LeftOut(name, "holds something without apiVersion, kind and name"))
            except DocumentError as error:
                self.left_out.append(LeftOut(name, str(error)))

    def _keep(self, body: JsonObject, name: str) -> None:
        identity = identity_of(body)
        other = self.objects.get(identity)
        if other is not None and other != body:
            self.left_out.append(LeftOut(f"{printed(identity)} once more, {name}", "of two the newer is kept"))
        if other is None or _version(body) > _version(other):
            self.objects[identity] = body

    def _describe(self, name: str, told: Sequence[described.Described | str], now: float) -> None:
        """What is described, where the object itself is not there."""
        partial = False
        for one in told:
            if isinstance(one, str):
                self.left_out.append(LeftOut(name, one))
                continue
            for body in one.at(now):
                if (identity := identity_of(body)) not in self.objects:
                    self.objects[identity] = body
                    partial = True
        if partial:
            self.left_out.append(LeftOut(name, "describe prints a part of each object: no uid, no managedFields, …"))

    def _metrics(self, files: Files) -> None:
        for name, text in files.read(files.csv):
            self._add(name, metrics.table(text, name))
        for name, text in files.read(files.metrics):
            self._add(name, metrics.exposed(text, name))

    def _add(self, name: str, series: Iterable[RawSeries]) -> None:
        """All series of a file, or none."""
        try:
            found = list(series)
        except DocumentError as error:
            self.left_out.append(LeftOut(name, str(error)))
            return
        for one in found:
            held = self.points.setdefault(key_of(one.labels), {})
            held.update(zip(one.times, one.values, strict=True))

    def _series(self, now: float) -> Iterator[RawSeries]:
        late = 0
        for key, held in self.points.items():
            kept = {at: value for at, value in held.items() if at <= now}
            late += len(held) - len(kept)
            if kept:
                yield RawSeries.of(dict(key), kept)
        if late:
            self.left_out.append(LeftOut(f"{late:,} samples", "they lie after the moment of the case"))

    def _logs(self, files: Files) -> dict[logs.Key, bytes]:
        pods = logs.by_name(self.objects.values())
        found: dict[logs.Key, bytes] = {}
        for path in files.texts:
            raw, name = path.read_bytes(), files.name(path)
            if not raw.strip():
                continue
            own = dict(logs.logs(path.relative_to(self.folder), raw, pods))
            if not own and not logs.is_dump(raw):
                why = "neither a text of kubectl describe nor a log of a pod: name logs NAMESPACE/POD/CONTAINER.log"
                self.left_out.append(LeftOut(name, why))
            found |= own
        return found

    def _moments(self, more: Iterable[JsonObject]) -> Iterator[float]:
        """When something was, as far as the files say."""
        yield from (max(held) for held in self.points.values() if held)
        stack: list[JsonValue] = [*self.objects.values(), *more]
        while stack:
            node = stack.pop()
            if isinstance(node, dict):
                yield from (at for key in _MOMENTS & node.keys() if (at := fields.timestamp(node[key])) is not None)
                stack.extend(node.values())
            elif isinstance(node, list):
                stack.extend(node)


def definitions(objects: Mapping[Identity, JsonObject], kubernetes: str) -> Iterator[JsonObject]:
    """The kinds that a world does not serve by itself; without their definition plurals are formed as most are."""
    known = kinds_of(kubernetes=kubernetes, definitions=(), objects=objects.values())
    served = {(one.group, one.kind) for one in known.by_path.values()}
    for (group, kind), identity in {(one[0], one[1]): one for one in sorted(objects, reverse=True)}.items():
        if (group, kind) not in served:
            lower = kind.lower()
            plural = f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}{'es' if lower.endswith('s') else 's'}"
            version = fields.text(objects[identity], "apiVersion").rpartition("/")[2]
            scope: JsonObject = {"plural": plural, "namespaced": bool(identity[2])}
            yield {"group": group, "version": version, "kind": kind, **scope}


def _version(body: JsonObject) -> int:
    text = fields.text(body, "metadata", "resourceVersion")
    return int(text) if text.isdecimal() and len(text) < 20 else 0
