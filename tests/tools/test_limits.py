"""Budgets: calls and seconds run out, and the last call gets only what is left."""

from __future__ import annotations

import pytest

from tools.errors import Refused
from tools.limits import MODEL_BUDGET, NEEDS_BUDGET, Budget, Meter


def test_the_budgets() -> None:
    assert (Budget(30, 120.0), Budget(200, 60.0)) == (MODEL_BUDGET, NEEDS_BUDGET)


def test_calls_run_out() -> None:
    meter = Meter(Budget(calls=2, seconds=10), clock=lambda: 0.0)
    meter.charge()
    meter.charge()
    with pytest.raises(Refused, match="all 2 calls"):
        meter.charge()
    assert meter.calls == 2


def test_seconds_run_out_and_bound_the_last_call() -> None:
    now = 100.0
    meter = Meter(Budget(calls=9, seconds=20), clock=lambda: now)
    assert (meter.wire("interactive").seconds, meter.wire("bulk").seconds) == (15.0, 20.0)
    now = 115.0
    assert meter.wire("bulk").seconds == 5.0
    now = 130.0
    assert meter.remaining == 0.0
    with pytest.raises(Refused, match="20 s"):
        meter.charge()
