"""What a scripted model can know: the case and the results in the text of a request, read as a model would read them.

Rules: only the messages and the tools of the request, never the world behind them; a line that is not understood is
left out, because a persona has to live with whatever a prompt looks like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from evals.servers.model.script import ChatRequest
from tools.types import UNREAD, JsonObject

LONGEST_CITE = 280
"""Characters of a citation; a longer one is shortened to the evidence's id."""
_CITED = re.compile(r"(?P<text>.*?)\s*(?P<cites>(?:\[E\d{1,6}[^\]]*\])+)(?:\+\d+)?\s*$")
_FINDING = re.compile(r"(?P<cause>[A-Z]\d{2}) (?P<role>root|contributing), .*?: (?P<title>.+)")
_EXCLUDED = re.compile(r"(?P<cause>[A-Z]\d{2}) on (?P<subject>\S+): (?P<because>.+)")
_ENTRY = re.compile(r"\b(E\d{1,6}) ([^,\n]+)")
_HEADER = re.compile(r"(?P<id>E\d{1,6}) (?P<tool>[a-z_]+) · (?P<asked>.*) · (?P<rows>\d+) rows? · (?P<status>[a-z]+)\b")
_SHARED = re.compile(r'([\w./-]+)=("[^"]*"|\S+)')
_MORE = re.compile(r"\d+ more rows?;")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and the citations that stand behind it."""

    text: str
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeenFinding:
    """A finding of the checks."""

    cause: str
    role: str
    title: str
    seen: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Excluded:
    """A neighbour that the checks ruled out."""

    cause: str
    subject: str
    because: Statement


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of evidence in the index."""

    id: str
    what: str
    read: bool
    """False where it was denied, unavailable or failed."""


@dataclass(frozen=True, slots=True)
class SeenCase:
    """The case of the first user message."""

    question: str
    scope: str
    findings: tuple[SeenFinding, ...]
    ruled_out: tuple[Excluded, ...]
    checked: tuple[Statement, ...]
    missing: tuple[str, ...]
    evidence: tuple[Entry, ...]
    queries: frozenset[str]
    alone: bool
    """True where no check ran and the judgement is the model's."""
    exploring: bool
    """True where no check explains the question."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a result, by its full key."""

    key: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A call of the model and the table that came back."""

    tool: str
    arguments: JsonObject
    content: str
    id: str = ""
    """Of the evidence; "" where the answer is none."""
    status: str = ""
    count: int = 0
    """Rows of the evidence, shown or not."""
    columns: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    common: Mapping[str, str] = field(default_factory=dict)
    """Labels that all rows share."""

    @property
    def read(self) -> bool:
        """True where something was asked and answered."""
        return bool(self.id) and self.status not in UNREAD


def read_case(request: ChatRequest) -> SeenCase:
    """The case in the first message of the user."""
    text = next((m.content for m in request.messages if m.role == "user"), "")
    parts = _parts(text)
    head = parts.get("", "")
    evidence = parts.get("Evidence already read", "")
    queries, _, task = parts.get("Named queries", "").partition("\n\n")
    return SeenCase(
        question=_after(head, r"^Question: (.*)$"),
        scope=_after(head, r"^Scope: (.*?)\. Now: "),
        findings=_findings(parts.get("Findings of the checks", "")),
        ruled_out=_excluded(parts.get("Ruled out", "")),
        checked=tuple(s for line in parts.get("Checked and healthy", "").splitlines() if (s := statement(line))),
        missing=tuple(line for line in parts.get("Not checked", "").splitlines() if ": " in line),
        evidence=tuple(_entries(evidence)),
        queries=frozenset(re.findall(r"[a-z][a-z0-9_]+_[a-z0-9_]+", queries)),
        alone="No checks ran" in text,
        exploring="No check explains this" in (task or queries),
    )


def _parts(text: str) -> dict[str, str]:
    """Sections by the beginning of their headings; "" is what stands before the first."""
    found: dict[str, str] = {}
    pieces = re.split(r"^# (.*)$", text, flags=re.MULTILINE)
    found[""] = pieces[0]
    for heading, body in zip(pieces[1::2], pieces[2::2], strict=True):
        found[heading.partition(" (")[0].strip()] = body.strip("\n")
    return found


def _after(text: str, pattern: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


def statement(line: str) -> Statement | None:
    """A line that ends in citations; None for any other."""
    match = _CITED.match(line.strip())
    if match is None or not match["text"]:
        return None
    cites = re.findall(r"\[(E\d{1,6}[^\]]*)\]", match["cites"])
    short = (cite if len(cite) <= LONGEST_CITE else cite.partition("/")[0] for cite in cites)
    return Statement(match["text"].strip(), tuple(dict.fromkeys(short)))


def _findings(text: str) -> tuple[SeenFinding, ...]:
    found: list[SeenFinding] = []
    for line in text.splitlines():
        if (match := _FINDING.match(line)) is not None:
            found.append(SeenFinding(match["cause"], match["role"], match["title"], ()))
        elif found and line.startswith("  seen: ") and (seen := statement(line.removeprefix("  seen: "))):
            last = found[-1]
            found[-1] = SeenFinding(last.cause, last.role, last.title, (*last.seen, seen))
    return tuple(found)


def _excluded(text: str) -> tuple[Excluded, ...]:
    found = []
    for line in text.splitlines():
        match = _EXCLUDED.match(line)
        because = statement(match["because"]) if match else None
        if match is not None and because is not None:
            found.append(Excluded(match["cause"], match["subject"], because))
    return tuple(found)


def _entries(text: str) -> list[Entry]:
    """The index, whether one line holds one entry or several."""
    found = []
    for line in text.splitlines():
        for name, what in _ENTRY.findall(line):
            unread = any(word in f"{line.partition(':')[0]} {what}".lower() for word in UNREAD)
            found.append(Entry(name, what.strip(), not unread))
    return found


# --- what came back ----------------------------------------------------------------------------------------


def results(request: ChatRequest) -> list[Result]:
    """The calls made so far and what came of each, in order."""
    answers = {m.answers: m.content for m in request.messages if m.role == "tool"}
    calls = [call for message in request.messages for call in message.calls]
    return [result(call.name, arguments(call.arguments), answers.get(call.id, "")) for call in calls]


def arguments(text: str) -> JsonObject:
    """Arguments of an earlier call; {} where they are no object."""
    try:
        value: JsonValue = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def result(tool: str, args: JsonObject, content: str) -> Result:
    """A table as a model makes it out."""
    lines = content.splitlines()
    header = _HEADER.match(lines[0]) if lines else None
    if header is None:
        return Result(tool, args, content)
    columns, rows, common = _grid(lines[1:])
    return Result(tool, args, content, header["id"], header["status"], int(header["rows"]), columns, rows, common)


def _grid(lines: Sequence[str]) -> tuple[tuple[str, ...], tuple[Line, ...], dict[str, str]]:
    """(columns, rows, shared labels): the first line with borders names the columns, headings name namespaces."""
    columns: tuple[str, ...] | None = None
    rows: list[Line] = []
    common: dict[str, str] = {}
    space = ""
    for line in lines:
        if line.startswith("all rows: "):
            common.update((name, value.strip('"')) for name, value in _SHARED.findall(line))
        elif match := re.fullmatch(r"in (\S+)/:", line):
            space = match[1]
        elif "|" in line and columns is None:
            columns = tuple(name.partition(" (")[0] for name in line.split("|")[1:])
        elif columns is not None and line and not _MORE.match(line):
            key, *cells = line.split("|")
            rows.append(Line(f"{space}/{key}" if space else key, tuple(cells)))
    return columns or (), tuple(rows), common
