"""Every query of the domain reference does what it says on its series, under 2.x and 3.x, without exception."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from evals.promql.model import STALE, Semantics, is_stale
from tests.promql.promtool import Case, Group, duration, labels_of, read_rules, read_tests, run_case, values_of

DATA = Path(__file__).parent.parent / "data" / "domain"


@cache
def cases(file: str) -> tuple[list[Case], list[Group], float]:
    tests = read_tests((DATA / file).read_text(encoding="utf-8"), file)
    rules = [group for name in tests.rule_files for group in read_rules((DATA / name).read_text("utf-8"), name)]
    return tests.tests, rules, duration(tests.evaluation_interval)


ALL = [(file, i) for file in ("queries-test.yml", "recording-rules-test.yml") for i in range(len(cases(file)[0]))]


def test_no_case_is_lost() -> None:
    assert len(cases("queries-test.yml")[0]) == 195
    assert len(cases("recording-rules-test.yml")[0]) == 6


@pytest.mark.parametrize("semantics", ["2.x", "3.x"])
@pytest.mark.parametrize(("file", "index"), ALL, ids=lambda value: str(value))
def test_case(file: str, index: int, semantics: Semantics) -> None:
    tests, rules, interval = cases(file)
    failures = list(run_case(tests[index], rules, interval, semantics))
    assert not failures, "\n".join(failures)


def test_the_notation() -> None:
    assert values_of("1 2 _ 3") == [1, 2, None, 3]
    assert values_of("0+10x3") == [0, 10, 20, 30]
    assert values_of("100-5x2") == [100, 95, 90]
    assert values_of("-1x1 _x2 8x2") == [-1, -1, None, None, 8, 8, 8]
    assert values_of("1e3x1 -2.5+1x1") == [1000, 1000, -2.5, -1.5]
    stale = values_of("stale")[0]
    assert stale is not None
    assert is_stale(stale)
    assert is_stale(STALE)
    assert labels_of('a:b{x="1", y="q\\"\\\\\\n"}') == {"__name__": "a:b", "x": "1", "y": 'q"\\\n'}
    assert labels_of("{}") == {}
    with pytest.raises(ValueError, match="not a sample"):
        values_of("1xx2")
