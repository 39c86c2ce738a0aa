"""Selectors and the windows that a query stands on."""

from __future__ import annotations

import pytest

from evals.promql.selecting import LOOKBACK, touched


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("up", [("up{}", -LOOKBACK, 0.0)]),
        ('rate(a{c!="x",b=~"y|z"}[5m] offset 1h)', [('a{b=~"y|z",c!="x"}', -3600 - 300 - LOOKBACK, -3600.0)]),
        ("max_over_time(sum(a)[30m:1m] offset 10m)", [("a{}", -600 - 1800 - LOOKBACK, -600.0)]),
        ('a / on (x) b{q="\\"\\\\"}', [("a{}", -LOOKBACK, 0.0), ('b{q="\\"\\\\"}', -LOOKBACK, 0.0)]),
        ('{__name__=~"a|b"}', [('{__name__=~"a|b"}', -LOOKBACK, 0.0)]),
    ],
)
def test_windows_reach_as_far_as_the_query(query: str, wanted: list[tuple[str, float, float]]) -> None:
    assert list(touched(query, 0.0, 0.0)) == wanted
