"""What was kept: sessions, evidence, the audit chain; and which versions wrote it."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from agent.events import EVENT, Answered
from agent.render import terminal
from agent.render.answer import answer
from agent.render.document import clean
from agent.settings import Settings, load_settings
from agent.store.sqlite import SqliteStore
from plumbline.asking import colored, columns
from plumbline.cli import FAILED
from plumbline.progress import Progress
from tools.audit import verify
from tools.errors import UnknownName, UserError
from tools.fields import rfc3339

STANDS_ON = ("langgraph", "openai", "kubernetes", "prometheus-api-client", "promql-parser", "pydantic", "textual")


def _store() -> tuple[Settings, SqliteStore]:
    settings = load_settings({})
    return settings, SqliteStore(settings.state_dir)


def _run_of(store: SqliteStore, session: str, run: int | None) -> int:
    last = store.last_run(session)
    if last is None:
        raise UnknownName("session", session, [row.id for row in store.sessions()])
    if run is not None and not 1 <= run <= last:
        raise UserError(f"session {session} has no run {run}", hint=f"its runs are 1 to {last}")
    return run or last


def sessions(_arguments: argparse.Namespace) -> int:
    """List sessions, newest first."""
    _, store = _store()
    for row in store.sessions():
        print(
            f"{row.id:14} {rfc3339(row.started)}  {clean(row.cluster)[:24]:24} {row.runs:3}  {clean(row.question)[:80]}"
        )
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Play a stored run into the renderer that drew it first."""
    _, store = _store()
    run = _run_of(store, arguments.session, arguments.run)
    events = [event for _, _, event in store.events(arguments.session, run)]
    if arguments.output == "json":
        items = [EVENT.dump_python(event, mode="json") for event in events]
        body = {"apiVersion": "plumbline.dev/v1alpha1", "kind": "EventList", "session": arguments.session, "run": run}
        print(json.dumps({**body, "items": items}, indent=2, ensure_ascii=False))
        return 0
    progress = Progress(verbose=True)
    for event in events:
        progress.hear(event)
        if isinstance(event, Answered):
            progress.close()
            sys.stdout.write(terminal.draw(answer(event.diagnosis), width=columns(), color=colored(arguments)))
    progress.close()
    return 0


def evidence(arguments: argparse.Namespace) -> int:
    """Show one piece of evidence, row by row."""
    _, store = _store()
    run = _run_of(store, arguments.session, arguments.run)
    found = store.evidence(arguments.session, run, arguments.evidence)
    if found is None:
        known = [e.evidence for _, _, e in store.events(arguments.session, run) if e.type == "evidence_added"]
        raise UnknownName("evidence", arguments.evidence, known)
    print(f"{found.id}  {clean(found.query)}")
    print(
        f"    {found.source} · {found.status} · {len(found.rows)} rows · {rfc3339(found.observed_at)} · {found.trust}"
    )
    for row in found.rows:
        print(f"{clean(row.key)}\t{clean(json.dumps(row.data, ensure_ascii=False, sort_keys=True))}")
    return 0


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the hash chain."""
    settings = load_settings({})
    result = verify(settings.state_dir / "audit.jsonl", head=arguments.head)
    print(clean(str(result)))
    return 0 if result.ok else FAILED


def version(arguments: argparse.Namespace) -> int:
    """Versions."""
    found = {"plumbline": _version("plumbline"), "python": sys.version.split()[0]}
    found |= {name: _version(name) for name in STANDS_ON}
    if arguments.output == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, number in found.items():
            print(f"{name:24} {number}")
    return 0


def _version(name: str) -> str:
    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"
