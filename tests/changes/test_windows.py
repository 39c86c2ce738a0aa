"""When nothing may be written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.changes.windows import STOP_FILE, Freeze, Switches, frozen
from tests.tools.fakes import FakeKube, named
from tools.types import JsonObject, ResourceRef

CHAT = ResourceRef(group="apps", kind="Deployment", namespace="search", name="chat")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ({"days": ["sat", "sun"], "begins": "00:00", "ends": "23:59"},
         ["2026-11-28T12:00:00Z", "2026-11-29T00:00:00Z"], ["2026-11-27T12:00:00Z", "2026-11-30T00:00:00Z"]),
        ({"days": ["fri"], "begins": "18:00", "ends": "08:00"},
         ["2026-11-27T18:00:00Z", "2026-11-28T07:59:59Z"],
         ["2026-11-27T17:59:59Z", "2026-11-28T08:00:00Z", "2026-11-28T18:00:00Z", "2026-11-27T07:00:00Z"]),
        ({"begins": "22:00", "ends": "22:00"}, ["2026-11-27T22:00:00Z", "2026-11-27T21:00:00Z"], []),
        ({"begins": "09:00", "ends": "17:00", "zone": "America/New_York"},
         ["2026-11-27T14:00:00Z", "2026-07-27T13:00:00Z"], ["2026-11-27T13:00:00Z", "2026-07-27T21:00:00Z"]),
        ({"since": "2026-12-20T00:00:00Z", "until": "2027-01-02T00:00:00+01:00"},
         ["2026-12-20T00:00:00Z", "2027-01-01T22:59:59Z"], ["2026-12-19T23:59:59Z", "2027-01-01T23:00:00Z"]),
    ],
)  # fmt: skip
def test_a_window_holds_by_its_own_clock(window: JsonObject, inside: list[str], outside: list[str]) -> None:
    freeze = Freeze.model_validate(window)
    assert [freeze.holds(moment(text)) for text in inside] == [True] * len(inside)
    assert [freeze.holds(moment(text)) for text in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    "window",
    [
        {}, {"days": ["sat"]}, {"begins": "09:00"}, {"since": "2026-12-20T00:00:00Z"},
        {"since": "2026-12-20T00:00:00", "until": "2027-01-02T00:00:00"},
        {"since": "2027-12-20T00:00:00Z", "until": "2027-01-02T00:00:00Z"},
        {"begins": "25:00", "ends": "26:00"}, {"begins": "09:00", "ends": "10:00", "zone": "Mars/Base"},
        {"begins": "09:00", "ends": "10:00", "zone": "../../etc/passwd"},
        {"begins": "09:00", "ends": "10:00", "days": ["Saturday"]},
    ],
)  # fmt: skip
def test_a_window_that_makes_no_sense_is_refused(window: JsonObject) -> None:
    with pytest.raises(ValidationError):
        Freeze.model_validate(window)


def test_a_window_may_be_of_some_namespaces() -> None:
    always = {"begins": "00:00", "ends": "00:00", "reason": "year end"}
    assert frozen([Freeze.model_validate(always)], CHAT, 0) == "a freeze window is open: year end"
    other = Freeze.model_validate({**always, "namespaces": ["lab"]})
    assert frozen([other], CHAT, 0) == ""
    assert frozen([other, Freeze.model_validate({**always, "namespaces": ["search"]})], CHAT, 0)


def config_map(**data: str) -> FakeKube:
    return FakeKube(objects={"ConfigMap": [{**named("ConfigMap", "stop", "ops"), "data": {**data}}]})


@pytest.mark.parametrize(
    ("kube", "said"),
    [
        (config_map(stop="false"), ""),
        (config_map(stop="true"), "is set in ConfigMap ops/stop"),
        (config_map(stop=""), "is set in ConfigMap ops/stop"),
        (config_map(), "is set in ConfigMap ops/stop"),
        (FakeKube(), "is not there"),
    ],
)
async def test_a_config_map_that_does_not_say_false_stops(kube: FakeKube, said: str, tmp_path: Path) -> None:
    found = await Switches(kube, tmp_path, config_map="ops/stop").stopped(CHAT, 0)
    assert said in found
    assert bool(said) is bool(found)


async def test_settings_and_a_file_stop(tmp_path: Path) -> None:
    switches = Switches(FakeKube(), tmp_path)
    assert await switches.stopped(CHAT, 0) == ""
    (tmp_path / STOP_FILE).write_text("")
    assert "STOP exists" in await switches.stopped(CHAT, 0)
    assert "in the settings" in await Switches(FakeKube(), tmp_path, stop=True).stopped(CHAT, 0)


async def test_a_stop_that_is_a_link_to_nowhere_stops_and_one_that_cannot_be_looked_for_too(tmp_path: Path) -> None:
    (tmp_path / STOP_FILE).symlink_to(tmp_path / "nowhere")
    assert "STOP exists" in await Switches(FakeKube(), tmp_path).stopped(CHAT, 0)
    (tmp_path / "file").write_text("")
    assert "cannot be read" in await Switches(FakeKube(), tmp_path / "file").stopped(CHAT, 0)
    assert await Switches(FakeKube(), tmp_path / "none").stopped(CHAT, 0) == ""
