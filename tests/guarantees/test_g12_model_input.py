"""G12 at the model's input: no planted secret stands in any table, index or line that a model is shown.

Size: one secret of each of 52 free-text shapes in logs and in events, and structured secrets in every field, × 3
seeds in `make test`; × 60 seeds in `make prove`. Every row is shown, page by page and whole.
"""

from __future__ import annotations

import pytest

from agent.llm import tables
from agent.llm.untrusted import cell, quoted, soften
from tests.guarantees.test_g12_no_secret_at_any_sink import Planted, gathered, leaked
from tests.tools.fakes import Bench
from tests.tools.secrets import TEXT_SHAPES, Source
from tools.redact import WORLD_KEY, Redactor
from tools.types import Evidence


def everything_shown(evidence: Evidence) -> list[str]:
    """Every page of a table, and every row whole."""
    shown = [tables.one_line(evidence)]
    after = ""
    for _ in range(50):
        page = tables.render(evidence, after=after, size=2048)
        shown.append(page)
        last = page.rsplit("after=", 1)
        if len(last) == 1:
            break
        after = last[1].split(",")[0]
    return shown + [tables.render(evidence, match=row.key, size=1 << 20) for row in evidence.rows]


async def leaks(seed: int) -> tuple[list[str], int]:
    """(secrets of structure that leaked, how many of free text did)."""
    planted = Planted(seed=seed)
    evidence = await gathered(Bench(kube=planted.kube))
    assert [one.status for one in evidence] == ["ok"] * len(evidence)
    text = "\n".join(part for one in evidence for part in everything_shown(one))
    assert "‹redacted:" in text
    return leaked(text, planted.secrets), len(planted.secrets)


async def test_tables() -> None:
    for seed in (11, 12, 13):
        lost, total = await leaks(seed)
        assert total > 60
        assert lost == []


@pytest.mark.prove
async def test_tables_in_full() -> None:
    lost = total = 0
    for seed in range(100, 160):
        found, count = await leaks(seed)
        lost, total = lost + len(found), total + count
    assert lost <= total * 0.01, f"{lost} of {total}"


def test_rendering_never_undoes_a_redaction() -> None:
    source, redactor = Source(20261109), Redactor(WORLD_KEY)
    for shape in TEXT_SHAPES.values():
        for _ in range(5):
            text, secrets = shape(source)
            safe = redactor.text(text)[0]
            if not leaked(safe, secrets):
                assert not leaked("\n".join((cell(safe), quoted(safe), soften(safe))), secrets)
