"""`ask`, `diagnose` and `demo`: one question, one answer, and what is said while it is made."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from agent import commands, diagnosers, telemetry
from agent.app import App, Target
from agent.changes.adopting import adopted
from agent.events import Answered, Asked, Cancelled, Event, Failed
from agent.identity import check_mode
from agent.principal import cluster_uid
from agent.render import contract, markdown, terminal
from agent.render.answer import answer
from agent.render.document import Document, clean
from agent.session import Session
from agent.settings import Settings
from agent.store.ledger import open_ledger
from agent.store.sqlite import SqliteStore
from agent.telemetry import Telemetry
from agent.types import Diagnosis, Family, Severity
from plumbline import beside
from plumbline.cli import FAILED, FOUND, INTERRUPTED, SEVERITIES, USAGE, program, typed
from plumbline.outcome import put, say
from plumbline.progress import Progress
from plumbline.targets import lock_down, model_urls, open_target, reporting_urls, settings_of, with_metrics
from plumbline.times import duration, moment
from plumbline.versions import version_of
from tools.errors import SettingsError, UnknownName, UserError
from tools.types import Evidence

DEMO_WORLD = "hpa-cpu"
DEMO_QUESTION = "why are team search's H100s half idle?"
NEXT = f"""
Try next (no key, no cluster):
  {{program}} ask --world {DEMO_WORLD} "what changed in the last 7 days?"
  {{program}} diagnose --world fleet
  {{program}} world list
On your own cluster:
  {{program}} doctor
  {{program}} ask --prometheus URL "why are our GPUs idle?"
"""


def ask(arguments: argparse.Namespace) -> int:
    """Answer a question."""
    question = " ".join(arguments.question).strip()
    if not question and not arguments.resume:
        raise SettingsError("there is no question", hint=f'try: {program()} ask "why are our GPUs idle?"')
    if commands.is_command(question) and not arguments.go_on and not arguments.resume:
        code = _commanded(arguments, question)
        if code is not None:
            return code
    return _run(arguments, question, ())


def _commanded(arguments: argparse.Namespace, text: str) -> int | None:
    """Run a command on a stored session, without a cluster; None where the question is to be asked again."""
    settings = settings_of(arguments)
    store = SqliteStore(settings.state_dir)
    try:
        session = arguments.session or ""
        if session and store.last_run(session) is None:
            raise UnknownName("session", session, [row.id for row in store.sessions()])
        cluster = store.cluster_of(session)
        flags = commands.kept(store, session)
        desk = commands.Desk(store, session, cluster, permitted=None, diagnosers=diagnosers.load(), flags=flags)
        outcome = commands.run(desk, text)
        commands.keep(store, session, outcome.set)
    finally:
        store.close()
    return None if outcome.again else _told(arguments, settings, outcome)


def _told(arguments: argparse.Namespace, settings: Settings, outcome: commands.Outcome) -> int:
    """Draw what a command says. Raises SettingsError for a form that it has not."""
    if arguments.output not in ("table", "markdown"):
        raise SettingsError(
            "a command prints a table or Markdown", hint="for JSON: `evidence -o json`, `sessions export -o json`"
        )
    put(outcome.export or _drawn(arguments.output, settings, outcome.document))
    return 0


def diagnose(arguments: argparse.Namespace) -> int:
    """Judge every cause of the families."""
    families: tuple[Family, ...] = tuple(arguments.family or ("gpu", "drift"))
    arguments.session = arguments.resume = arguments.go_on = arguments.with_applier = None
    return _run(arguments, "", families)


def demo(arguments: argparse.Namespace) -> int:
    """A whole answer on an embedded world, and what to try next."""
    absent = ("kubeconfig", "context", "as_user", "as_groups", "request_timeout", "prometheus", "namespace")
    for name in (*absent, "model", "base_url", "with_applier"):
        setattr(arguments, name, None)
    arguments.reasoner, arguments.no_diagnosers = "playbook", False
    arguments.world, arguments.anchor, arguments.at, arguments.since = DEMO_WORLD, "world", None, None
    arguments.all_namespaces, arguments.selector, arguments.session, arguments.resume = False, "", None, None
    arguments.go_on = False
    if arguments.output == "table":
        put(f'$ plumbline ask --world {DEMO_WORLD} "{DEMO_QUESTION}"\n')
    code = _run(arguments, DEMO_QUESTION, ())
    if arguments.output == "table":
        put(NEXT.format(program=typed()))
    return code


def _run(arguments: argparse.Namespace, question: str, families: tuple[Family, ...]) -> int:
    settings = settings_of(arguments)
    progress = Progress(verbose=arguments.verbose)
    reporting = telemetry.open(os.environ, version=version_of("plumbline"))
    try:
        return asyncio.run(_whole(arguments, settings, progress, reporting, question, families))
    finally:
        progress.close()
        reporting.close()
        for note in reporting.notes:
            progress.note(f"note: {note}")


async def _whole(
    arguments: argparse.Namespace,
    settings: Settings,
    progress: Progress,
    reporting: Telemetry,
    question: str,
    families: tuple[Family, ...],
) -> int:
    at = moment(arguments.at, "--at") if arguments.at else None
    window = duration(arguments.since, "--since") if arguments.since else None
    async with AsyncExitStack() as stack:
        if arguments.with_applier:  # before the process gives up starting others
            await stack.enter_async_context(beside.applier(arguments, progress.note))
        opened = await stack.enter_async_context(open_target(arguments, settings))
        lock_down(settings, *opened.urls, *model_urls(settings), *reporting_urls())
        if not arguments.world:  # a world is ours: nothing in it can be harmed
            await _check(opened, arguments, progress)
        target = await with_metrics(opened)
        progress.show(f"connected to {target.cluster}" + (f", metrics from {target.prom_note}" if target.prom else ""))
        async with App.open(settings, target, at=at, judging=not arguments.no_diagnosers, reporting=reporting) as app:
            session = await app.session(
                mode=arguments.mode,
                namespace=arguments.namespace,
                all_namespaces=arguments.all_namespaces,
                selector=arguments.selector,
                session_id=arguments.resume or arguments.session or _newest(arguments, app),
                window=window,
            )
            if commands.is_command(question) and not arguments.resume:
                outcome = await session.command(question)
                if not outcome.again:
                    progress.close()
                    return _told(arguments, settings, outcome)
            if arguments.resume:
                events = session.answer(question) if question else session.resume()
            else:
                events = session.diagnose(families) if families else session.ask(question)
            last = await _listen(session, events, progress)
            if isinstance(last, Asked):
                last = await _choose(session, last, progress)
            progress.close()
            code = _end(arguments, app, session, last)
            if arguments.with_applier and isinstance(last, Answered):
                await _previews(app, last.diagnosis.drafts)
            return code


async def _previews(app: App, drafts: Sequence[str]) -> None:
    """Hand what was proposed to the applier beside us, and say what became of it."""
    ledger = open_ledger(app.settings.state_dir, app.settings.changes.store)
    try:
        cluster = await cluster_uid(app.target.kube)
        for name in drafts:
            if (draft := app.store.draft_by_id(name)) is not None:
                adopted(ledger, draft, cluster=cluster)
        for row in await beside.follow(ledger, drafts):
            say(f"proposal {row.id}: {row.state}{f' ({row.note})' if row.note else ''}")
            say(f"look at it with: {program()} proposals show {row.id}")
    finally:
        ledger.close()


def _newest(arguments: argparse.Namespace, app: App) -> str | None:
    """The session that -c goes on in. Raises UserError where there is none."""
    if not arguments.go_on:
        return None
    newest = app.store.newest(app.target.cluster)
    if newest is None:
        raise UserError(f"there is no session about {app.target.cluster} yet", hint="ask a first question without -c")
    return newest


async def _check(target: Target, arguments: argparse.Namespace, progress: Progress) -> None:
    """Hold the credentials against the mode. Raises CredentialsError in incident mode."""
    accept, hinted = arguments.accept_writable_credentials, [arguments.namespace] if arguments.namespace else []
    for warning in await check_mode(target.kube, arguments.mode, accept=accept, namespaces=hinted):
        progress.note(f"note: {warning}")


async def _listen(session: Session, events: AsyncIterator[Event], progress: Progress) -> Event | None:
    """The last event of a run. SIGINT stops the run and keeps its checkpoint."""
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        stopping.add(loop.create_task(session.cancel()))

    loop.add_signal_handler(signal.SIGINT, stop)
    last: Event | None = None
    try:
        async for event in events:
            progress.hear(event)
            last = event
    except asyncio.CancelledError:
        if not stopping:
            raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await asyncio.gather(*stopping, return_exceptions=True)
    return last


async def _choose(session: Session, asked: Asked, progress: Progress) -> Event | None:
    """Let a person choose; without a terminal, the question stays open."""
    progress.close()
    print(clean(asked.prompt), file=sys.stderr)
    for number, candidate in enumerate(asked.candidates, 1):
        print(f"  {number}  {clean(candidate)}", file=sys.stderr)
    if not sys.stdin.isatty():
        return asked
    line = _read_line()
    if not line.isdigit() or not 1 <= int(line) <= len(asked.candidates):
        return asked
    return await _listen(session, session.answer(asked.candidates[int(line) - 1]), progress)


def _read_line() -> str:
    """A line from the terminal, read on this thread: nothing else runs meanwhile, and Ctrl-C ends it at once."""
    print("number: ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return ""


def _end(arguments: argparse.Namespace, app: App, session: Session, last: Event | None) -> int:
    match last:
        case Answered():
            evidence = [app.store.evidence(session.id, app.store.last_run(session.id) or 0, n) for n in _cited(last)]
            put(drawn(arguments.output, app.settings, last.diagnosis, [e for e in evidence if e is not None]))
            _footer(arguments, app, session)
            return _code(arguments, last.diagnosis)
        case Asked():
            choose = f"{program()} ask {_target(arguments)}--resume {session.id}"
            say(f"name one of them in the question, or choose one with: {choose}")
            return USAGE
        case Failed():
            say(f"{last.message} ({last.hint})" if last.hint else last.message)
            return USAGE
        case Cancelled() | None:
            say(f"stopped; finish it with: {program()} ask {_target(arguments)}--resume {session.id}")
            return INTERRUPTED
        case _:
            say("the run ended without an answer")
            return FAILED


def _target(arguments: argparse.Namespace) -> str:
    """The flags that say where a command looked, to be typed again."""
    given = {"world": arguments.world, "context": arguments.context, "kubeconfig": arguments.kubeconfig}
    given |= {"prometheus": arguments.prometheus, "model": arguments.model, "base-url": arguments.base_url}
    return "".join(f"--{name} {shlex.quote(value)} " for name, value in given.items() if value)


def _cited(answered: Answered) -> list[str]:
    names = {ref.evidence for claim in answered.diagnosis.claims for ref in claim.refs}
    return sorted(names, key=lambda name: (len(name), name))


def _footer(arguments: argparse.Namespace, app: App, session: Session) -> None:
    if arguments.output == "table" and (sys.stderr.isatty() or arguments.verbose):
        again = f'{program()} ask {_target(arguments)}-c "and in all namespaces?"'
        print(f"session {session.id} · continue with: {again}", file=sys.stderr)
        print(f"evidence: {program()} evidence {session.id} E1 · audit head {app.audit.head}", file=sys.stderr)


def _code(arguments: argparse.Namespace, diagnosis: Diagnosis) -> int:
    if arguments.fail_on is None:
        return 0
    order: tuple[Severity, ...] = SEVERITIES  # type: ignore[assignment]
    bar = order.index(arguments.fail_on)
    return FOUND if any(order.index(finding.severity) >= bar for finding in diagnosis.findings) else 0


def drawn(output: str, settings: Settings, diagnosis: Diagnosis, evidence: list[Evidence]) -> str:
    """The answer in the form asked for."""
    if output == "json":
        return contract.as_json(contract.contract(diagnosis, evidence))
    if output == "yaml":
        return contract.as_yaml(contract.contract(diagnosis, evidence))
    return _drawn(output, settings, answer(diagnosis))


def _drawn(output: str, settings: Settings, document: Document) -> str:
    if output == "markdown":
        return markdown.draw(document)
    return terminal.draw(document, width=columns(), color=colored(settings))


def columns() -> int:
    """Width to draw for: the terminal's, or 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def colored(settings: Settings) -> bool:
    """Colour as set; by default on a terminal that can show it, and never against NO_COLOR (no-color.org)."""
    if settings.color != "auto":
        return settings.color == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
