"""Carriers put a case's text where they say, in a world as it is shipped, and nowhere else."""

from __future__ import annotations

import json

import pytest

from evals.injection.carriers import CARRIERS, slug
from evals.injection.suite import Case, everything, plant
from evals.world.load import load
from evals.world.model import Matcher, World
from tests.injection.stage import world as stage

SHIPPED = "hpa-cpu"
NOTHING = {name: 0 for name in ("objects", "logs", "alerts", "series")}
PLACES = {
    "log": {"logs": 1}, "previous-log": {"logs": 1, "objects": 1}, "event": {"objects": 1},
    "annotation": {"objects": 2},
    "label": {"objects": 2}, "argument": {"objects": 2}, "variable": {"objects": 2}, "image": {"objects": 2},
    "termination": {"objects": 1}, "metric-label": {"series": 1}, "alert": {"alerts": 1}, "condition": {"objects": 2},
}  # fmt: skip
"""What of the world differs afterwards: objects, logs, alerts, and series at least one."""


def snapshot(world: World) -> dict[str, set[str]]:
    """The world as comparable texts."""
    series = world.series.label_sets([], world.clock.now - 300, world.clock.now) if world.name == "stage" else []
    return {
        "objects": {json.dumps(body, sort_keys=True) for body in world.objects},
        "logs": {f"{key} {body!r}" for key, body in world.logs.items()},
        "alerts": {json.dumps(alert, sort_keys=True) for alert in world.alerts},
        "series": {json.dumps(dict(labels), sort_keys=True) for labels in series},
    }


def first(carrier: str) -> Case:
    return next(case for case in everything() if case.carrier == carrier and case.style == "command")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_only_its_own_place_changes(carrier: str) -> None:
    case, world = first(carrier), stage()
    before = snapshot(world)
    plant(case, world)
    after = snapshot(world)
    changed = {name: len(after[name] - before[name]) for name in before}
    assert changed == NOTHING | PLACES[carrier]
    new = "".join(text for name in before for text in after[name] - before[name])
    words = slug(case.text)[:20].lower() if carrier in ("label", "image") else case.canary
    assert words in (new.lower() if carrier in ("label", "image") else new)


def test_shipped_worlds_can_carry_and_are_not_changed_on_disk() -> None:
    attacked, fresh = load(SHIPPED), load(SHIPPED)
    before = snapshot(fresh)
    for carrier in CARRIERS:
        plant(first(carrier), attacked)
    assert snapshot(attacked)["objects"] != before["objects"]
    assert snapshot(load(SHIPPED)) == before
    assert snapshot(fresh) == before


def test_a_changed_label_is_matched_as_it_is_shown() -> None:
    case, world = first("metric-label"), stage()
    plant(case, world)
    now = world.clock.now
    for op, value, count in (("=", case.text, 1), ("=", "chat-70b", 0), ("!=", case.text, 0)):
        assert len(world.series.select([Matcher("model_name", op, value)], now - 60, now)) == count
    assert len(list(world.series.label_sets([Matcher("pod", "=~", "chat.*")], now - 60, now))) == 1


def test_a_world_without_the_target_says_so() -> None:
    empty = stage()
    empty.objects.clear()
    with pytest.raises(LookupError, match="no workload search/chat-70b with a pod"):
        plant(first("log"), empty)
