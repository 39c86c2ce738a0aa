"""What was kept: sessions, evidence, the audit chain; and which versions wrote it."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from agent.events import EVENT, Answered
from agent.render import contract, terminal
from agent.render.answer import answer
from agent.render.document import Document, Span
from agent.render.evidence import evidence as evidence_document
from agent.settings import Settings, load_settings
from agent.store.sqlite import SqliteStore
from plumbline.asking import colored, columns
from plumbline.cli import FAILED, program
from plumbline.outcome import put, say
from plumbline.progress import Progress
from tools.audit import entries, verify
from tools.errors import UnknownName, UserError
from tools.fields import rfc3339

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
    rows = store.sessions()
    if arguments.output == "json":
        body = {"apiVersion": contract.API_VERSION, "kind": "SessionList"}
        put(contract.as_json({**body, "items": [row.model_dump(mode="json") for row in rows]}))
        return 0
    document = Document()
    cells = [(r.id, rfc3339(r.started), str(r.runs), r.cluster, r.question) for r in rows]
    document.table(("SESSION", "STARTED", "RUNS", "CLUSTER", "QUESTION"), [[Span(c) for c in row] for row in cells])
    put(terminal.draw(document, width=columns(), color=colored(settings)))
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
    found = store.evidence(arguments.session, run, arguments.evidence)
    if found is None:
        known = [e.evidence for _, _, e in store.events(arguments.session, run) if e.type == "evidence_added"]
        raise UnknownName("evidence", arguments.evidence, known)
    if arguments.output == "json":
        put(contract.as_json(found.model_dump(mode="json")))
    else:
        put(terminal.draw(evidence_document(found), width=columns(), color=colored(settings)))
    return 0


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


def version(arguments: argparse.Namespace) -> int:
    """Versions."""
    found = {"plumbline": _version("plumbline"), "python": sys.version.split()[0]}
    found |= {name: _version(name) for name in STANDS_ON}
    if arguments.output == "json":
        put(contract.as_json({"apiVersion": contract.API_VERSION, "kind": "Version", **found}))
    else:
        put("".join(f"{name:24} {number}\n" for name, number in found.items()))
    return 0


def _version(name: str) -> str:
    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"
