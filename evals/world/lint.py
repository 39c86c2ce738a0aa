"""What is wrong with a world: mistakes of writing, and objects that could not exist together.

Rules: every check is a function that yields DocumentErrors with file, line and field; a world that cannot be read at
all gives its first mistake. Profiles, overrides and drops of the topmost layer that touch nothing are mistakes too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from evals.world.compose import Made
from evals.world.exporters.context import GPU, MIG_PREFIX, Context
from evals.world.exporters.devices import gpus_of
from evals.world.layers import known_worlds
from evals.world.load import Blueprint, blueprint
from evals.world.manifests import Identity, entries, mapping, printed, text, uid_of
from evals.world.metrics import read_metrics
from evals.world.places import Place
from evals.world.profiles import Subject
from evals.world.quantity import amount
from evals.world.reactions import Patch, Pods, Shift
from evals.world.series import Pattern
from tools.documents import field_name, nearest
from tools.errors import DocumentError, UserError
from tools.types import JsonObject

MAX_ERRORS = 200
Check = Callable[[Blueprint], Iterator[DocumentError]]


def lint(path: str | Path) -> list[DocumentError]:
    """Every mistake found in the world of that name or folder, at most 200. An empty list is a sound world."""
    try:
        plan = blueprint(str(path))
        recorded = plan.setting("recorded").flag(default=False)
        found = [error for check in (RECORDED_CHECKS if recorded else CHECKS) for error in check(plan)]
        return found[:MAX_ERRORS]
    except DocumentError as error:
        return [error]
    except UserError as error:
        return [DocumentError(str(path), None, "", str(error))]


def _error(made: Made, path: tuple[str | int, ...], problem: str) -> DocumentError:
    place = made.place
    where = (*place.path, *path)
    about = f"{printed(made.identity)} {problem}"
    return DocumentError(place.file, nearest(place.lines, where), field_name(path), about)


# --- objects -----------------------------------------------------------------------------------------------


def _owners(plan: Blueprint) -> Iterator[DocumentError]:
    objects = plan.composition.objects
    uids = {text(made.body, "metadata", "uid"): made.identity for made in objects.values()}
    for made in objects.values():
        for number, owner in enumerate(entries(made.body, "metadata", "ownerReferences")):
            at = ("metadata", "ownerReferences", number)
            identity = uids.get(text(owner, "uid"))
            if identity is None:
                yield _error(made, at, f"is owned by {text(owner, 'kind')}/{text(owner, 'name')}, which does not exist")
            elif (identity[1], identity[3]) != (text(owner, "kind"), text(owner, "name")):
                yield _error(made, at, f"names an owner whose uid belongs to {printed(identity)}")


def _namespaces(plan: Blueprint) -> Iterator[DocumentError]:
    objects = plan.composition.objects
    for made in objects.values():
        namespace = made.identity[2]
        if namespace and ("", "Namespace", "", namespace) not in objects:
            yield _error(made, ("metadata", "namespace"), f"lies in namespace {namespace}, which does not exist")


def _placement(plan: Blueprint) -> Iterator[DocumentError]:
    """Pods on nodes that exist, and no node with more devices requested than it can give."""
    objects = plan.composition.objects
    used: dict[tuple[str, str], float] = {}
    for made in objects.values():
        node = text(made.body, "spec", "nodeName")
        if made.identity[1] != "Pod" or not node:
            continue
        host = objects.get(("", "Node", "", node))
        if host is None:
            yield _error(made, ("spec", "nodeName"), f"runs on node {node}, which does not exist")
            continue
        if text(made.body, "status", "phase") in ("Succeeded", "Failed"):
            continue
        for resource, wanted in _devices(made.body).items():
            total = used[(node, resource)] = used.get((node, resource), 0.0) + wanted
            room = amount(mapping(host.body, "status", "allocatable").get(resource)) or 0.0
            if total > room >= total - wanted:
                problem = f"asks for {wanted:g} {resource} on {node}: {total:g} of {room:g} would be taken"
                yield _error(made, ("spec", "containers"), problem)


def _devices(pod: JsonObject) -> dict[str, float]:
    out: dict[str, float] = {}
    for container in entries(pod, "spec", "containers"):
        for name, value in mapping(container, "resources", "requests").items():
            if name.startswith((GPU, MIG_PREFIX)):
                out[name] = out.get(name, 0.0) + (amount(value) or 0.0)
    return out


def _selectors(plan: Blueprint) -> Iterator[DocumentError]:
    """Controllers select their own template; a Service selects some pod, or what a controller would make."""
    bodies = list(plan.composition.objects.values())
    selectable = [made for made in bodies if made.identity[1] == "Pod" or made.identity[:2] in _CONTROLLERS]
    for made in bodies:
        if made.identity[:2] in _CONTROLLERS:
            wanted = mapping(made.body, "spec", "selector", "matchLabels")
            labels = mapping(made.body, "spec", "template", "metadata", "labels")
            if not wanted or not wanted.items() <= labels.items():
                yield _error(made, ("spec", "selector"), "has a selector that its own template does not match")
        elif made.identity[:2] == ("", "Service") and mapping(made.body, "spec", "selector"):
            wanted = mapping(made.body, "spec", "selector")
            if not any(_matches(one, made.identity[2], wanted) for one in selectable):
                yield _error(made, ("spec", "selector"), "selects no pod")


_CONTROLLERS = {("apps", kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")}


def _matches(made: Made, namespace: str, wanted: JsonObject) -> bool:
    """True for a pod with these labels, or a controller whose pods have them."""
    above = ("metadata",) if made.identity[1] == "Pod" else ("spec", "template", "metadata")
    return made.identity[2] == namespace and wanted.items() <= mapping(made.body, *above, "labels").items()


def _times(plan: Blueprint) -> Iterator[DocumentError]:
    """Nothing that has happened lies after the world's now."""
    context = Context((), plan.metrics, plan.now)

    def later(value: JsonValue, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from later(inner, (*path, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from later(inner, (*path, number))
        elif path and str(path[-1]) in _PAST and (context.offset(value) or 0.0) > 1.0:
            yield path

    for made in plan.composition.objects.values():
        for path in later(made.body, ()):
            yield _error(made, path, "says it happened after the world's now")


_PAST = {
    "creationTimestamp", "startTime", "startedAt", "finishedAt", "completionTime", "lastTransitionTime",
    "lastUpdateTime", "lastHeartbeatTime", "firstTimestamp", "lastTimestamp", "eventTime", "lastScaleTime",
    "lastUpdatedTime", "time", "deployedAt",
}  # fmt: skip


def _events(plan: Blueprint) -> Iterator[DocumentError]:
    objects = plan.composition.objects
    for made in objects.values():
        if made.identity[1] != "Event":
            continue
        about = mapping(made.body, "involvedObject")
        group = text(about, "apiVersion").rpartition("/")[0]
        identity: Identity = (group, text(about, "kind"), text(about, "namespace"), text(about, "name"))
        known = objects.get(identity)
        uid = text(known.body, "metadata", "uid") if known is not None else uid_of(identity)
        if text(about, "uid") not in ("", uid):
            yield _error(made, ("involvedObject", "uid"), f"is about {printed(identity)}, but with another uid")


def _directives(plan: Blueprint) -> Iterator[DocumentError]:
    """`$…` and `${…}` that nothing read."""

    def left(value: JsonValue, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith("$"):
                    yield (*path, key)
                yield from left(inner, (*path, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from left(inner, (*path, number))

    for made in plan.composition.objects.values():
        for path in left(made.body, ()):
            yield _error(made, path, f"still holds {path[-1]}, which means nothing there")


def _kinds(plan: Blueprint) -> Iterator[DocumentError]:
    """A patch of something that does not exist becomes an object without a spec or status."""
    for made in plan.composition.objects.values():
        if made.identity[1] in _NEEDS_SPEC and not mapping(made.body, "spec"):
            yield _error(made, (), "has no spec: is it a patch of an object that this world does not have?")


_NEEDS_SPEC = {"Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "HorizontalPodAutoscaler", "Node"}


# --- metrics -----------------------------------------------------------------------------------------------


def _signals(plan: Blueprint) -> Iterator[DocumentError]:
    """A signal that refers to nothing, or to itself, comes out when the signals of its subject are put together."""
    profiles = plan.metrics.profiles
    for subject in _subjects(plan):
        default = "node" if not (subject.pod or subject.hpa or subject.gpu is not None) else "serving"
        try:
            profiles.signals(subject, "hpa" if subject.hpa else default)
        except DocumentError as error:
            yield error
            return


def _idle_rules(plan: Blueprint) -> Iterator[DocumentError]:
    """Profiles, overrides and drops of the topmost layer that touch nothing."""
    top = plan.layers[-1]
    subjects = list(_subjects(plan))
    for place in top.metrics:
        metrics = read_metrics([place])
        for profile in metrics.profiles.all:
            if not any(profile.covers(subject) for subject in subjects):
                yield _at(profile.place.at("match"), "matches nothing in this world")
        names = list(plan.families)
        patterns = [*(drop.pattern for drop in metrics.rules.drops), *(o.pattern for o in metrics.rules.overrides)]
        for pattern in patterns:
            if not _touches(pattern, names):
                yield _at(place, f"no series is named {pattern.name.pattern!r}")


def _touches(pattern: Pattern, names: list[str]) -> bool:
    return any(pattern.name.fullmatch(name) for name in names)


def _subjects(plan: Blueprint) -> Iterator[Subject]:
    context = Context(plan.composition.bodies, plan.metrics, plan.now)
    for pod in context.pods:
        yield pod.subject
        for gpu in range(16 if pod.gpus else 0):
            yield replace(pod.subject, gpu=gpu)
    for name, node in context.nodes.items():
        yield Subject(node=name)
        for gpu in range(gpus_of(node)):
            yield Subject(node=name, gpu=gpu)
    for hpa in context.kind("HorizontalPodAutoscaler", "autoscaling"):
        target = text(hpa, "spec", "scaleTargetRef", "name")
        namespace, name = text(hpa, "metadata", "namespace"), text(hpa, "metadata", "name")
        yield Subject(namespace=namespace, workloads=(target,), hpa=name)


def _at(place: Place, problem: str) -> DocumentError:
    return DocumentError(place.file, nearest(place.lines, place.path), field_name(place.path), problem)


# --- folders -----------------------------------------------------------------------------------------------


def _names(plan: Blueprint) -> Iterator[DocumentError]:
    """A world is found by the name of its folder; both must agree, and it says what it shows."""
    top = plan.layers[-1]
    if top.name != top.folder.name:
        yield _at(top.settings.at("name"), f"the folder is called {top.folder.name}; a world has one name")
    if not top.settings.at("description").value:
        yield _at(top.settings, "says nothing about itself; add a description")


def _logs(plan: Blueprint) -> Iterator[DocumentError]:
    """Logs belong to containers that exist."""
    for (namespace, who, container), (_, pod) in plan.logs.items():
        file = f"logs/{namespace}/{who}/{container}.log"
        if pod is None:
            yield DocumentError(file, None, "", f"there is no pod or controller {who} in namespace {namespace}")
            continue
        names = {text(c, "name") for key in ("containers", "initContainers") for c in entries(pod.body, "spec", key)}
        if container.removesuffix("/previous") not in names:
            yield DocumentError(file, None, "", f"{pod.name} has no container {container}; it has {', '.join(names)}")


def _reactions(plan: Blueprint) -> Iterator[DocumentError]:
    """Reactions are about objects and signals that exist, and their pods go to nodes that do."""
    objects = plan.composition.objects
    known = {identity[1:] for identity in objects}
    subjects = list(_subjects(plan)) if plan.reactions else []
    for reaction in plan.reactions:
        when, place = reaction.when, reaction.place
        made = next((one for identity, one in objects.items() if when.about(identity)), None)
        if made is None:
            yield _at(place.at("when"), f"there is no {'/'.join(filter(None, (when.namespace, when.kind, when.name)))}")
        elif when.value(made.body) is None and len(when.path) > 1 and isinstance(when.path[-1], tuple):
            yield _at(place.at("when", "field"), "leads nowhere in this object")
        for number, effect in enumerate(reaction.then):
            at, does = place.at("then", number), effect.does
            if isinstance(does, Patch) and (does.kind, does.namespace, does.name) not in known:
                yield _at(at.at("patch"), f"there is no {does.kind} {does.name} to patch")
            elif isinstance(does, Shift) and not any(does.profile.covers(subject) for subject in subjects):
                yield _at(does.profile.place.at("match"), "matches nothing in this world")
            elif isinstance(does, Pods):
                for node in does.nodes:
                    if node is not None and ("Node", "", node) not in known:
                        yield _at(at.at("pods", "nodes"), f"names node {node}, which does not exist")


CHECKS: tuple[Check, ...] = (
    _names,
    _kinds,
    _directives,
    _namespaces,
    _owners,
    _placement,
    _selectors,
    _times,
    _events,
    _logs,
    _idle_rules,
    _signals,
    _reactions,
)
RECORDED_CHECKS: tuple[Check, ...] = (_names, _directives)
"""Of a world that was recorded: what does not fit together there is what the cluster looked like, not a mistake."""


def lint_all() -> dict[str, list[DocumentError]]:
    """The mistakes of every world that ships, by name; sound ones are left out."""
    found = {name: lint(name) for name in known_worlds()}
    return {name: errors for name, errors in found.items() if errors}
