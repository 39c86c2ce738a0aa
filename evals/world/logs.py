"""Container logs of a world, rendered when they are read.

Files are `logs/NAMESPACE/WHO/CONTAINER.log`, and `…/CONTAINER/previous.log` for the one before a restart. WHO is a pod,
a controller (all its pods) or `CONTROLLER.INDEX` (one of them); the more exact one wins. A line may begin with
`@-5m ` (its timestamp) or `@-10m..0s/10s ` (the line every 10 s); `${pod}`, `${node}`, `${index}` and, in repeated
lines, `${n}` are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from evals.world.exporters.context import Context, PodRecord
from evals.world.layers import MAX_LOG, Layer
from evals.world.times import anchor_log, relative, seconds_of
from tools.errors import DocumentError

Key = tuple[str, str, str]
MAX_REPEATS = 20_000
_DURATION = r"[-+]?(?:\d+(?:\.\d+)?(?:ms|[wdhms]))+"
_TIMED = re.compile(rf"@({_DURATION}) ")
_REPEATED = re.compile(rf"^@({_DURATION})\.\.({_DURATION})/({_DURATION}) (.*)$", re.MULTILINE)


class Logs(Mapping[Key, bytes]):
    """(namespace, pod, container or container/previous) → log, anchored."""

    def __init__(self, files: Mapping[Key, tuple[bytes, PodRecord | None]], anchor: float) -> None:
        self._files, self._anchor = files, anchor

    def __getitem__(self, key: Key) -> bytes:
        raw, pod = self._files[key]
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return raw
        if pod is not None:
            for name, value in (("pod", pod.name), ("node", pod.node), ("index", str(pod.index))):
                text = text.replace(f"${{{name}}}", value)
        return anchor_log(_in_order(_REPEATED.sub(_repeat, text)), self._anchor).encode()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _in_order(text: str) -> str:
    """Lines by time; one without a time stays behind the line before it."""
    latest = -float("inf")
    keyed: list[tuple[float, str]] = []
    for line in text.splitlines(keepends=True):
        found = _TIMED.match(line)
        latest = seconds_of(found[1]) if found else latest
        keyed.append((latest, line if line.endswith("\n") else line + "\n"))
    return "".join(line for _, line in sorted(keyed, key=lambda pair: pair[0]))


def _repeat(match: re.Match[str]) -> str:
    first, last, step = (seconds_of(match[number]) for number in (1, 2, 3))
    if step <= 0 or (last - first) / step > MAX_REPEATS:
        return match[0]
    count = int((last - first) / step) + 1
    return "\n".join(
        f"{relative(first + number * step)} {match[4].replace('${n}', str(number))}" for number in range(count)
    )


def collect(layers: Sequence[Layer], context: Context) -> dict[Key, tuple[bytes, PodRecord | None]]:
    """Every log of every layer with the pod it belongs to. Raises DocumentError."""
    pods: dict[tuple[str, str], list[PodRecord]] = {}
    by_name: dict[tuple[str, str], PodRecord] = {}
    for pod in context.pods:
        by_name[(pod.namespace, pod.name)] = pod
        for owner in {owner[3] for owner in pod.owners}:
            pods.setdefault((pod.namespace, owner), []).append(pod)
    ranked: dict[Key, tuple[int, bytes, PodRecord | None]] = {}
    for layer in layers:
        for path in layer.logs:
            namespace, who, *rest = path.relative_to(layer.folder / "logs").with_suffix("").parts
            if path.stat().st_size > MAX_LOG:
                raise DocumentError(str(path), None, "", f"a log of a world has at most {MAX_LOG:,} bytes")
            body = path.read_bytes()
            rank, owners = _owners(who, namespace, pods, by_name)
            for pod in owners:
                key = (namespace, pod.name, "/".join(rest))
                if key not in ranked or ranked[key][0] <= rank:
                    ranked[key] = (rank, body, pod)
            if not owners:
                ranked[(namespace, who, "/".join(rest))] = (2, body, None)
    return {key: (body, pod) for key, (_, body, pod) in ranked.items()}


def _owners(
    who: str,
    namespace: str,
    pods: Mapping[tuple[str, str], list[PodRecord]],
    by_name: Mapping[tuple[str, str], PodRecord],
) -> tuple[int, list[PodRecord]]:
    exact = by_name.get((namespace, who))
    if exact is not None:
        return 2, [exact]
    group = pods.get((namespace, who))
    if group is not None:
        return 0, group
    controller, _, index = who.rpartition(".")
    numbered = [pod for pod in pods.get((namespace, controller), ()) if str(pod.index) == index]
    return 1, numbered
