"""What follows `E12/` in a citation, resolved: the row it names, and the path into that row.

Rules: a row is named by its own key, by the short form that tables show under a namespace (where only one row has it),
by its number `#n`, or as a JSON Pointer writes its key; anything else names nothing, and is never guessed at.
"""

from __future__ import annotations

from tools.types import Evidence, Row, unescaped

MAX_TOKENS = 64
"""Parts of a citation that are looked at."""


def find(evidence: Evidence, key: str) -> Row | None:
    """The row that `key` names: its own key, `#n`, or its short form where only one row has it."""
    wanted = key.strip(" ")
    if wanted.startswith("#") and wanted[1:].isdecimal() and len(wanted) <= 9:
        number = int(wanted[1:])
        return evidence.rows[number - 1] if 1 <= number <= len(evidence.rows) else None
    short = []
    for row in evidence.rows:
        if row.key == wanted:
            return row
        if row.namespace and row.key == f"{row.namespace}/{wanted}":
            short.append(row)
    return short[0] if len(short) == 1 else None


def locate(evidence: Evidence, rest: str) -> tuple[Row, str] | None:
    """What follows `E12/` in a citation, as (row, JSON Pointer within the row); None when no row is named.

    Keys and paths both hold slashes: the longest key wins.
    """
    tokens = rest.strip(" ").strip("/").split("/")[:MAX_TOKENS]
    if (pointed := find(evidence, unescaped(tokens[0]))) is not None:
        return pointed, "".join(f"/{token}" for token in tokens[1:])
    for length in range(len(tokens), 0, -1):
        row = find(evidence, "/".join(tokens[:length]))
        if row is not None:
            below = tokens[length:]
            return row, "".join(f"/{token}" for token in below)
    return None
