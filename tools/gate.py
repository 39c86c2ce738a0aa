"""The one function every call passes, whoever makes it: model, playbook or person.

Rules: find the tool → validate → scope → decide → budget → audit the intent → run under limits → project each item
as its page arrives → tenancy → redact → digest → keep → audit the outcome. Without policy no gate, without audit no
call. What a model may write can only end in Evidence that says why not; a missing credential or target propagates.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ValidationError

from tools import registry
from tools.changes import Drafting
from tools.errors import BadAnswer, Denied, NotFound, NotServed, PortError, Refused, Unavailable, first_problem
from tools.limits import MAX_ROWS, Meter
from tools.policy import Policy
from tools.redact import Redactor
from tools.types import (
    Approvals,
    Audit,
    CallScope,
    Evidence,
    JsonObject,
    Mode,
    Page,
    Ports,
    Principal,
    Row,
    Scope,
    Status,
    ToolCall,
    ToolSpec,
    WireLimits,
    canonical,
)

_STATUS: tuple[tuple[type[PortError], Status], ...] = (
    (Denied, "denied"),
    (NotFound, "empty"),
    (NotServed, "empty"),
    (Unavailable, "unavailable"),
    (BadAnswer, "failed"),
)
_MAX_WARNINGS = 20


def rows_digest(rows: Sequence[Row]) -> str:
    """SHA-256 over the canonical JSON of each row (key, namespace, data), one a line: what Evidence.digest holds."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical([row.key, row.namespace, row.data]))
        digest.update(b"\n")
    return digest.hexdigest()


@dataclass(slots=True)
class _Reading:
    """What one call has brought so far."""

    rows: list[Row] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    withheld: int = 0
    redactions: int = 0
    warnings: list[str] = field(default_factory=list)
    status: Status = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A call that passed every check; only such a call runs."""

    spec: ToolSpec[BaseModel]
    args: BaseModel
    rule: str


class _Refusal(Exception):
    """Why a call does not run; becomes Evidence."""

    def __init__(self, status: Status, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.rule, self.reason = status, rule, reason


class Gate:
    """Decides, limits, redacts and audits. Holds the ports; nothing else calls a tool function."""

    def __init__(
        self,
        *,
        policy: Policy,
        audit: Audit,
        approvals: Approvals,
        ports: Ports,
        redactor: Redactor,
        tools: Mapping[str, ToolSpec[BaseModel]] | None = None,
    ) -> None:
        self.policy = policy
        self._audit = audit
        self._approvals = approvals
        self._ports = ports
        self._redactor = redactor
        self._tools = registry.load() if tools is None else tools

    def shown(self, principal: Principal, mode: Mode) -> list[ToolSpec[BaseModel]]:
        """The tools to list: those of which some call could be allowed. The decision at call time alone counts."""
        return [
            spec for spec in self._tools.values() if self.policy.could_allow(spec.effect, spec.touches, principal, mode)
        ]

    async def run(
        self,
        call: ToolCall,
        principal: Principal,
        mode: Mode,
        *,
        scope: Scope,
        meter: Meter,
        evidence_id: str,
        keep: Callable[[Evidence], None] | None = None,
        drafting: Drafting | None = None,
    ) -> Evidence:
        """Run one call and return what it brought, or why it did not run. `keep` stores it before it is audited.

        `drafting` stores drafts of changes; without it none can be made.

        Raises AuditUnavailable (nothing was read), CredentialsError and TargetError (the user must mend them).
        """
        try:
            checked = self._check(call, principal, mode, scope, meter)
        except _Refusal as refusal:
            self._audit.append("decision", self._entry(call, principal, mode, evidence_id, refusal.rule, allow=False))
            refused = self._refused(call, evidence_id, refusal)
            if keep is not None:
                keep(refused)
            return refused
        self._audit.append("call", self._entry(call, principal, mode, evidence_id, checked.rule, allow=True))
        reading = _Reading()
        try:
            ports = replace(self._ports, permitted=scope.permitted, scope=scope, drafting=drafting)
            await self._read(checked, ports, scope, meter.wire(checked.spec.wire), reading)
            evidence = self._evidence(checked, call, evidence_id, reading)
            if keep is not None:
                keep(evidence)
        except BaseException as error:
            self._audit.append("outcome", {"evidence": evidence_id, "status": "raised", "error": type(error).__name__})
            raise
        outcome: JsonObject = {
            "evidence": evidence_id,
            "status": evidence.status,
            "rows": len(evidence.rows),
            "digest": evidence.digest,
            "redactions": evidence.redactions,
        }
        self._audit.append("outcome", outcome)
        return evidence

    # --- before ------------------------------------------------------------------------------------------------

    def _check(self, call: ToolCall, principal: Principal, mode: Mode, scope: Scope, meter: Meter) -> _Checked:
        spec = self._tools.get(call.tool)
        if spec is None:
            raise _Refusal("failed", "unknown-tool", f"there is no tool named {call.tool[:80]!r}")
        try:
            args = spec.args.model_validate(call.args)
        except ValidationError as error:
            raise _Refusal("failed", "arguments", first_problem(error)) from None
        except RecursionError:
            raise _Refusal("failed", "arguments", "the arguments are nested too deeply") from None
        try:
            touched = spec.scope_of(args)
        except ValueError as error:
            raise _Refusal("denied", "empty-selector", str(error)) from None
        decision = self.policy.decide(spec.effect, touched, principal, mode)
        if not decision.allow:
            raise _Refusal("denied", decision.rule, decision.reason)
        _check_tenancy(touched, scope)
        if spec.effect == "write" and not self._approvals.live(call.digest):
            raise _Refusal("denied", "no-approval", "no live approval of exactly this change")
        try:
            meter.charge()
        except Refused as refused:
            raise _Refusal("unavailable", "budget", str(refused)) from None
        return _Checked(spec, args, decision.rule)

    def _entry(
        self, call: ToolCall, principal: Principal, mode: Mode, evidence_id: str, rule: str, *, allow: bool
    ) -> JsonObject:
        """One audit entry about a call; what a model wrote is redacted like everything else."""
        entry: JsonObject = {
            "evidence": evidence_id,
            "tool": call.tool[:80],
            "args": call.model_copy(deep=True).args,
            "reason": call.reason[:500],
            "call": call.digest,
            "principal": {"source": principal.source, "user": principal.user, "how": principal.established},
            "mode": mode,
            "allow": allow,
            "rule": rule,
            "policy": self.policy.version,
        }
        if len(canonical(entry["args"])) > 65_536:
            entry["args"] = "more than 64 KiB, left out"
        self._redactor.value(entry)
        return entry

    def _refused(self, call: ToolCall, evidence_id: str, refusal: _Refusal) -> Evidence:
        spec = self._tools.get(call.tool)
        detail, redactions = self._redactor.text(f"{refusal.reason} (rule {refusal.rule})")
        tool, _ = self._redactor.text(call.tool[:80])
        return Evidence(
            id=evidence_id,
            tool=tool,
            source=spec.source if spec else "derived",
            family="none",
            query=f"{tool} (not run)",
            call_digest=call.digest,
            status=refusal.status,
            detail=detail,
            observed_at=self._ports.now,
            trust=spec.trust if spec else "structured",
            digest=rows_digest(()),
            redactions=redactions,
        )

    # --- while -------------------------------------------------------------------------------------------------

    async def _read(self, checked: _Checked, ports: Ports, scope: Scope, wire: WireLimits, reading: _Reading) -> None:
        """Fill `reading`; an expected failure ends it with a status, keeping what came before."""
        pages = checked.spec.read(checked.args, ports, wire)
        try:
            async with asyncio.timeout(wire.seconds):
                async for page in pages:
                    self._take(checked, scope, page, reading)
                    if len(reading.rows) >= MAX_ROWS:
                        _end(reading, "truncated", f"more than {MAX_ROWS:,} rows; narrow the question")
                        break
        except (PortError, Refused) as error:
            _failed(reading, error)
        except TimeoutError:
            _failed(reading, Unavailable(f"no complete answer within {wire.seconds:g} s"))
        finally:
            close = getattr(pages, "aclose", None)
            if close is not None:
                await close()

    def _take(self, checked: _Checked, scope: Scope, page: Page, reading: _Reading) -> None:
        project, args = checked.spec.project, checked.args
        items, page.items = page.items, []
        for item in items:
            row = project(args, item)
            if row is None:
                continue
            if not (scope.admits(row.namespace) or (checked.spec.public and row.namespace is None)):
                reading.withheld += 1
                continue
            row, count = self._redactor.row(row)
            reading.redactions += count
            reading.rows.append(_unique(row, reading.keys))
        for warning in page.warnings:
            if warning not in reading.warnings and len(reading.warnings) < _MAX_WARNINGS:
                reading.warnings.append(warning)
        if page.truncated:
            _end(reading, "truncated", page.truncated)

    # --- after -------------------------------------------------------------------------------------------------

    def _evidence(self, checked: _Checked, call: ToolCall, evidence_id: str, reading: _Reading) -> Evidence:
        spec, args = checked.spec, checked.args
        _settle(reading)
        redactions = reading.redactions
        texts: list[str] = []
        for text in (reading.detail, spec.describe(args, self._ports), *reading.warnings):
            shown, count = self._redactor.text(text)
            redactions += count
            texts.append(shown)
        rows = tuple(reading.rows)
        return Evidence(
            id=evidence_id,
            tool=spec.name,
            source=spec.source,
            family=spec.family(args, self._ports),
            query=texts[1],
            call_digest=call.digest,
            status=reading.status,
            detail=texts[0],
            observed_at=self._ports.now,
            window=spec.window(args, self._ports),
            rows=rows,
            trust=spec.trust,
            digest=rows_digest(rows),
            redactions=redactions,
            warnings=tuple(texts[2:]),
        )


def _check_tenancy(touched: CallScope, scope: Scope) -> None:
    """Refuse, before anything is read, a namespace the principal may not see."""
    outside = sorted(ns for ns in touched.namespaces or () if not scope.admits(ns))
    if outside:
        raise _Refusal("denied", "tenancy", f"namespace {outside[0]} is outside what you may see")


def _unique(row: Row, keys: dict[str, int]) -> Row:
    """The row under a key that no row before it has."""
    seen = keys.get(row.key, 0)
    keys[row.key] = seen + 1
    if not seen:
        return row
    return _unique(row.model_copy(update={"key": f"{row.key}#{seen + 1}"}), keys)


def _end(reading: _Reading, status: Status, detail: str) -> None:
    reading.status = status
    reading.detail = f"{reading.detail}; {detail}" if reading.detail else detail


def _failed(reading: _Reading, error: PortError | Refused) -> None:
    if reading.rows or reading.withheld:
        _end(reading, "truncated", f"{error} after {len(reading.rows):,} rows")
        return
    _end(reading, next((status for kind, status in _STATUS if isinstance(error, kind)), "failed"), str(error))


def _settle(reading: _Reading) -> None:
    """The final status, once everything was read."""
    if reading.withheld:
        what = f"{reading.withheld:,} rows of namespaces you may not see, or of none, were withheld"
        if reading.rows:
            _end(reading, reading.status, what)
        else:
            _end(reading, "denied" if reading.status == "ok" else reading.status, what)
    if reading.status == "ok" and not reading.rows:
        reading.status = "empty"
