"""Label selectors mean what they mean to kubectl, and narrow an answer to what they match."""

from __future__ import annotations

import pytest

from agent.analysis.labels import matches, parse
from agent.events import Answered
from tests.agent.conftest import Opener
from tools.errors import SettingsError

LABELS = {"app": "chat", "tier": "gold", "example.com/team": "search"}


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("", True), ("app=chat", True), ("app==chat,tier!=silver", True), ("app!=chat", False),
        ("app in (chat, other)", True), ("tier notin (gold)", False), ("missing notin (x)", True),
        ("app", True), ("!app", False), ("!missing", True), ("example.com/team=search", True), ("missing!=x", True),
    ],
)  # fmt: skip
def test_what_a_selector_matches(selector: str, holds: bool) -> None:  # noqa: FBT001
    assert matches(parse(selector), LABELS) is holds


@pytest.mark.parametrize("selector", ["app in (", "=", "a=b=c", "app in chat", "a b", "-x", "x" * 3000])
def test_what_is_no_selector(selector: str) -> None:
    with pytest.raises(ValueError):
        parse(selector)


@pytest.mark.parametrize(("selector", "causes"), [("app=no-such-app", []), ("", ["U13"])])
async def test_a_selector_narrows_the_answer(opened: Opener, selector: str, causes: list[str]) -> None:
    async with opened() as (app, _):
        session = await app.session(selector=selector)
        last = [event async for event in session.ask("why are our GPUs idle?")][-1]
    assert isinstance(last, Answered)
    assert [finding.cause for finding in last.diagnosis.findings] == causes


async def test_a_bad_selector_is_one_line(opened: Opener) -> None:
    async with opened() as (app, _):
        with pytest.raises(SettingsError, match="--selector"):
            await app.session(selector="app in (")
