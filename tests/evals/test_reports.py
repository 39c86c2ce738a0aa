"""The page of a run: whole, inert, and laid out as meant in a real browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from agent.render.html import POLICY
from evals.reports import page, samples
from evals.rundir import RunDir
from plumbline.cli import main
from tests.evals.browser import CHROMIUM, browser
from tests.evals.samples import asked, result, stored
from tools.errors import SettingsError

TAGS = re.compile(
    "html|head|meta|title|style|body|h1|h2|h3|h4|p|div|span|b|pre|details|summary|table|thead|tbody|tr|th|td|"
    "svg|desc|text|rect|line"
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' \x1b[31m\u202e"
looked_at = pytest.mark.skipif(not CHROMIUM, reason="no chromium here (PLUMBLINE_TEST_CHROMIUM names one)")


def with_failure(folder: Path) -> RunDir:
    done = result("pending-taint", passed=False)
    return stored(folder, done.model_copy(update={"grades": (done.grades[0].model_copy(update={"detail": HOSTILE}),)}))


def test_hostile_text_is_text(tmp_path: Path) -> None:
    text = page.written(with_failure(tmp_path / "run"))
    assert not {"\x1b", "\u202e"} & set(text)
    assert "alert(1)" in text
    assert all(TAGS.fullmatch(tag) for tag in re.findall(r"<([a-zA-Z][^\s>/]*)", text))
    assert POLICY in text.replace("&#39;", "'")


async def test_the_page_says_what_the_run_was(tmp_path: Path) -> None:
    place = await asked(tmp_path / "run", "hpa-cpu", "pending-taint")
    text = page.written(place, base=str(place.folder))
    for told in ("2 of 2 samples passed", "Confusion", "hpa-cpu", "Against the other run", "0 worse"):
        assert told in text
    for item in place.items():
        assert item.expected in text
    assert len(re.findall(r"<rect[^>]*class=\"call", text)) == sum(item.calls for item in place.items())


def test_what_is_not_shown_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "WHOLE", 1)
    names = ("a-one", "b-two", "c-three")
    place = stored(tmp_path / "run", *(result(name, passed=False) for name in names))
    text = page.written(place)
    assert "2 more samples, 2 of them not passed" in text
    assert all(name in text for name in names)


@looked_at
@pytest.mark.parametrize("width", [1000, 420])
async def test_a_browser_lays_it_out_and_asks_for_nothing(tmp_path: Path, width: int) -> None:
    place = await asked(tmp_path / "run", "hostile-text", "hpa-cpu", "pending-taint")
    place.keep(with_failure(tmp_path / "other").find("pending-taint"))
    file = tmp_path / "page.html"
    file.write_text(page.written(place), encoding="utf-8")
    async with browser(tmp_path / "profile", width=width) as tab:
        await tab.open(file.as_uri())
        assert tab.requested() == [file.as_uri()]
        assert not tab.complaints()
        assert await tab.value("document.querySelectorAll('body > details').length") == 3
        assert await tab.value("document.querySelectorAll('body > details[open]').length") == 1, "what failed is open"
        await tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert await tab.value("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        charts = "[...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect())"
        assert await tab.value(f"{charts}.every(box => box.width > 300 && box.height > 10)")
        inside = "[...document.querySelectorAll('svg text')].every(one => one.getBBox().x >= -1)"
        assert await tab.value(inside), "labels are not cut off at the left"
        assert await tab.value("getComputedStyle(document.querySelector('.bad')).color") != await tab.value(
            "getComputedStyle(document.querySelector('.good')).color"
        )
        words = str(await tab.value("document.body.innerText"))
        assert "<img src=x onerror=alert(2)>" in words, "hostile text stands there as text"
        assert len(await tab.picture()) > 10_000


@looked_at
async def test_the_policy_holds_where_the_page_would_not(tmp_path: Path) -> None:
    """The second wall: with markup forced into it, the page runs and loads nothing."""
    text = page.written(with_failure(tmp_path / "run"))
    broken = text.replace("</body>", "<script>document.title = 'run'</script><img src='x.png'></body>")
    file = tmp_path / "page.html"
    file.write_text(broken, encoding="utf-8")
    async with browser(tmp_path / "profile") as tab:
        await tab.open(file.as_uri())
        assert await tab.value("document.title") != "run"
        assert tab.complaints()


def test_bad_words_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = stored(tmp_path / "run", result("pending-taint"))
    run, out = str(place.folder), str(tmp_path / "page.html")

    def told(*words: str) -> str:
        assert main(["eval", "report", *words]) == 2
        err = capsys.readouterr().err.strip()
        assert "Traceback" not in err
        assert err.count("\n") <= 1
        return err

    assert "nothing to write" in told(run)
    assert "there is no engine 2" in told(run, "--html", out, "--engine", "2")
    assert "nowhere" in told(str(tmp_path / "nowhere"), "--html", out)
    assert "cannot write /proc/page.html" in told(run, "--html", "/proc/page.html")
    assert "cannot write /proc/logs" in told(run, "--inspect", "/proc/logs")
    sample = next((place.folder / "samples").iterdir())
    sample.write_bytes(sample.read_bytes()[:40])
    assert "holds a whole sample" in told(run, "--html", out)
    sample.unlink()
    assert "holds no sample yet" in told(run, "--inspect", str(tmp_path / "logs"))
    assert not os.path.exists(out)


def test_an_engine_without_samples_is_said(tmp_path: Path) -> None:
    place = stored(tmp_path / "run", result("pending-taint"))
    with pytest.raises(SettingsError, match="holds no sample yet"):
        page.written(place, engine=1)
