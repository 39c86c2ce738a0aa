"""Whether two diagnoses say the same, where ids, the order of series and the last bits of sums may differ."""

from __future__ import annotations

import re

from pydantic import JsonValue

from agent.types import Claim, Diagnosis

_USER = re.compile(r'User "[^"]*"')
"""Who asks may differ."""


def summary(diagnosis: Diagnosis | None) -> dict[str, object]:
    """Everything said: verdict, findings, exclusions, what could not be looked at, with words and values."""
    if diagnosis is None:
        return {}
    return {
        "status": diagnosis.status,
        "findings": [
            (f.cause, f.role, f.title, f.confidence, f.severity, f.since, f.affects, [_claim(one) for one in f.seen])
            for f in diagnosis.findings
        ],
        "ruled out": [(one.cause, str(one.subject), _claim(one.because)) for one in diagnosis.ruled_out],
        "checked": [_example(one) for one in diagnosis.checked],
        "shown": [_claim(one) for one in diagnosis.shown],
        "missing": [(one.need, _USER.sub("User", one.because), one.causes) for one in diagnosis.missing],
        "notes": diagnosis.notes,
    }


def differing(one: Diagnosis | None, other: Diagnosis | None) -> list[str]:
    """What differs, a line for each part; empty where both say the same."""
    left, right = summary(one), summary(other)
    return [
        f"{part}: {left.get(part)} / {right.get(part)}"
        for part in sorted({*left, *right})
        if left.get(part) != right.get(part)
    ]


def _claim(claim: Claim) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Words and values; which evidence holds them depends on the order in which answers came."""
    return claim.text, tuple(sorted({(ref.path, _value(ref.value)) for ref in claim.refs}))


def _example(claim: Claim) -> tuple[str, tuple[str, ...]]:
    """What is well cites the first few series that say so, and a server may send series in any order."""
    return claim.text, tuple(sorted(_value(ref.value) for ref in claim.refs))


def _value(value: JsonValue) -> str:
    """Sums depend in their last bits on the order of series; a pseudonym stands for the secret it replaced."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
