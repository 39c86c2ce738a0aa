"""Names that a question gives: which word is a name, and of what kind the text says it is.

Rules: nothing is looked up here. A certain mention must exist in the cluster; an uncertain one is a word that
may be a name, and counts only where something of that name exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.phrases import (
    EXACT_PREFIX,
    KINDS,
    NAME_FOLLOWS,
    NOT_A_NAME,
    ORDINARY,
    PREFIXES,
    STOP,
    TOPICAL,
    MentionKind,
)
from tools.types import Frozen

MOST = 8
"""Mentions kept of one question."""
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_EDGES = "\"'`“”‘’«»()[]{}<>,.;:!?*…|\\"
_OPENING = "\"'`“‘«"


class Mention(Frozen):
    """One name in a question."""

    kind: MentionKind
    name: str
    namespace: str | None = None
    of: str = ""
    """The Kubernetes kind where the text is that exact ("Deployment", "LocalQueue"), else ""."""
    certain: bool = True
    """False for a word that may just be a word."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a question, without punctuation around it, in lower case."""

    text: str
    quoted: bool = False
    possessive: bool = False
    raw: str = ""
    """As written, but for punctuation around it."""


def tokens(text: str) -> list[Token]:
    """The words of a cleaned text, in order."""
    out: list[Token] = []
    for piece in text.replace("--namespace=", "--namespace ").split():
        bare = piece.strip(_EDGES)
        owned = re.sub(r"['’`]s?$|['’]s['’\"”`]?$", "", bare)
        possessive = owned != bare or bool(re.search(r"s['’]$", piece))
        if owned:
            quoted = piece[0] in _OPENING and piece.rstrip(",.;:!?…")[-1] in _EDGES and len(piece) > 2
            out.append(Token(owned.lower(), quoted=quoted, possessive=possessive, raw=owned))
    return out


def ordinary(word: str) -> bool:
    """True for a word of the language or of the trade: also a hyphenated one all of whose parts are."""
    if word in STOP or word in ORDINARY or word in KINDS or TOPICAL.fullmatch(word):
        return True
    parts = word.split("-")
    if len(parts) == 1:
        return False
    return (parts[0] in PREFIXES and word.replace("-", "").isalpha()) or all(len(p) > 1 and ordinary(p) for p in parts)


def find(words: Sequence[Token]) -> tuple[tuple[Mention, ...], frozenset[int]]:
    """The mentions of a question and the positions of the words they are made of."""
    found: dict[Mention, None] = {}
    used: set[int] = set()
    named = -1  # where the kind word stands that belongs to the name before it
    for at in range(len(words)):
        if len(found) >= MOST:
            break
        mention = _slashed(words, at) or (_after_kind(words, at) if named != at - 1 else None)
        if mention is None and (mention := _before_kind(words, at)):
            named = at + 1
        mention = mention or _bare(words, at)
        if mention is None:
            continue
        found[mention] = None
        if mention.certain:
            used.add(at)
    return _without_doubles(tuple(found)), frozenset(used)


def _without_doubles(found: tuple[Mention, ...]) -> tuple[Mention, ...]:
    """Drop an uncertain or kindless mention of a name that another mention says better."""
    better = {m.name for m in found if m.certain and m.kind != "any"}
    best = {m.name for m in found if m.kind != "any"}
    return tuple(
        m
        for m in found
        if (m.certain or m.name not in better) and (m.kind != "any" or m.namespace or m.name not in best)
    )


def _name(text: str) -> str:
    """The text as a Kubernetes name, or "" when it cannot be one."""
    return text if _LABEL.fullmatch(text) and not NOT_A_NAME.fullmatch(text) else ""


def _slashed(words: Sequence[Token], at: int) -> Mention | None:
    """`namespace/Kind/name`, `kind/name`, `namespace/name`."""
    word = words[at]
    if "/" not in word.text or (NOT_A_NAME.fullmatch(word.text) and not word.quoted):
        return None
    parts = word.text.split("/")
    if len(parts) > 3 or not all(_LABEL.fullmatch(part) for part in parts):
        return None
    if len(parts) == 3:
        return _exact(parts[1], word.raw.split("/")[1], parts[2], parts[0])
    first = parts[0].partition(".")[0]
    if first in KINDS:
        kind, of = KINDS[first]
        return Mention(kind=kind, name=parts[1], of=EXACT_PREFIX.get(first, of))
    before = KINDS.get(words[at - 1].text) if at else None
    if before and before[0] != "namespace":
        return Mention(kind=before[0], name=parts[1], namespace=parts[0], of=before[1])
    certain = word.quoted or not all(ordinary(part) for part in parts)
    return Mention(kind="any", name=parts[1], namespace=parts[0], certain=certain)


def _exact(kind: str, spelled: str, name: str, namespace: str) -> Mention | None:
    """`namespace/Kind/name`; a kind the tables lack must be spelled as kinds are, with a capital."""
    known = KINDS.get(kind)
    if known:
        return Mention(kind=known[0], name=name, namespace=namespace, of=EXACT_PREFIX.get(kind, known[1]))
    return Mention(kind="workload", name=name, namespace=namespace, of=spelled) if spelled[:1].isupper() else None


def _kind_at(words: Sequence[Token], at: int) -> tuple[MentionKind, str] | None:
    """The kind a word names, "local queue" and "cluster queue" included."""
    if not 0 <= at < len(words):
        return None
    word = words[at].text
    if word in ("queue", "queues") and at and words[at - 1].text in ("local", "cluster"):
        return ("queue", "LocalQueue" if words[at - 1].text == "local" else "ClusterQueue")
    return KINDS.get(word)


def _after_kind(words: Sequence[Token], at: int) -> Mention | None:
    """A name that follows its kind: "pod train-0", "team search", "deployment called chat"."""
    before = at - 2 if at and words[at - 1].text in ("called", "named") else at - 1
    kind = _kind_at(words, before)
    word = words[at]
    name = _name(word.text) or (word.text if word.quoted and _LABEL.fullmatch(word.text) else "")
    if kind is None or not name or words[before].possessive or (name in STOP and not word.quoted):
        return None
    if word.quoted or not ordinary(name):
        return Mention(kind=kind[0], name=name, of=kind[1])
    if kind[0] in ("pod", "workload") or name in KINDS:
        return None
    return Mention(kind=kind[0], name=name, of=kind[1], certain=False)


def _before_kind(words: Sequence[Token], at: int) -> Mention | None:
    """A name that stands before its kind: "the search team", "gpu-3 node"."""
    word = words[at]
    after = at + 1
    if after + 1 < len(words) and words[after].text in ("local", "cluster"):
        after += 1
    kind = _kind_at(words, after)
    name = _name(word.text)
    if kind is None or not name or name in KINDS or word.possessive or (ordinary(name) and not word.quoted):
        return None
    return Mention(kind=kind[0], name=name, of=kind[1], certain=word.quoted or telling(name))


def _bare(words: Sequence[Token], at: int) -> Mention | None:
    """A name nobody says the kind of: quoted, with a hyphen or digit, or where a name would stand."""
    word = words[at]
    name = _name(word.text) or (word.text if word.quoted and _LABEL.fullmatch(word.text) else "")
    if not name or (name in STOP and not word.quoted):
        return None
    if word.quoted or telling(name):
        return Mention(kind="any", name=name, certain=not ordinary(name))
    placed = word.possessive or (at > 0 and words[at - 1].text in NAME_FOLLOWS) or len(words) == 1
    return Mention(kind="any", name=name, certain=False) if placed and not ordinary(name) else None


def telling(name: str) -> bool:
    """True when a word looks like a name: it has a hyphen or a digit."""
    return "-" in name or any(c.isdigit() for c in name)
