"""`plumbline proposals …` and `plumbline apply`: look at proposals, approve bytes, apply them, see what came of them.

Rules: who approves is whom the API server names, never a flag; previews, applies and verifications use the applier's
own credentials (--kubeconfig, --context); a moment of the past (--at) is never one in which something is changed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import get_args

from pydantic import JsonValue

from agent.app import Target
from agent.changes import adopting
from agent.changes.approving import may_approve
from agent.changes.drafting import prose
from agent.changes.engine import Engine
from agent.changes.ledger import Ledger
from agent.changes.opening import open_engine
from agent.changes.preview import preview as preview_plan
from agent.changes.records import Approval, Proposal
from agent.changes.states import Move, NotAllowed, State, after
from agent.changes.undoing import propose_undo
from agent.changes.verifying import Check
from agent.changes.verifying import verify as verify_plan
from agent.principal import cluster_uid, establish
from agent.render import contract, terminal
from agent.render.document import Document
from agent.render.proposals import ADVISORY, checked, listing, proposal
from agent.settings import Settings
from agent.store import DraftRow
from agent.store.keys import derive, install_key
from agent.store.ledger import open_ledger
from agent.store.sqlite import SqliteStore
from plumbline.asking import colored, columns
from plumbline.cli import FAILED, program
from plumbline.outcome import put, say
from plumbline.targets import open_target, settings_of
from tools.audit import AuditLog
from tools.errors import CredentialsError, SettingsError, UnknownName, UserError
from tools.kube.connect import KubeTarget, sign_in
from tools.kube.writer import connect_writer
from tools.redact import Redactor
from tools.types import JsonObject, Principal

MAX_SHOWN = 50
MAX_DRAFTS = 200
_REFUSED = ("refused", "rejected", "expired", "stale", "revoked", "unknown", "needs human")
"""States in which a command that was to change something has not done so."""


@dataclass(slots=True)
class Desk:
    """One command's settings and store."""

    arguments: argparse.Namespace
    settings: Settings
    ledger: Ledger

    def find(self, name: str) -> Proposal:
        """A proposal by id or the beginning of one; a draft of a run is taken into the ledger.

        Raises UnknownName, UserError.
        """
        wanted = name.lower()
        found = [row for row in self.ledger.find(wanted) if wanted]
        drafts = [draft for draft in self.drafts() if wanted and draft.id.startswith(wanted)]
        ids = {row.id for row in found} | {draft.id for draft in drafts}
        if len(ids) > 1:
            raise UserError(f"{name!r} begins several ids", hint="give more of it")
        if found:
            return found[0]
        if drafts:
            return adopting.adopted(self.ledger, drafts[0])
        known = [*(row.id for row in self.ledger.page(limit=MAX_SHOWN)), *(draft.id for draft in self.drafts())]
        raise UnknownName("proposal", name, known)

    def drafts(self) -> list[DraftRow]:
        """What runs have left and nobody has taken up, newest first."""
        return SqliteStore(self.settings.state_dir).drafts(limit=MAX_DRAFTS)

    def prose(self, text: str) -> str:
        """What a person wrote, as it may be kept."""
        redactor = Redactor(derive(install_key(self.settings.state_dir), "redaction"))
        return prose(text, lambda words: redactor.text(words)[0])

    def shown(self, row: Proposal) -> Document:
        """One proposal, whole."""
        needed = self.settings.changes.approvals.of(row.tier) if row.tier else None
        return proposal(
            row,
            self.ledger.approvals(row.id),
            needed,
            self.ledger.moves(proposal=row.id),
            self.ledger.journal(row.id),
        )

    def put(self, document: Document, body: JsonObject) -> None:
        """On stdout, as asked for."""
        if self.arguments.output == "json":
            put(contract.as_json({"apiVersion": contract.API_VERSION, **body}))
        else:
            put(terminal.draw(document, width=columns(), color=colored(self.settings)))

    def tell(self, row: Proposal) -> int:
        """One proposal on stdout; returns the exit code."""
        self.put(self.shown(row), {"kind": "Proposal", **row.model_dump(mode="json")})
        return _code(row)


def _code(row: Proposal) -> int:
    """Exit code of a command that was to change something."""
    return FAILED if row.state in _REFUSED else 0


@asynccontextmanager
async def open_desk(arguments: argparse.Namespace) -> AsyncIterator[Desk]:
    """Settings and store of a command. Raises UserError, also for a moment of the past."""
    if getattr(arguments, "at", None):
        raise SettingsError("--at is for looking back: nothing is changed in the past", hint="leave it out")
    settings = settings_of(arguments)
    ledger = open_ledger(settings.state_dir, settings.changes.store)
    try:
        yield Desk(arguments, settings, ledger)
    finally:
        ledger.close()


@asynccontextmanager
async def applier_engine(desk: Desk) -> AsyncIterator[tuple[Engine, Target]]:
    """An engine with the credentials of the flags, which are the applier's own."""
    arguments, settings = desk.arguments, desk.settings
    async with open_target(arguments, settings) as target, await connect_writer(_login(desk)) as writer:
        name = f"{(await establish(target.kube)).user}@{socket.gethostname()}"
        async with open_engine(settings, target, writer, name=name) as engine:
            yield engine, target


def _login(desk: Desk) -> KubeTarget:
    """The credentials of the flags."""
    return KubeTarget(
        kubeconfig=desk.arguments.kubeconfig,
        context=desk.arguments.context,
        request_timeout=desk.settings.request_timeout,
        allowed_plugins=desk.settings.allowed_plugins,
        allow_insecure_tls=desk.settings.allow_insecure_tls,
    )


@asynccontextmanager
async def _person(desk: Desk, row: Proposal | None = None) -> AsyncIterator[tuple[Principal, float]]:
    """Whom the API server takes us for, and its time: the server of the cluster that the proposal is about.

    Raises CredentialsError for somebody who is impersonated, or signs in elsewhere; PortErrors.
    """
    login = await sign_in(_login(desk))
    if login.as_user or login.as_groups:
        raise CredentialsError(
            f"context {login.context} impersonates {login.as_user or 'a group'}; people decide as themselves",
            hint="use a context with your own credentials",
        )
    async with open_target(desk.arguments, desk.settings) as target:
        if row is not None and row.cluster and await cluster_uid(target.kube) != row.cluster:
            raise CredentialsError(
                f"context {login.context} is of another cluster than proposal {row.id}",
                hint="sign in at the cluster that is to be changed",
            )
        yield await establish(target.kube), await target.kube.server_time()


def running(work: Awaitable[int]) -> int:
    """Run a command's work to its exit code."""

    async def run() -> int:
        return await work

    return asyncio.run(run())


# --- looking -----------------------------------------------------------------------------------------------------


def show_all(arguments: argparse.Namespace) -> int:
    """List proposals, newest first."""

    async def work() -> int:
        async with open_desk(arguments) as desk:
            for state in arguments.state or ():
                if state not in get_args(State):
                    raise UnknownName("state", state, get_args(State))
            kept = desk.ledger.page(states=tuple(arguments.state or ()), limit=MAX_SHOWN, after=arguments.after or "")
            known = {row.id for row in kept}
            loose = [] if arguments.state or arguments.after else [d for d in desk.drafts() if d.id not in known]
            rows = [*kept, *(adopting.as_proposal(draft) for draft in loose if desk.ledger.get(draft.id) is None)]
            rows.sort(key=lambda row: row.at, reverse=True)
            items = [row.model_dump(mode="json") for row in rows[:MAX_SHOWN]]
            desk.put(listing(rows[:MAX_SHOWN]), {"kind": "ProposalList", "items": [*items]})
            return 0

    return running(work())


def show(arguments: argparse.Namespace) -> int:
    """Show one proposal."""

    async def work() -> int:
        async with open_desk(arguments) as desk:
            desk.tell(desk.find(arguments.id))
            return 0

    return running(work())


def new(arguments: argparse.Namespace) -> int:
    """Write a draft by hand."""

    async def work() -> int:
        async with open_desk(arguments) as desk, _person(desk) as (person, at):
            args: JsonObject = {}
            for pair in arguments.args:
                name, mark, text = pair.partition("=")
                if not mark or not name:
                    raise SettingsError(f"{pair[:80]!r} is no argument", hint="write name=value, such as replicas=5")
                args[name] = _value(text)
            made = adopting.typed(
                desk.ledger, arguments.change, args, author=person.user, because=desk.prose(arguments.because), at=at
            )
            return desk.tell(made)

    return running(work())


def _value(text: str) -> str | int | float | bool:
    """A number, true or false where it is written as one; text otherwise."""
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, str | int | float | bool):
            return found
    return text


# --- deciding ----------------------------------------------------------------------------------------------------


def approve(arguments: argparse.Namespace) -> int:
    """Approve the bytes of one digest."""

    async def work() -> int:
        async with open_desk(arguments) as desk, _person(desk, row := desk.find(arguments.id)) as (person, at):
            rules = desk.settings.changes.rules
            if not arguments.digest:
                desk.tell(row)
                raise SettingsError(
                    "these are the bytes; approve them by their digest",
                    hint=f"{program()} proposals approve {row.id} --digest {row.digest[:12] or 'DIGEST'}",
                )
            if reason := may_approve(row, person, arguments.digest, at, rules):
                raise UserError(reason, hint=f"{program()} proposals show {row.id}")
            given = Approval(
                proposal=row.id,
                digest=row.digest,
                principal=person.user,
                surface="cli",
                at=at,
                proof={"groups": [*person.groups], "established": person.established},
            )
            _audit(desk, "approval", row, person.user, at)
            row, count = desk.ledger.approve(row, given, needed=rules.needed.of(row.tier or "D"))
            if row.state != "approved":
                say(f"{count} of {rules.needed.of(row.tier or 'D')} approvals: more are needed")
            elif rules.needed.of(row.tier or "D") > 1 or row.tier != "A":
                say(ADVISORY)
            return desk.tell(row)

    return running(work())


def _audit(desk: Desk, kind: str, row: Proposal, actor: str, at: float) -> None:
    AuditLog(desk.settings.state_dir / "audit.jsonl").append(
        kind, {"proposal": row.id, "digest": row.digest, "actor": actor, "at": at}
    )


def _decided(arguments: argparse.Namespace, move: Move) -> int:
    async def work() -> int:
        async with open_desk(arguments) as desk, _person(desk, row := desk.find(arguments.id)) as (person, at):
            try:
                after(row.state, move)
                _audit(desk, move, row, person.user, at)
                row = desk.ledger.move(row, move, actor=person.user, at=at, note=desk.prose(arguments.because))
            except NotAllowed as error:
                raise UserError(str(error), hint=f"{program()} proposals show {row.id}") from None
            desk.tell(row)
            return 0

    return running(work())


def reject(arguments: argparse.Namespace) -> int:
    """Turn a proposal down."""
    return _decided(arguments, "reject")


def revoke(arguments: argparse.Namespace) -> int:
    """Take an approval, or a proposal that waits for one, back."""
    return _decided(arguments, "revoke")


# --- doing -------------------------------------------------------------------------------------------------------


def doing(arguments: argparse.Namespace, step: Callable[[Engine, Proposal, str], Awaitable[Proposal]]) -> int:
    """Take one step of a proposal with the credentials of the flags, show it, and return the exit code."""

    async def work() -> int:
        async with open_desk(arguments) as desk:
            row = desk.find(arguments.id)
            async with applier_engine(desk) as (engine, target):
                who = (await establish(target.kube)).user
                return desk.tell(await step(engine, row, who))

    return running(work())


def preview(arguments: argparse.Namespace) -> int:
    """Make the plan of a draft, by the server's own dry run, and submit it for approval."""
    return doing(arguments, lambda engine, row, who: preview_plan(engine, row.id, requester=who))


def verify(arguments: argparse.Namespace) -> int:
    """See whether an applied proposal did what it should."""

    async def work() -> int:
        async with open_desk(arguments) as desk:
            found: list[Check] = []
            row = desk.find(arguments.id)
            async with applier_engine(desk) as (engine, _):
                row = await verify_plan(engine, row.id, heard=found.extend)
            told: list[JsonValue] = [{"status": one.status, "text": one.text} for one in found]
            body: JsonObject = {"kind": "Verification", "proposal": row.id, "state": row.state, "checks": told}
            desk.put(checked(row, [(one.status, one.text) for one in found]), body)
            return _code(row)

    return running(work())


def undo(arguments: argparse.Namespace) -> int:
    """Propose the inverse of an applied proposal, previewed."""

    async def step(engine: Engine, row: Proposal, who: str) -> Proposal:
        at = await engine.writer.server_time()
        draft = propose_undo(engine.ledger, row.id, author=who, at=at)
        return await preview_plan(engine, draft.id, requester=who) if draft.state in ("draft", "previewed") else draft

    return doing(arguments, step)
