"""The citation checker: every reference of an answer is read again, every derived number computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydantic import JsonValue, ValidationError

from agent.analysis.functions import compute
from agent.analysis.records import quote
from agent.analysis.view import resolve_in
from agent.types import Claim
from tools import fields
from tools.types import Evidence, EvidenceRef

Lookup = Callable[[str], Evidence]
"""Evidence by id; raises KeyError."""
TOLERANCE = 1e-9


class Checker:
    """Resolves references against stored evidence, each piece indexed once."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._rows: dict[str, dict[str, JsonValue]] = {}

    def value(self, ref: EvidenceRef) -> JsonValue:
        """What stands at a reference; the number of rows at path "". Raises ValueError when nothing does."""
        try:
            evidence = self._lookup(ref.evidence)
        except KeyError:
            raise ValueError(f"no evidence {ref.evidence}") from None
        if not ref.path:
            return len(evidence.rows)
        if ref.evidence not in self._rows:
            self._rows[ref.evidence] = {row.key: row.data for row in evidence.rows}
        return resolve_in(self._rows[ref.evidence], ref.path)

    def holds(self, ref: EvidenceRef) -> bool:
        """True when the quotation stands where it says, and a derived number comes out again."""
        try:
            return quote(self.value(ref)) == ref.value and self._recomputes(ref)
        except ValueError:
            return False

    def _recomputes(self, ref: EvidenceRef) -> bool:
        evidence = self._lookup(ref.evidence)
        if evidence.trust != "derived":
            return True
        data = evidence.rows[0].data
        try:
            inputs = [EvidenceRef.model_validate(item) for item in fields.items(data, "inputs")]
        except ValidationError:
            return False
        if not all(quote(self.value(i)) == i.value for i in inputs):
            return False
        stored = fields.number(data, "value")
        again = compute(fields.text(data, "function"), [self.value(i) for i in inputs])
        return stored is not None and abs(again - stored) <= TOLERANCE * max(1.0, abs(stored))

    def supported(self, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        """The claims all of whose references hold."""
        return tuple(claim for claim in claims if all(self.holds(ref) for ref in claim.refs))
