"""The series source: matchers, windows, lives, gaps, staleness, overrides and drops."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import pytest

from evals.world import generators as g
from evals.world.metrics import read_metrics
from evals.world.model import Clock, Matcher
from evals.world.places import place_of
from evals.world.series import STALE, Entry, Rules, WorldSeries, acceptor
from tools.documents import load_yaml_located

NOW = 1000.0 * 30


def source(entries: Sequence[Entry], rules: Rules | None = None, now: float = NOW) -> WorldSeries:
    return WorldSeries(
        {"m": lambda: entries, "other": lambda: ()}, rules=rules, clock=Clock(now), anchor=NOW, step=30.0
    )


def rules_of(text: str) -> Rules:
    value, lines = load_yaml_located(text, name="m.yaml")
    return read_metrics([place_of("m.yaml", value, lines)]).rules


def entry(**labels: str) -> Entry:
    return Entry(labels, g.Constant(1.0))


def found(of: WorldSeries, *matchers: tuple[str, str, str]) -> list[str]:
    name = Matcher("__name__", "=", "m")
    wanted = [name, *(Matcher(label, op, value) for label, op, value in matchers)]
    return [series.labels["pod"] for series in of.select(wanted, NOW, NOW)]


PODS = [entry(pod="a", team="x"), entry(pod="b", team="y"), entry(pod="c")]


@pytest.mark.parametrize(
    ("matchers", "pods"),
    [
        ([], ["a", "b", "c"]),
        ([("team", "=", "x")], ["a"]),
        ([("team", "!=", "x")], ["b", "c"]),
        ([("team", "=", "")], ["c"]),
        ([("team", "=~", "x|y")], ["a", "b"]),
        ([("team", "=~", "")], ["c"]),
        ([("team", "!~", "x.*")], ["b", "c"]),
        ([("team", "=~", ".+"), ("pod", "!=", "a")], ["b"]),
        ([("pod", "=~", "a.")], []),
    ],
)
def test_matchers_select_as_prometheus_does(matchers: list[tuple[str, str, str]], pods: list[str]) -> None:
    assert found(source(PODS), *matchers) == pods


def test_a_name_can_be_a_pattern_or_absent() -> None:
    of = source(PODS)
    assert len(of.select([Matcher("__name__", "=~", "m|zzz")], NOW, NOW)) == 3
    assert len(of.select([Matcher("pod", "=", "a")], NOW, NOW)) == 1
    assert of.select([Matcher("__name__", "=", "absent")], NOW, NOW) == []


def test_a_broken_pattern_is_named() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        acceptor(Matcher("a", "=~", "("))


def test_a_family_is_made_once_and_only_when_it_is_asked_for() -> None:
    made: list[int] = []

    def family() -> list[Entry]:
        made.append(1)
        return list(PODS)

    of = WorldSeries({"m": family, "n": family}, clock=Clock(NOW), anchor=NOW, step=30.0)
    assert made == []
    found(of), found(of)
    assert made == [1]


def test_a_window_is_closed_and_its_samples_lie_on_the_grid() -> None:
    (series,) = source([entry(pod="a")]).select([Matcher("__name__", "=", "m")], NOW - 95, NOW)
    assert list(series.times) == [NOW - 90, NOW - 60, NOW - 30, NOW]


def test_nothing_lies_after_the_clock_until_it_advances() -> None:
    of = source([entry(pod="a")])
    assert not of.select([Matcher("__name__", "=", "m")], NOW + 30, NOW + 300)
    late = source([entry(pod="a")], now=NOW + 60)
    (series,) = late.select([Matcher("__name__", "=", "m")], NOW + 30, NOW + 300)
    assert list(series.times) == [NOW + 30, NOW + 60]


def test_a_series_lives_from_its_birth_to_its_end_and_then_goes_stale() -> None:
    of = source([Entry({"pod": "a"}, g.Constant(2.0), born=-120.0, dies=-60.0)])
    (series,) = of.select([Matcher("__name__", "=", "m")], NOW - 600, NOW)
    assert list(series.times) == [NOW - 120, NOW - 90, NOW - 60]
    assert list(series.values[:2]) == [2.0, 2.0]
    assert struct.pack(">d", series.values[2]).hex() == "7ff0000000000002"
    assert not of.label_sets([Matcher("__name__", "=", "m")], NOW - 30, NOW)


def test_a_gap_begins_with_a_staleness_marker() -> None:
    of = source([Entry({"pod": "a"}, g.Constant(2.0), gaps=((-120.0, -60.0),))])
    (series,) = of.select([Matcher("__name__", "=", "m")], NOW - 150, NOW)
    assert [(t - NOW, math.isnan(v)) for t, v in zip(series.times, series.values, strict=True)] == [
        (-150, False),
        (-120, True),
        (-60, False),
        (-30, False),
        (0, False),
    ]


def test_dropouts_lose_the_share_they_say_and_do_not_depend_on_the_window() -> None:
    of = source([Entry({"pod": "a"}, g.Constant(2.0), seed=5, dropout=0.3)])
    (whole,) = of.select([Matcher("__name__", "=", "m")], 0, NOW)
    kept = {time for time, value in zip(whole.times, whole.values, strict=True) if not math.isnan(value)}
    assert len(kept) == pytest.approx(700, abs=50)
    (part,) = of.select([Matcher("__name__", "=", "m")], NOW - 600, NOW)
    inside = {time for time, value in zip(part.times, part.values, strict=True) if not math.isnan(value)}
    assert inside == {time for time in kept if time >= NOW - 600}


def test_an_override_changes_the_value_of_what_it_matches() -> None:
    rules = rules_of("override:\n- {match: {name: m, pod: a}, value: 7}\n")
    of = source(PODS, rules)
    values = {s.labels["pod"]: s.values[0] for s in of.select([Matcher("__name__", "=", "m")], NOW, NOW)}
    assert values == {"a": 7.0, "b": 1.0, "c": 1.0}


def test_a_series_written_out_replaces_the_derived_one_with_the_same_labels() -> None:
    rules = rules_of("series:\n- {name: m, labels: {pod: c}, value: 9}\n- {name: new, labels: {a: b}, value: 1}\n")
    of = source(PODS, rules)
    values = {s.labels["pod"]: s.values[0] for s in of.select([Matcher("__name__", "=", "m")], NOW, NOW)}
    assert values == {"a": 1.0, "b": 1.0, "c": 9.0}
    assert len(of.select([Matcher("__name__", "=", "new")], NOW, NOW)) == 1
    assert of.names == ["m", "new", "other"]


def test_a_drop_takes_series_away_for_ever_or_for_a_while() -> None:
    rules = rules_of("drop:\n- {match: {name: m, pod: a}}\n- {match: {name: '.', pod: b}, from: -90s}\n")
    of = source(PODS, rules)
    assert found(of) == ["c"]
    (series,) = of.select([Matcher("__name__", "=", "m"), Matcher("pod", "=", "b")], NOW - 180, NOW)
    assert [time - NOW for time in series.times] == [-180, -150, -120, -90]
    assert math.isnan(series.values[-1])


def test_staleness_is_a_nan_of_its_own() -> None:
    assert struct.pack(">d", STALE) != struct.pack(">d", math.nan)
