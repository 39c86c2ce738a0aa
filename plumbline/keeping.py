"""What was kept: sessions, evidence, the audit chain; and which versions wrote it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator

from agent import commands, history
from agent.events import EVENT, Answered, Event
from agent.render import contract, terminal, transcript
from agent.render.answer import answer
from agent.render.evidence import cited_value
from agent.render.evidence import evidence as evidence_document
from agent.settings import Settings, load_settings
from agent.store.sqlite import SqliteStore
from plumbline.asking import colored, columns
from plumbline.cli import FAILED, program
from plumbline.outcome import put, say
from plumbline.progress import Progress
from plumbline.versions import version_of
from tools import fields
from tools.audit import entries, verify
from tools.errors import SettingsError, TargetError, UnknownName, UserError
from tools.types import Evidence, EvidenceRef, JsonObject

STANDS_ON = ("langgraph", "openai", "kubernetes", "prometheus-api-client", "promql-parser", "pydantic", "textual")


def _store(arguments: argparse.Namespace | None = None) -> tuple[Settings, SqliteStore]:
    settings = load_settings({"color": "never" if getattr(arguments, "no_color", False) else None})
    return settings, SqliteStore(settings.state_dir)


def _run_of(store: SqliteStore, session: str, run: int | None) -> int:
    last = store.last_run(session)
    if last is None:
        raise UnknownName("session", session, [row.id for row in store.sessions()])
    if run is not None and not 1 <= run <= last:
        raise UserError(f"session {session} has no run {run}", hint=f"its runs are 1 to {last}")
    return run or last


def sessions(arguments: argparse.Namespace) -> int:
    """List sessions, newest first."""
    settings, store = _store()
    rows = [(row, history.ending_of(store.ending(row.id, row.runs))) for row in store.sessions()]
    if arguments.output == "json":
        body = {"apiVersion": contract.API_VERSION, "kind": "SessionList"}
        put(contract.as_json({**body, "items": [{**row.model_dump(mode="json"), "state": how} for row, how in rows]}))
        return 0
    put(terminal.draw(transcript.listing(rows), width=columns(), color=colored(settings)))
    return 0


def export(arguments: argparse.Namespace) -> int:
    """A whole session as Markdown or JSON, to standard output or to a new file."""
    _, store = _store()
    text = commands.exported(store, arguments.session, arguments.output)
    if not arguments.out:
        put(text)
        return 0
    try:
        descriptor = os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{arguments.out} exists", hint="choose another file; nothing is overwritten") from None
    except OSError as error:
        raise TargetError(f"cannot write {arguments.out}: {error.strerror}", hint="choose another file") from None
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Play a stored run into the renderer that drew it first."""
    settings, store = _store(arguments)
    run = _run_of(store, arguments.session, arguments.run)
    events = [event for _, _, event in store.events(arguments.session, run)]
    if arguments.output == "json":
        body = {"apiVersion": contract.API_VERSION, "kind": "EventList", "session": arguments.session, "run": run}
        put(contract.as_json({**body, "items": [EVENT.dump_python(event, mode="json") for event in events]}))
        return 0
    progress = Progress(verbose=True)
    for event in events:
        progress.hear(event)
        if isinstance(event, Answered):
            progress.close()
            put(terminal.draw(answer(event.diagnosis), width=columns(), color=colored(settings)))
    progress.close()
    if not any(isinstance(event, Answered) for event in events):
        say(f"run {run} has no answer yet; finish it with: {program()} ask --resume {arguments.session}")
    return 0


def evidence(arguments: argparse.Namespace) -> int:
    """Show one piece of evidence, row by row."""
    settings, store = _store(arguments)
    run = _run_of(store, arguments.session, arguments.run)
    name, _, rest = arguments.evidence.partition("/")
    found = _evidence_of(store, arguments.session, run, name.upper())
    if found is None:
        known = [e.evidence for _, _, e in store.events(arguments.session, run) if e.type == "evidence_added"]
        raise UnknownName("evidence", name, known)
    if rest:
        return _value(found, rest, settings)
    if arguments.output == "json":
        put(contract.as_json(found.model_dump(mode="json")))
    else:
        cited = _cited(store.ending(arguments.session, run))
        put(terminal.draw(evidence_document(found, cited=cited), width=columns(), color=colored(settings)))
    return 0


def _cited(ending: Event | None) -> list[EvidenceRef]:
    """What the answer of a run quotes."""
    return [ref for claim in ending.diagnosis.claims for ref in claim.refs] if isinstance(ending, Answered) else []


def _value(found: Evidence, rest: str, settings: Settings) -> int:
    """Show what a citation names, whole."""
    document = cited_value(found, rest)
    if document is None:
        raise UnknownName("row or field", rest, [row.key for row in found.rows])
    put(terminal.draw(document, width=columns(), color=colored(settings)))
    return 0


def _evidence_of(store: SqliteStore, session: str, run: int, name: str) -> Evidence | None:
    """Evidence of a run, or of the run that it was answered from."""
    found = store.evidence(session, run, name)
    source = store.notes(session, run).get(history.FROM_RUN)
    return found or (store.evidence(session, int(source), name) if source else None)


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the hash chain, the head given, and the heads that finished runs kept in the store."""
    settings = load_settings({})
    path = settings.state_dir / "audit.jsonl"
    result = verify(path, head=arguments.head)
    if result.ok and (settings.state_dir / "plumbline.db").exists():
        kept = SqliteStore(settings.state_dir).heads() - {str(entry.get("hash")) for entry in entries(path)}
        if kept:
            say(f"{path}: {len(kept)} entries that finished runs kept are gone: the end of the log was cut")
            return FAILED
    if result.ok:
        put(f"ok: {result.entries} entries, head {result.head}\n")
        return 0
    say(f"{path}, line {result.line or '?'}: {result.problem}")
    return FAILED


def audit_show(arguments: argparse.Namespace) -> int:
    """The newest entries, oldest of them first."""
    kept = [entry for entry in _audited() if _is_about(entry, arguments.proposal)][-max(1, arguments.limit) :]
    for entry in kept:
        body = fields.mapping(entry, "body")
        told = " ".join(f"{name}={json.dumps(value, ensure_ascii=True)[:80]}" for name, value in body.items())
        put(f"{fields.number(entry, 'seq') or 0:g}  {fields.text(entry, 'kind'):14} {told}\n")
    return 0


def audit_export(arguments: argparse.Namespace) -> int:
    """Every entry as a line of JSON. Fails where the chain is broken: half a log is no evidence."""
    result = verify(load_settings({}).state_dir / "audit.jsonl")
    if not result.ok:
        say(f"line {result.line or '?'}: {result.problem}")
        return FAILED
    for entry in _audited():
        if _is_about(entry, arguments.proposal):
            put(f"{json.dumps(entry, ensure_ascii=True, sort_keys=True)}\n")
    say(f"{result.entries} entries, head {result.head}")
    return 0


def _audited() -> Iterator[JsonObject]:
    path = load_settings({}).state_dir / "audit.jsonl"
    if not path.exists():
        raise SettingsError(f"there is no audit log at {path}", hint="nothing was asked from this state directory yet")
    yield from entries(path)


def _is_about(entry: JsonObject, proposal: str | None) -> bool:
    return not proposal or fields.text(entry, "body", "proposal").startswith(proposal.lower())


def version(arguments: argparse.Namespace) -> int:
    """Versions."""
    found = {"plumbline": version_of("plumbline"), "python": sys.version.split()[0]}
    found |= {name: version_of(name) for name in STANDS_ON}
    if arguments.output == "json":
        put(contract.as_json({"apiVersion": contract.API_VERSION, "kind": "Version", **found}))
    else:
        put("".join(f"{name:24} {number}\n" for name, number in found.items()))
    return 0
