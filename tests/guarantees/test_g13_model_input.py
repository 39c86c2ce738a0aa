"""G13 at the model's input: at most 2 % of harmless identifiers do not come through a table's cell as they are.

Size: 2,400 look-alikes of structure (names, images, digests, ids, addresses); 60,000 in `make prove`.
"""

from __future__ import annotations

import pytest

from agent.llm.untrusted import cell
from tests.tools.secrets import Source, look_alike


def structured(count: int, seed: int) -> list[str]:
    """Look-alikes that are values of fields: no sentences, no queries, no URLs."""
    source = Source(seed)
    found: list[str] = []
    while len(found) < count:
        text = look_alike(source)
        if not any(sign in text for sign in " (){}") and not text.startswith(("http://", "https://")):
            found.append(text)
    return found


def changed(texts: list[str]) -> list[str]:
    return [text for text in texts if cell(text) != text]


def test_identifiers() -> None:
    texts = structured(2400, seed=20261107)
    assert len({text[:8] for text in texts}) > 500
    lost = changed(texts)
    assert len(lost) <= len(texts) * 0.02, lost[:5]


@pytest.mark.prove
def test_identifiers_in_full() -> None:
    texts = structured(60_000, seed=20261108)
    assert len(changed(texts)) <= len(texts) * 0.02
