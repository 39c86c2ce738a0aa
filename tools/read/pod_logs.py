"""Reads the end of one container's log, line by line. Bounded, not necessarily UTF-8, and untrusted text."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tools import fields
from tools.arguments import Container, Name, Namespace, family_of, kind_scope, kubectl
from tools.projection.marks import Hidden, long
from tools.types import Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits

LIMIT_BYTES = 256 << 10
"""Bytes of log read in one call."""
_LOG = KindRef(kind="Pod/log")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/=\s]{40,100}")


class Args(Frozen):
    """Which log, and how much of its end."""

    namespace: Namespace
    pod: Name
    container: Container = ""
    tail_lines: Annotated[int, Field(ge=1, le=2000)] = 200
    previous: bool = False


async def _read(args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    chunk = await ports.kube.logs(
        namespace=args.namespace,
        pod=args.pod,
        container=args.container,
        tail_lines=args.tail_lines,
        limit_bytes=LIMIT_BYTES,
        previous=args.previous,
    )
    lines = chunk.body.decode("utf-8", errors="replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    truncated = f"only {LIMIT_BYTES >> 10} KiB of the log were read; ask for fewer lines" if chunk.truncated else ""
    items: list[JsonObject] = [
        {"line": number, "text": text} for number, text in enumerate(_without_keys(lines[-args.tail_lines :]), 1)
    ]
    yield Page(items, truncated=truncated)


def _without_keys(lines: list[str]) -> list[str]:
    """Private keys stand over many lines, where no pattern sees them: their lines are hidden here."""
    shown = list(lines)
    begun = -1
    for number, line in enumerate(lines):
        if "-----BEGIN" in line and "PRIVATE KEY" in line:
            begun = number
        elif "-----END" in line and "PRIVATE KEY" in line:
            first = begun + 1 if begun >= 0 else _start_of_base64(lines, number)
            shown[first:number] = [Hidden(text) for text in lines[first:number]]
            begun = -1
    if begun >= 0:
        shown[begun + 1 :] = [Hidden(text) for text in lines[begun + 1 :]]
    return shown


def _start_of_base64(lines: list[str], end: int) -> int:
    """First line of a key of which the log's tail shows only the end."""
    while end > 0 and _BASE64_LINE.search(lines[end - 1]):
        end -= 1
    return end


def _project(args: Args, item: JsonObject) -> Row | None:
    text = item.get("text")
    shown = text if isinstance(text, Hidden) else long(fields.text(item, "text"))
    return Row(key=f"L{item.get('line')}", namespace=args.namespace, data={"text": shown})


def _describe(args: Args, _ports: Ports) -> str:
    container = f"-c {args.container}" if args.container else ""
    previous = "--previous" if args.previous else ""
    line = kubectl("logs", _LOG, args.namespace, args.pod, container, f"--tail={args.tail_lines}", previous)
    return line.replace(" pod/log", "")


TOOL = ToolSpec(
    name="pod_logs",
    summary="The last lines of one container's log, also of its previous run.",
    args=Args,
    source="kubernetes",
    trust="text",
    wire="interactive",
    scope_of=lambda args: kind_scope(_LOG, args.namespace, args.pod),
    describe=_describe,
    family=family_of("logs"),
    read=_read,
    project=_project,
    touches=("Pod/log",),
)
