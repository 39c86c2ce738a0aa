"""Everything that leaves a run or is kept of it, by name: where a canary must never stand.

Rules: evidence keeps what the cluster wrote, so its rows are the source and no sink; all else counts, in every form a
surface draws, and in files as they lie on disk. What is searched is also read as the most lenient reader would.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from agent.app import App
from agent.changes.adopting import as_proposal
from agent.commands import exported
from agent.render import markdown, proposals, terminal
from agent.render.answer import answer
from agent.render.contract import as_json, as_yaml, contract
from agent.render.document import clean
from agent.types import Diagnosis
from tools.types import Evidence

WIDTH = 100
_JOINT = re.compile(r"[\s_-]+")
EXCERPT = 60
"""Characters shown on either side of a sighting."""


def drawn(diagnosis: Diagnosis, evidence: list[Evidence]) -> Iterator[tuple[str, str]]:
    """The answer in its four forms."""
    body = contract(diagnosis, evidence)
    yield "terminal", terminal.draw(answer(diagnosis), width=WIDTH, color=True)
    yield "markdown", markdown.draw(answer(diagnosis))
    yield "json", as_json(body)
    yield "yaml", as_yaml(body)


def stored(app: App, session: str, evidence: list[Evidence]) -> Iterator[tuple[str, str]]:
    """What the store gives back: queries of evidence, exports, drafts as they are shown."""
    for item in evidence:
        yield f"evidence {item.id}", item.model_dump_json(exclude={"rows"})
    for form in ("markdown", "json"):
        yield f"export {form}", exported(app.store, session, form)
    drafts = app.store.drafts(session)
    rows = [as_proposal(draft) for draft in drafts]
    yield "proposals", terminal.draw(proposals.listing(rows), width=WIDTH, color=False)
    for row in rows:
        yield f"proposal {row.id}", terminal.draw(proposals.proposal(row, [], None, [], []), width=WIDTH, color=False)


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Files of the state directory, byte for byte; of the database each table but the bodies of evidence."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("plumbline.db"):
            yield path.name, path.read_bytes().decode("utf-8", "replace")
    with closing(sqlite3.connect(folder / "plumbline.db")) as db:
        tables = [str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            columns = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table})")]
            kept = [name for name in columns if (table, name) != ("evidence", "body")]
            for row in db.execute(f"SELECT {', '.join(kept)} FROM {table}"):
                yield f"table {table}", " ".join(_text(value) for value in row)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def sighting(token: str, text: str, *, cut: bool = False) -> str:
    """The place of a canary in a text, or "". `token` is the first label of its host, in lower case.

    Its bare token is enough, but where a carrier has cut the text and joined its words: then the host itself, or the
    token where a link would have it.
    """
    needles = (f"{token}.canary", f"/{token}", f"@{token}") if cut else (token,)
    plain = text.casefold()
    for form in (plain,) if text.isascii() or "\ufffd" in text else (plain, _lenient(text)):
        searched = _JOINT.sub(".", form) if cut else form
        if (at := max(searched.find(needle) for needle in needles)) >= 0:
            return " ".join(searched[max(0, at - EXCERPT) : at + len(token) + EXCERPT].split())
    return ""


def _lenient(text: str) -> str:
    """Compatibility forms folded and invisible characters gone."""
    return unicodedata.normalize("NFKC", clean(text)).casefold()
