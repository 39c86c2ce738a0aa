"""The `/` commands of a conversation, one table for every surface.

Rules: a command reads the store, sets what later questions keep to, or asks for something of its surface; only
`/again` reads the cluster, and it does so as an ordinary question. Typed, bounded, no markup; an unknown command is
one line with near names.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent import history, recall
from agent.analysis.diagnoser import Diagnoser
from agent.followups import ASK_FIRST, NO_PAST, Followup
from agent.history import Past
from agent.mentions import tokens
from agent.render import contract, markdown, transcript
from agent.render.answer import answer
from agent.render.document import Document, Span
from agent.render.evidence import evidence as evidence_document
from agent.spans import read as read_span
from agent.store import Store
from agent.types import Remedy
from tools import fields
from tools.errors import UnknownName, UserError
from tools.types import JsonObject

MOST_CHARACTERS = 512
MOST_QUERIES = 200
MOST_SESSIONS = 20
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
SET = "flags"
"""Note of a run that holds what `/namespace` and `/since` set."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command may touch: the store, one session of it, and what its questions keep to."""

    store: Store
    session: str
    cluster: str
    permitted: tuple[str, ...] | None
    diagnosers: Mapping[str, Diagnoser]
    flags: JsonObject = field(default_factory=dict)

    def past(self) -> Past:
        """The last answer. Raises UserError before the first."""
        found = history.last(self.store, self.session, permitted=self.permitted)
        if found is None:
            raise UserError(NO_PAST, hint=ASK_FIRST)
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: something to show, and what its surface should do now."""

    document: Document
    set: JsonObject = field(default_factory=dict)
    """What later questions of the session keep to: `namespace`, `all_namespaces`, `window`."""
    again: bool = False
    """Ask the last question again."""
    new: bool = False
    """Leave the session; the next question opens another."""
    export: str = ""
    """The whole session as a file's content."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    usage: str
    summary: str
    run: Callable[[Desk, str], Outcome]


def said(text: str) -> Document:
    """One line."""
    document = Document()
    document.add(Span(text))
    return document


def is_command(text: str) -> bool:
    """True for a text that begins with a slash and a letter."""
    stripped = text.lstrip()
    return stripped[:1] == "/" and stripped[1:2].isalpha()


def parse(text: str) -> tuple[Command, str] | None:
    """The command of a text and the rest of it; None for a text that is none. Raises UserError for an unknown one."""
    if not is_command(text):
        return None
    if len(text) > MOST_CHARACTERS:
        raise UserError("a command has at most 512 characters", hint="ask a question without the slash")
    name, _, rest = text.strip()[1:].partition(" ")
    known = {command.name: command for command in COMMANDS}
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join('/' + n for n in near)}?" if near else "see /help"
        raise UserError(f"no command named '/{name}'", hint=hint)
    return known[name.lower()], rest.strip()


def run(desk: Desk, text: str) -> Outcome:
    """Run a command; what it sets is for the caller to keep. Raises UserError and UnknownName, one line each."""
    parsed = parse(text)
    if parsed is None:
        raise UserError("this is no command", hint="commands begin with a slash; see /help")
    command, rest = parsed
    if rest and " " not in command.usage:
        raise UserError(f"{command.usage} takes nothing", hint=f"type {command.usage} alone")
    return command.run(desk, rest)


def kept(store: Store, session: str) -> JsonObject:
    """What commands set earlier in a session."""
    run = store.last_run(session)
    noted: JsonObject = json.loads(store.notes(session, run).get(SET, "{}")) if run else {}
    return noted


def keep(store: Store, session: str, changed: JsonObject) -> None:
    """Keep what a command set with the session's newest run, if it has one yet."""
    run = store.last_run(session)
    if run is not None and changed:
        store.record(session, run, SET, json.dumps({**kept(store, session), **changed}))


def table() -> list[tuple[str, str]]:
    """(usage, summary) of every command, for help and docs."""
    return [(command.usage, command.summary) for command in COMMANDS]


# --- the commands ------------------------------------------------------------------------------------------


def _help(_desk: Desk, _rest: str) -> Outcome:
    document = Document()
    document.table(("COMMAND", "WHAT"), [(Span(usage, "strong"), Span(summary)) for usage, summary in table()])
    return Outcome(document)


def _scope(desk: Desk, _rest: str) -> Outcome:
    document = Document()
    set_to = fields.text(desk.flags, "namespace") or "all namespaces, unless a question names one"
    document.add(Span(set_to), lead="questions  ")
    window = fields.number(desk.flags, "window")
    document.add(Span(f"{window / 3600:g} h" if window else "6 h, unless a question names a time"), lead="history    ")
    past = history.last(desk.store, desk.session, permitted=desk.permitted)
    if past is not None:
        about = f"{past.scope.asked} · {past.intent.topic} · {past.intent.window / 3600:g} h"
        document.add(Span(about), lead="last       ")
    return Outcome(document)


def _namespace(desk: Desk, rest: str) -> Outcome:
    if not rest:
        raise UserError("/namespace needs a name", hint="/namespace NAME, or /namespace all")
    if rest in ("all", "-A"):
        done = said("questions are about all namespaces, unless they name one")
        return Outcome(done, set={"namespace": None, "all_namespaces": True})
    if not _NAME.fullmatch(rest):
        raise UserError(
            f"{rest[:63]!r} cannot be a namespace", hint="lower-case letters, digits and hyphens, at most 63"
        )
    if desk.permitted is not None and rest not in desk.permitted:
        raise UnknownName("namespace", rest, desk.permitted)
    return Outcome(said(f"questions are about namespace {rest}"), set={"namespace": rest, "all_namespaces": False})


def _since(_desk: Desk, rest: str) -> Outcome:
    length = read_span(f"last {rest}").length
    if rest in ("", "default"):
        return Outcome(said("history that matters: 6 h, unless a question names a time"), set={"window": None})
    if length is None:
        raise UserError(f"{rest[:40]!r} is no length of time", hint="such as /since 6h or /since 7d")
    return Outcome(said(f"history that matters: {length / 3600:g} h"), set={"window": length})


def _findings(desk: Desk, _rest: str) -> Outcome:
    found = desk.past().diagnosis.findings
    if not found:
        return Outcome(said(f"no findings in {desk.past().scope.asked}"))
    document = Document()
    rows = [(f.cause, f.role, f.severity, f.confidence, str(f.subject), f.title) for f in found]
    head = ("CAUSE", "ROLE", "SEVERITY", "CONFIDENCE", "SUBJECT", "TITLE")
    document.table(head, [[Span(cell) for cell in row] for row in rows])
    return Outcome(document)


def ground(desk: Desk, past: Past, remedy: Callable[..., Remedy]) -> recall.Ground:
    """What a follow-up about `past` may be answered from."""
    return recall.Ground(
        past=past,
        index=history.indexed(event for _, _, event in desk.store.events(desk.session, past.run)),
        lookup=lambda name: desk.store.evidence(desk.session, past.run, name),
        diagnosers=desk.diagnosers,
        remedy=remedy,
    )


def _no_remedy(*_: object) -> Remedy:
    raise UserError("this is asked in words", hint='ask: "what should I do?"')


def _why_not(desk: Desk, rest: str) -> Outcome:
    word = " ".join(token.text for token in tokens(rest[:60]))
    if not word:
        raise UserError("/why-not needs a cause or a word", hint="such as /why-not U16 or /why-not network")
    followup = Followup(kind="why_not", text=word, word=word)
    return Outcome(answer(recall.answer(followup, ground(desk, desk.past(), _no_remedy), rest)))


def _evidence(desk: Desk, rest: str) -> Outcome:
    name, _, match = rest.partition(" ")
    if not name:
        raise UserError("/evidence needs an id", hint="such as /evidence E4, or /evidence E4 chat-70b")
    past = desk.past()
    found = desk.store.evidence(desk.session, past.run, name.upper())
    if found is None:
        index = history.indexed(event for _, _, event in desk.store.events(desk.session, past.run))
        raise UnknownName("evidence", name, [entry.id for entry in index])
    if not match.strip():
        return Outcome(evidence_document(found))
    wanted = match.strip().lower()
    rows = tuple(r for r in found.rows if wanted in f"{r.key} {json.dumps(r.data, ensure_ascii=False)}".lower())
    document = evidence_document(found.model_copy(update={"rows": rows}))
    document.add(Span(f"{len(rows)} of {len(found.rows)} rows match {match.strip()!r}", "muted"))
    return Outcome(document)


def _query(desk: Desk, rest: str) -> Outcome:
    index = history.indexed(event for _, _, event in desk.store.events(desk.session, desk.past().run))
    wanted = [entry for entry in index if rest.lower() in ("", "all") or entry.id == rest.upper()]
    if not wanted:
        raise UnknownName("evidence", rest, [entry.id for entry in index])
    document = Document()
    if len(wanted) == 1:
        document.whole(Span(wanted[0].query))
        return Outcome(document)
    for entry in wanted[:MOST_QUERIES]:
        document.add(Span(entry.id, "cite"), Span(f"  {entry.status}, {entry.rows} rows", "muted"))
        document.whole(Span(entry.query))
    if len(wanted) > MOST_QUERIES:
        document.add(Span(f"and {len(wanted) - MOST_QUERIES} more", "muted"))
    return Outcome(document)


def _explain(desk: Desk, rest: str) -> Outcome:
    if not rest:
        document = Document()
        causes = [(Span(c, "cause"), Span(d.CAUSE.title)) for c, d in desk.diagnosers.items()]
        document.table(("CAUSE", "WHAT"), causes)
        return Outcome(document)
    return Outcome(said(recall.explained(rest.upper(), desk.diagnosers)))


def _usage(desk: Desk, _rest: str) -> Outcome:
    document = Document()
    spent = [turn.diagnosis.usage for turn in history.turns(desk.store, desk.session) if turn.diagnosis]
    calls, requests = sum(u.calls for u in spent), sum(u.requests for u in spent)
    document.add(Span(f"{len(spent)} answers · {calls} calls · {requests} requests"), lead="cluster    ")
    models = [u.model for u in spent if u.model is not None]
    if models:
        tokens_in, tokens_out = sum(m.input for m in models), sum(m.output for m in models)
        words = f"{sum(m.requests for m in models)} requests · {tokens_in} tokens in · {tokens_out} out"
        costs = [m.cost for m in models if m.cost is not None]
        if costs:
            unpriced = len(models) - len(costs)
            words += f" · cost {sum(costs):.4f}" + (f" and {unpriced} answers without a price" if unpriced else "")
        document.add(Span(words), lead="model      ")
    return Outcome(document)


def _drafts(desk: Desk, _rest: str) -> Outcome:
    seen = desk.permitted
    rows = [r for r in desk.store.drafts(desk.session) if seen is None or r.target.partition("/")[0] in seen]
    if not rows:
        return Outcome(said("no drafts of changes in this session; nothing is ever changed by a question"))
    document = Document()
    cells = [(row.id, str(row.run), row.change, row.target, row.state) for row in rows]
    document.table(("DRAFT", "RUN", "CHANGE", "TARGET", "STATE"), [[Span(cell) for cell in row] for row in cells])
    return Outcome(document)


def _sessions(desk: Desk, _rest: str) -> Outcome:
    rows = [r for r in desk.store.sessions(MOST_SESSIONS) if desk.permitted is None or r.id == desk.session]
    return Outcome(transcript.listing([(row, history.ending_of(desk.store.ending(row.id, row.runs))) for row in rows]))


def _export(desk: Desk, rest: str) -> Outcome:
    if rest not in ("", "markdown", "json"):
        raise UserError(f"{rest[:20]!r} is no form of an export", hint="/export markdown or /export json")
    done = said(f"session {desk.session} as {rest or 'markdown'}")
    text = exported(desk.store, desk.session, rest or "markdown", permitted=desk.permitted)
    return Outcome(done, export=text)


def exported(store: Store, session: str, form: str, *, permitted: tuple[str, ...] | None = None) -> str:
    """A session as Markdown or JSON text, but for runs that saw more than its reader may. Raises UnknownName."""
    if store.last_run(session) is None:
        raise UnknownName("session", session, [row.id for row in store.sessions()])
    found = history.turns(store, session, permitted=permitted)
    if form == "json":
        return contract.as_json(transcript.body(store, session, found))
    return markdown.draw(transcript.document(session, store.cluster_of(session), found))


def _again(desk: Desk, _rest: str) -> Outcome:
    desk.past()
    return Outcome(Document(), again=True)


def _new(_desk: Desk, _rest: str) -> Outcome:
    return Outcome(said("the next question opens a new session"), new=True)


COMMANDS: tuple[Command, ...] = (
    Command("help", "/help", "what can be typed here", _help),
    Command("scope", "/scope", "what questions are about, and what the last one was", _scope),
    Command("namespace", "/namespace NAME|all", "keep questions to one namespace, or to all again", _namespace),
    Command("since", "/since 6h", "how much history matters; without a length, the default again", _since),
    Command("findings", "/findings", "what the last answer found", _findings),
    Command("why-not", "/why-not CAUSE|WORD", "why the last answer does not name this cause", _why_not),
    Command("evidence", "/evidence E4 [MATCH]", "the rows behind a citation, or those that match", _evidence),
    Command("query", "/query E4|all", "what was asked of the cluster and of Prometheus", _query),
    Command("explain", "/explain [CAUSE]", "what a cause is; without one, all that are known", _explain),
    Command("usage", "/usage", "calls, requests and tokens of this session", _usage),
    Command("drafts", "/drafts", "drafts of changes that this session stored", _drafts),
    Command("sessions", "/sessions", "stored sessions, newest first", _sessions),
    Command("export", "/export [markdown|json]", "the whole session as a file", _export),
    Command("again", "/again", "ask the last question again", _again),
    Command("new", "/new", "leave this session", _new),
)
"""Every command, in the order of /help."""
