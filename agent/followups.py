"""Understands a follow-up without a model: a text that only makes sense after an earlier answer.

Rules: pure, total and bounded; tables in agent/followup_phrases.py decide; a text that is a full question of its own
is never a follow-up; what is outside the grammar is none either, so that it is answered like any other question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal

from agent import grammar, spans
from agent.followup_phrases import (
    AGAIN,
    COMPILED,
    EVERYWHERE,
    FILLERS,
    OTHER,
    PADDING,
    QUESTION_WORDS,
    STRONG,
    TAIL,
    THERE,
    WEAK,
    Ask,
    Kind,
)
from agent.history import Past
from agent.mentions import Token, find, tokens
from agent.phrases import CONTRACTIONS, NOT_A_NAME
from agent.suspects import suspected
from agent.types import Family, Topic
from tools.redaction.cleaning import clean
from tools.types import Frozen

MOST_CHARACTERS = 200
"""Longer texts are questions of their own."""
SHORT = 3
"""Words of "and what changed?": up to so many, a question after "and" is still about what the last one was about."""
NO_PAST = "there is no earlier answer in this session to go on from"
ASK_FIRST = 'ask the whole question first, such as "why are our GPUs idle in namespace NAME?"'
_CAUSE = re.compile(r"[a-z]\d{1,3}")


class Followup(Frozen):
    """What a follow-up asks."""

    kind: Kind
    text: str
    """What is left of the text to take names and times from, in lower case."""
    place: Literal["", "other", "everywhere"] = ""
    topic: Topic | None = None
    """The new topic, where the text has one; with its families and causes."""
    families: tuple[Family, ...] = ()
    causes: tuple[str, ...] = ()
    whole: bool = False
    """True where everything that was read is meant, not only what the answer cites."""
    evidence: str = ""
    figure: str = ""
    cause: str = ""
    word: str = ""
    """What the user suspects, in his words."""

    @property
    def stored(self) -> bool:
        """True where the store answers, and nothing is read from the cluster."""
        return self.kind not in ("rescope", "again")


def follow(text: str, past: Past | None, known: Collection[str]) -> Followup | None:
    """The follow-up a text is, or None for a question of its own. `known`: ids of the causes of the catalogue.

    Kind "alone" stands for a follow-up that has nothing to follow.
    """
    words = _words(text)
    if not words:
        return None
    plain = TAIL.sub("", FILLERS.sub("", " ".join(word.text for word in words) + " ", count=1).strip())
    found = _asked(plain, known) or _suspicion(plain, known) or _moved(plain)
    if found is None or past is not None or found.kind == "explain":
        return found
    elliptical = found.stored or (STRONG.match(plain) is not None or AGAIN.fullmatch(plain) is not None)
    asking = plain.startswith(("what about ", "how about "))
    own = found.kind == "rescope" and not found.place and (asking or grammar.parse(text).understood)
    return Followup(kind="alone", text=plain) if elliptical and not own else None


def _words(text: str) -> list[Token]:
    """The words of a short text, contractions spelled out; none of a long one."""
    if len(text) > MOST_CHARACTERS:
        return []
    line = clean(text).replace("’", "'")
    for short, full in CONTRACTIONS:
        line = re.sub(short, full, line, flags=re.IGNORECASE)
    return tokens(line)


def _asked(plain: str, known: Collection[str]) -> Followup | None:
    """A text that asks something of the last answer."""
    rest = re.sub(r"^(?:and|but) ", "", plain)
    for ask, patterns in COMPILED:
        for pattern in patterns:
            match = pattern.fullmatch(f" {rest}")
            if match is None:
                continue
            found = _with(ask, match.groupdict(), rest)
            if _meant(found, rest, known):
                return found
    return None


def _with(ask: Ask, parts: dict[str, str | None], rest: str) -> Followup:
    return Followup(
        kind=ask.kind,
        text=rest,
        whole=ask.whole,
        evidence=(parts.get("evidence") or "").upper(),
        figure=parts.get("figure") or "",
        cause=(parts.get("cause") or "").upper(),
        word=parts.get("word") or "",
    )


def _meant(found: Followup, rest: str, known: Collection[str]) -> bool:
    """False where the words fit a pattern and the text is yet a question of its own."""
    if found.kind == "explain":
        return found.cause in known or found.cause[:1] in ("U", "D")
    if not found.word:
        return True
    if found.kind == "why_not":
        sure = suspected(found.word) is not None or cause_in(found.word, known) != ""
        named = any(mention.certain for mention in find(tokens(found.word))[0])
        return sure or not (named or (rest.startswith("why ") and grammar.parse(rest).understood))
    return not find(tokens(found.word))[0] and not (found.kind == "remedy" and grammar.parse(found.word).understood)


def cause_in(word: str, known: Collection[str]) -> str:
    """The id of the cause a text names outright, "" where it names none that exists."""
    ids = (part.upper() for part in word.split() if _CAUSE.fullmatch(part))
    return next((cause for cause in ids if cause in known), "")


def _suspicion(plain: str, known: Collection[str]) -> Followup | None:
    """ "what about the network?", "and U16?" """
    strong = STRONG.match(plain)
    rest = plain[strong.end() :] if strong else ""
    if not rest or any(mention.certain for mention in find(tokens(rest))[0]):
        return None
    if cause_in(rest, known) or (suspected(rest) is not None and not grammar.parse(rest).understood):
        return Followup(kind="why_not", text=rest, word=rest)
    return None


def _moved(plain: str) -> Followup | None:
    """The last question, asked again: elsewhere, over another time, or about another topic."""
    strong = STRONG.match(plain)
    rest = plain[strong.end() :].strip() if strong else plain
    if AGAIN.fullmatch(rest):
        return Followup(kind="again", text="")
    if OTHER.fullmatch(rest):
        return Followup(kind="rescope", text="", place="other")
    everywhere = EVERYWHERE.match(rest)
    place: Literal["", "everywhere"] = ""
    if everywhere and (strong or WEAK.match(rest) or everywhere.end() == len(rest)) and not _content(rest)[1]:
        place = "everywhere"
        rest = rest[everywhere.end() :].strip()
    pointed = THERE.sub("", rest)
    named, left = _content(pointed)
    if rest.split(" ")[0] in QUESTION_WORDS:
        return _shortened(pointed, named=named, there=pointed != rest, strong=strong is not None)
    if not (strong or WEAK.match(rest) or place):
        return None
    if not left:
        changed = named or place or spans.read(pointed) != spans.Span()
        return Followup(kind="rescope", text=pointed, place=place) if changed else None
    return _about(" ".join(left), pointed, place) if strong else None


def _content(text: str) -> tuple[bool, list[str]]:
    """(whether anything is named, the words that are neither names nor padding)."""
    words = tokens(text)
    mentions, used = find(words)
    names = {mention.name for mention in mentions}
    left = [
        word.text
        for at, word in enumerate(words)
        if at not in used
        and word.text.rpartition("/")[2] not in names
        and word.text not in PADDING
        and not NOT_A_NAME.fullmatch(word.text)
    ]
    return bool(mentions), left


def _shortened(text: str, *, named: bool, there: bool, strong: bool) -> Followup | None:
    """A question that leaves out where: "what changed there?", "and what changed?" """
    short = strong and len(text.split()) <= SHORT
    return _about(text, text, "") if (there or short) and not named else None


def _about(topical: str, text: str, place: Literal["", "everywhere"]) -> Followup | None:
    parsed = grammar.parse(topical)
    if not parsed.understood:
        return None
    return Followup(
        kind="rescope", text=text, place=place, topic=parsed.topic, families=parsed.families, causes=parsed.causes
    )


def namespaces_in_play(pasts: Sequence[Past]) -> tuple[str, ...]:
    """Namespaces that earlier answers of the session were about and the last one was not."""
    if not pasts:
        return ()
    now = set(pasts[0].scope.namespaces or ())
    named = [ns for past in pasts[1:] for ns in past.scope.namespaces or ()]
    return tuple(ns for ns in dict.fromkeys(named) if ns not in now)
