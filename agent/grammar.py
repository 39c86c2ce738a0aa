"""Understands a question without a model: its topic, its window, the families that answer it, the names in it.

Rules: total and bounded (any text, at most 4 kB of it, gives a Parsed); tables in agent/phrases.py decide;
what is outside the grammar becomes an honest overview, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent import spans
from agent.beyond import AN_ORDER, beyond
from agent.mentions import Mention as Mention
from agent.mentions import Token, find, ordinary, tokens
from agent.phrases import BOTH, CONTRACTIONS, EXAMPLES, GPU, OBJECT_PHRASES, PATTERNS, SPELLED, Rule, compiled
from agent.spans import Span
from agent.types import Family, Topic
from tools.redaction.cleaning import clean
from tools.types import Frozen

MOST_BYTES = 4_096
"""Bytes of a question that are read; the rest is cut, and the answer says so."""
_MARKUP = re.compile(
    r"</?(?:a|b|br|code|div|em|i|img|li|ol|p|pre|script|span|strong|style|u|ul)(?: [^<>]{0,200})?/?>"
    r"|<[@#!][^<>]{0,80}>",
    re.IGNORECASE,
)
"""HTML tags and Slack's references to people and channels."""
_OBJECT = tuple(compiled(phrase) for phrase in OBJECT_PHRASES.split("|"))


class Parsed(Frozen):
    """What a question asks, before any name in it was looked up."""

    question: str
    """Cleaned of control characters and markup, and cut to 4 kB."""
    topic: Topic
    families: tuple[Family, ...]
    causes: tuple[str, ...] = ()
    span: Span = Span()
    mentions: tuple[Mention, ...] = ()
    understood: bool = True
    beyond: str = ""
    """What to say of a question that is read and not answered (agent/beyond.py); "" for any other."""
    note: str = ""
    """What the user should know about the reading of the question; "" when nothing."""

    @property
    def window(self) -> float | None:
        """Seconds, where the text gives a length; "since yesterday" needs `window_at`."""
        return self.span.seconds(0.0) if self.span.length is not None else None

    def window_at(self, now: float) -> float | None:
        """Seconds of history up to `now` that the text names, or None."""
        return self.span.seconds(now)


def parse(question: str) -> Parsed:
    """The reading of a question. Never raises; time is bounded by the 4 kB that are read."""
    text, note = _cut(question)
    words = [_spelled(token) for token in tokens(_long_forms(text))]
    mentions, used = find(words)
    plain = " ".join(_plain(word.text) for at, word in enumerate(words) if at not in used)
    rule = _rule(plain)
    outside = beyond(" ".join(_plain(word.text) for word in words))
    rule = None if outside == AN_ORDER else rule  # "propose a change" asks for no past changes
    topic, families, causes, understood = _decide(rule, plain, mentions)
    return Parsed(
        question=text,
        topic=topic,
        families=families,
        causes=causes,
        span=spans.read(" ".join(word.text for word in words)),
        mentions=mentions,
        understood=understood and not outside,
        beyond=outside,
        note=note,
    )


def suggestions(parsed: Parsed | None = None, *, limit: int = 4) -> tuple[str, ...]:
    """Questions that can be asked, ready to type: about the names of the question first, then one of each topic."""
    asked = [_about(mention) for mention in (parsed.mentions if parsed else ()) if mention.certain]
    general = [examples[0] for examples in EXAMPLES.values() if examples and "NAME" not in examples[0]]
    others = [text for examples in EXAMPLES.values() for text in examples[1:]]
    return tuple(dict.fromkeys([*asked, *general, *others]))[:limit]


def _about(mention: Mention) -> str:
    where = f"{mention.namespace}/{mention.name}" if mention.namespace else mention.name
    if mention.kind in ("namespace", "team", "queue", "node"):
        return f"is everything all right in {mention.kind} {where}?"
    return f"what changed on {where}?"


def _cut(question: str) -> tuple[str, str]:
    """The question cleaned and cut, and a note where it was cut."""
    head = question[: 4 * MOST_BYTES]
    text = _MARKUP.sub(" ", clean(head)).replace("’", "'").strip()
    raw = text.encode("utf-8", "replace")
    if len(question) > len(head) or len(raw) > MOST_BYTES:
        text = raw[:MOST_BYTES].decode("utf-8", "ignore")
        return text, f"only the first {MOST_BYTES // 1024} kB of the question were read"
    return raw.decode("utf-8"), ""


def _deletions(word: str) -> frozenset[str]:
    return frozenset([word, *(word[:i] + word[i + 1 :] for i in range(len(word)))])


def _index(words: Iterable[str]) -> dict[str, str]:
    index: dict[str, str] = {}
    for word in words:
        for form in _deletions(word):
            index.setdefault(form, word)
    return index


_SLIPS = _index(SPELLED)


def _spelled(token: Token) -> Token:
    """The token with one slip of a keyword mended; a quoted word stays, and so does a word that is one already."""
    word = token.text
    if token.quoted or not 5 <= len(word) <= 20 or not word.isalpha() or ordinary(word):
        return token
    for form in _deletions(word):
        keyword = _SLIPS.get(form, "")
        if keyword[:1] == word[0] and abs(len(keyword) - len(word)) <= 1:
            return Token(keyword, possessive=token.possessive, raw=keyword)
    return token


def _long_forms(text: str) -> str:
    for short, full in CONTRACTIONS:
        text = re.sub(short, full, text, flags=re.IGNORECASE)
    return text


def _plain(word: str) -> str:
    """A word as phrases see it: hyphens and slashes as spaces."""
    return re.sub(r"[-/_]+", " ", word).strip()


def _rule(plain: str) -> Rule | None:
    """The rule with the heaviest phrase; every further phrase of a rule adds a little."""
    best: Rule | None = None
    most = 0.0
    for rule, patterns in PATTERNS:
        hits = [weight for pattern, weight in patterns if pattern.search(plain)]
        score = max(hits, default=0.0) + 0.25 * (len(hits) - 1)
        if hits and score > most:
            best, most = rule, score
    return best


def _decide(
    rule: Rule | None, plain: str, mentions: Sequence[Mention]
) -> tuple[Topic, tuple[Family, ...], tuple[str, ...], bool]:
    """Topic, families, causes, understood: from the rule, else from what kind of thing is named."""
    named = next((m for m in mentions if m.certain or (m.kind != "any" and not ordinary(m.name))), None)
    thing = named is not None and named.kind in ("pod", "workload", "node")
    if rule is not None:
        vague = rule.topic in ("health", "overview") and not rule.causes and rule.families == BOTH
        return ("object" if vague and thing else rule.topic), rule.families, rule.causes, True
    if named is None:
        return "overview", BOTH, (), False
    if named.kind == "team":
        return "team", GPU, (), True
    if named.kind in ("namespace", "queue"):
        return "health", BOTH, (), True
    asked = thing or bool(named.namespace) or not plain or any(pattern.search(plain) for pattern in _OBJECT)
    return "object", BOTH, (), asked
