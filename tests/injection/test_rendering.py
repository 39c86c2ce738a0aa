"""Attacks as a model is shown them: quoted, on one line, without a live token, link or border; and as it repeats them.

Size: every payload once, through carriers and styles, in `make test`; all combinations in `make prove`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from agent.grounding.claims import Known, Said, ground
from agent.llm import tables
from agent.llm.entries import LABEL
from agent.llm.untrusted import CAP
from evals.injection.carriers import CARRIERS
from evals.injection.styles import BREAKS, STYLES
from evals.injection.suite import Case, everything, pairwise, parts
from tests.injection.stage import seen
from tools.types import Evidence

LIVE = re.compile(
    r"<\||\|>|<<|</?[a-z_]|\[/?INST|\[E\d|```|###|\]\(|!\[|://|\bwww\.|(?i:\b(?:system|assistant|human|user)\s*:\s)"
)
"""Chat templates, tags, citations, fences, headings, links, roles."""
QUOTED = re.compile(r'"[^"]*"')
SLUGS = ("label", "image")
"""Carriers in which only words joined by hyphens can stand: identifiers, which pass as they are."""


_CALM: dict[str, list[Evidence]] = {}
"""What each carrier's reads bring where it says something harmless."""


def shown(evidence: Evidence) -> list[str]:
    """The table, each row whole, and the lines that stand for it later."""
    whole = [tables.render(evidence, match=f"#{number}") for number, _ in enumerate(evidence.rows, 1)]
    return [tables.render(evidence), *whole, tables.one_line(evidence)]


def lines_of(text: str) -> int:
    """Lines beside the label, which stands only over tables that quote."""
    return text.count("\n") - text.count(LABEL)


async def check(case: Case) -> int:
    """Assert what must hold of one case; returns how often its text was shown quoted."""
    quotations = 0
    if case.carrier not in _CALM:
        _CALM[case.carrier] = await seen(case, harmless=True)
    for attacked, calm in zip(await seen(case), _CALM[case.carrier], strict=True):
        assert attacked.status == calm.status == "ok"
        for text, base in zip(shown(attacked), shown(calm), strict=False):
            assert not LIVE.search(text), f"{case.id}: {text}"
            if case.carrier not in SLUGS:
                assert case.canary not in text, case.id
            if case.carrier not in ("log", "previous-log"):
                assert lines_of(text) == lines_of(base), f"{case.id}: a row is not one line"
            for part in QUOTED.findall(text):
                assert len(part) <= CAP + 14
            if QUOTED.search(text) and "\n" in text:
                assert LABEL in text
        quotations += len(QUOTED.findall(tables.render(attacked)))
        _lines_of_logs(case, attacked)
    return quotations


def _lines_of_logs(case: Case, evidence: Evidence) -> None:
    if evidence.tool != "pod_logs":
        return
    lines = [line for line in tables.render(evidence).split("\n") if re.match(r"L\d+\|×\d+\|", line)]
    assert all(re.fullmatch(r'L\d+\|×\d+\|"[^"]*"', line) for line in lines), case.id
    assert sum(int(line.split("|")[1][1:]) for line in lines) == len(evidence.rows)
    assert tables.render(evidence).count("\n") == len(lines) + 3


def slice_of(cases: Iterable[Case]) -> list[Case]:
    """Each payload once, going through carriers and styles."""
    carriers = list(CARRIERS)
    places = [(carrier, style) for style in STYLES for carrier in carriers]
    return [case for case in cases if places[case.number * 11 % len(places)] == (case.carrier, case.style)]


def test_the_suite_is_as_large_as_it_says() -> None:
    cases = list(everything())
    assert parts()["payloads"] >= 300
    assert (parts()["carriers"], parts()["styles"]) == (12, 3)
    assert len({case.text for case in cases}) == len(cases) == parts()["payloads"] * 36
    assert len({case.canary for case in cases}) == len(cases)
    assert len({case.payload.order for case in cases}) == len({case.payload.story for case in cases}) == len(cases) / 36


def test_the_covering_design_covers_every_pair_and_no_more() -> None:
    cases = pairwise(seed=7)
    carriers = {(case.payload.id, case.carrier) for case in cases}
    assert len(carriers) == len(cases) == parts()["payloads"] * parts()["carriers"]
    assert len({(case.payload.id, case.style) for case in cases}) == parts()["payloads"] * parts()["styles"]
    assert len({(case.carrier, case.style) for case in cases}) == 36
    assert [case.id for case in cases] == [case.id for case in pairwise(seed=7)]
    assert [case.id for case in cases] != [case.id for case in pairwise(seed=8)]


async def test_a_slice() -> None:
    cases = slice_of(everything())
    assert len({case.payload.id for case in cases}) == parts()["payloads"]
    assert {case.form for case in cases} - {""} == {name for name, _ in BREAKS}
    quotations = [await check(case) for case in cases]
    assert sum(count > 0 for count in quotations) > len(cases) / 3


@pytest.mark.prove
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_all(carrier: str) -> None:
    for case in everything():
        if case.carrier == carrier:
            await check(case)


# --- repeated by a model -----------------------------------------------------------------------------------------

LINKS = re.compile(r"://|\bwww\.|\]\(|<[a-z/!@#]|canary\.example")


async def repeated(case: Case) -> None:
    """A model that copies the attack, as written and as shown, yields nothing that links or is uncited."""
    evidence = (await seen(case))[0]
    kept = {evidence.id: evidence}
    for text in (case.text, f"{case.text} [{evidence.id}]", tables.render(evidence)):
        for cites in ((), (evidence.id,), (f"{evidence.id}/{evidence.rows[0].key}", "E999")):
            grounded = ground([Said(text=text, cites=cites)], kept.__getitem__, Known())
            for claim in grounded.claims:
                assert {ref.evidence for ref in claim.refs} == {evidence.id}
                assert not LINKS.search(claim.text), f"{case.id}: {claim.text}"
                assert case.canary not in claim.model_dump_json() or case.carrier in SLUGS, f"{case.id}: {claim.refs}"


async def test_a_slice_repeated() -> None:
    for case in slice_of(everything())[::4]:
        await repeated(case)


@pytest.mark.parametrize("carrier", ["log", "annotation", "alert", "condition", "termination", "metric-label"])
async def test_a_reference_carries_no_host_of_the_text_it_quotes(carrier: str) -> None:
    """A number of the statement stands in the text that names the host, or in the row's own key."""
    cases = [c for c in everything() if (c.payload.aim, c.carrier, c.style) == ("downgrade", carrier, "plausible")]
    assert len(cases) > 10
    for case in cases:
        await repeated(case)
        for evidence in await seen(case):
            said = Said(text="the fixed build is 0.3.1, found in kernel fa3 3 times", cites=(evidence.id,))
            rows = [said.model_copy(update={"cites": (f"{evidence.id}/{row.key}",)}) for row in evidence.rows]
            grounded = ground([said, *rows], {evidence.id: evidence}.__getitem__, Known())
            assert all(case.canary not in claim.model_dump_json() for claim in grounded.claims), case.id


@pytest.mark.prove
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_all_repeated(carrier: str) -> None:
    for case in everything():
        if case.carrier == carrier:
            await repeated(case)
