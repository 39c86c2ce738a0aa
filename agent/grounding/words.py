"""The checkable words of a statement: amounts, times, names of objects, ids of causes, each with where it stands.

Rules: what is a name by its shape has to be found in evidence; ordinary English, hyphenated or not, does not. Digits
that belong to a name are no number. Every token is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.grounding.vocabulary import VOCABULARY, follows_kind, named, precedes_kind
from agent.phrases import STOP, words

Sort: TypeAlias = Literal["number", "time", "name", "cause", "evidence"]
Unit: TypeAlias = Literal["", "percent", "bytes", "seconds", "scale"]


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as written: its value, the unit of its last place, what it is measured in."""

    value: float
    step: float
    unit: Unit = ""
    factor: float = 1.0
    """Base units (bytes, seconds) in one of the unit as written."""
    hedge: Literal["", "about", "below", "above"] = ""
    noun: str = ""
    """The word behind it."""
    written: str = ""
    """The unit as written, lower case."""


@dataclass(frozen=True, slots=True)
class Word:
    """A token that has to be supported."""

    sort: Sort
    text: str
    start: int
    end: int
    amount: Amount | None = None


_TOKEN = re.compile(r"[^\s=(){}\[\]\"“”'‘’`<>|·;!?‹›→≥≤≈~*×]+")
_LEFT, _RIGHT = ".,:+−-–—#$€…/^", ".,:+−-–—…/^"
_EVIDENCE = re.compile(r"[eE]\d{1,6}")
_CAUSE = re.compile(r"[A-Z]\d{2}")
_NUMBER = re.compile(r"(\d{1,3}(?:[,_]\d{3})+|\d{1,18})(\.\d{1,12})?(?:[eE]([+-]?\d{1,2}))?([^\W\d_]{1,4}|°C|%)?")
_SPLIT = re.compile(r"[/–—,]|\.\.+|…|(?<=[\d%a-zA-Z])-(?=\d)")
_COMPOUND = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)-([A-Za-z]+)")
_DURATION = re.compile(r"(?:\d{1,6}(?:ms|[dhms])){2,4}")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d)?(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?)?|\d\d?:\d\d(?::\d\d)?[Zz]?"
)
_RATE = re.compile(r"(.*\d[^\W\d_]{0,3}%?)/([^\W\d_]{1,8})")
_FIELD = re.compile(r"([A-Za-z_./-]+):(\d.*)")
_ORDINALS = frozenset(("st", "nd", "rd", "th"))
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTHS = {name[:3]: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_BYTES = {
    **dict.fromkeys(("b", "byte", "bytes"), 1.0),
    **dict.fromkeys(("kb", "kilobytes"), 1e3), **dict.fromkeys(("mb", "megabytes"), 1e6),
    **dict.fromkeys(("gb", "gigabytes"), 1e9), **dict.fromkeys(("tb", "terabytes"), 1e12),
    **dict.fromkeys(("ki", "kib"), 2.0**10), **dict.fromkeys(("mi", "mib"), 2.0**20),
    **dict.fromkeys(("gi", "gib"), 2.0**30), **dict.fromkeys(("ti", "tib"), 2.0**40),
}  # fmt: skip
_SECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
    **dict.fromkeys(("us", "µs", "μs"), 1e-6),
}  # fmt: skip
_SCALES = {"k": 1e3, "dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SCALES |= {f"{name}s": factor for name, factor in _SCALES.items() if len(name) > 1}
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLED = {
    **{name: float(number) for number, name in enumerate((*_ONES, *_TEENS)) if name != "one"},  # mostly a pronoun
    **{name: 10.0 * number for number, name in enumerate(_TENS, start=2)},
}
_SPELLED |= {name: factor for name, factor in _SCALES.items() if len(name) > 1}
_SPELLED |= {"twice": 2.0, "thrice": 3.0, "threefold": 3.0, "twofold": 2.0, "tenfold": 10.0}
_UNITS_OF_TEN = {name: value for name, value in _SPELLED.items() if value < 10} | {"one": 1.0}
_TO = frozenset(("to", "and", "or"))
_HEDGES: dict[str, Literal["about", "below", "above"]] = {
    **dict.fromkeys(words("about around roughly approximately approx circa ca nearly almost some close"), "about"),
    **dict.fromkeys(words("below under beneath"), "below"),
    **dict.fromkeys(words("above over exceeding exceeds exceed"), "above"),
}
_SYMBOLS: dict[str, Literal["about", "below", "above"]] = {
    "~": "about", "≈": "about", "<": "below", "≤": "below", ">": "above", "≥": "above",
}  # fmt: skip
_THAN: dict[str, Literal["about", "below", "above"]] = {
    **dict.fromkeys(words("less fewer lower smaller most"), "below"),
    **dict.fromkeys(words("more greater higher larger least"), "above"),
}


def tokens(text: str) -> Iterator[tuple[str, int]]:
    """(token, where it starts), punctuation at its edges left out."""
    for match in _TOKEN.finditer(text):
        core = match.group().lstrip(_LEFT)
        start = match.end() - len(core)
        core = core.rstrip(_RIGHT)
        if core:
            yield core, start


def checkable(text: str, catalogue: Collection[str]) -> list[Word]:
    """The words of a text that need support, in order."""
    out: list[Word] = []
    found = list(tokens(text))
    for at, (token, start) in enumerate(found):
        before = found[at - 1][0] if at else ""
        after = found[at + 1][0] if at + 1 < len(found) else ""
        near = text[max(0, start - 2) : start].strip()
        if after in _TO and at + 3 < len(found) and found[at + 2][0][:1].isdigit():  # `58 to 59 %`
            after = found[at + 3][0] if found[at + 2][0][-1:].isdigit() else found[at + 2][0].lstrip("0123456789.,")
        out += _words(token, start, before, after, near, catalogue, than=found[at - 2][0] if at > 1 else "")
    return out


def _words(
    token: str, start: int, before: str, after: str, near: str, catalogue: Collection[str], *, than: str
) -> list[Word]:
    end = start + len(token)
    if _EVIDENCE.fullmatch(token):
        return [Word("evidence", token, start, end)]
    if _CAUSE.fullmatch(token) and (token in catalogue or token[0] in "UDI"):
        return [Word("cause", token, start, end)]
    if _TIME.fullmatch(token):
        return [Word("time", token, start, end)]
    month = _MONTHS.get(next((word[:3].lower() for word in (before, after) if _is_month(word)), ""))
    day = _DAY.fullmatch(token)
    if month and day:
        return [Word("time", f"-{month:02}-{int(day[1]):02}", start, end)]
    hedge = _hedge(before.lower(), than.lower(), near)
    amounts = _amounts(token, after, hedge, before=before)
    if amounts:
        return [Word("number", token, start, end, amount) for amount in amounts]
    if amounts is None and (named(token) or follows_kind(before, token, after) or precedes_kind(before, token, after)):
        return [Word("name", token, start, end)]
    return []


def _is_month(word: str) -> bool:
    return word[:1].isupper() and (word.lower() in _MONTH_NAMES or word.lower() in _MONTHS)


def _hedge(before: str, than: str, near: str) -> Literal["", "about", "below", "above"]:
    if near[-1:] in _SYMBOLS:
        return _SYMBOLS[near[-1:]]
    if before in ("than", "at"):
        return _THAN.get(than, "")
    if before in ("least", "most") and than == "at":
        return _THAN[before]
    return _HEDGES.get(before, "")


def _counts(token: str) -> bool:
    """True for a word that is a number itself."""
    return token[:1].isdigit() or _spelled(token) is not None


def _amounts(
    token: str, after: str, hedge: Literal["", "about", "below", "above"], *, before: str = ""
) -> list[Amount] | None:
    """The numbers of a token; None where it is none, empty where it needs no check."""
    spelled = _spelled(token)
    if spelled is not None and token.lower() in _SCALES and _counts(before):
        return []  # `two hundred`: told by the number before it
    if spelled is not None:
        return [_measured(spelled, 1.0, "", after, hedge)]
    if not any(c.isdigit() for c in token):
        return None
    if _DURATION.fullmatch(token):
        parts = re.findall(r"(\d+)(ms|[dhms])", token)
        seconds = sum(int(n) * {**_SECONDS, "m": 60.0}[unit] for n, unit in parts)
        return [Amount(seconds, {**_SECONDS, "m": 60.0}[parts[-1][1]], "seconds", 1.0, hedge)]
    compound = _COMPOUND.fullmatch(token)
    if compound and (compound[2].lower() in VOCABULARY or compound[2].lower() in _SECONDS):
        return [_measured(float(compound[1]), _step(compound[1]), "", compound[2], hedge)]
    pair = _FIELD.fullmatch(token)
    if pair:
        return _amounts(pair[2], after, hedge)
    rate = _RATE.fullmatch(token)
    if rate:
        return _amounts(rate[1], after, hedge)
    whole = _NUMBER.fullmatch(token)
    parts_ = [token] if whole else _SPLIT.split(token)
    matches = [_NUMBER.fullmatch(part) for part in parts_ if part]
    if not matches or None in matches:
        return None
    if any(m is not None and (m[4] or "").lower() in _ORDINALS for m in matches):
        return []
    units = [m[4] or "" for m in matches if m is not None]
    return [_parsed(m, units[-1], after, hedge) for m in matches if m is not None]


def _parsed(match: re.Match[str], unit: str, after: str, hedge: Literal["", "about", "below", "above"]) -> Amount:
    digits = match[1].replace(",", "").replace("_", "") + (match[2] or "")
    power = 10.0 ** int(match[3] or 0)
    return _measured(float(digits) * power, _step(digits) * power, match[4] or unit, after, hedge)


def _step(digits: str) -> float:
    return 10.0 ** -len(digits.partition(".")[2])


def _measured(
    value: float, step: float, unit: str, after: str, hedge: Literal["", "about", "below", "above"]
) -> Amount:
    noun = after.lower() if after[:1].isalpha() and after.lower() not in STOP else ""
    word = unit or (after if after[:1].isalpha() or after == "%" else "")
    low = word.lower().partition("/")[0]  # MB/s
    if low in ("%", "percent", "pct", "per-cent"):
        return Amount(value, step, "percent", 1.0, hedge)
    if unit in ("m", "M", "G", "T") and unit:
        factor = {"m": 60.0, "M": 1e6, "G": 1e9, "T": 1e12}[unit]
        return Amount(value, step, "seconds" if unit == "m" else "scale", factor, hedge, noun)
    if low in _BYTES:
        return Amount(value, step, "bytes", _BYTES[low], hedge, written=low)
    if low in _SECONDS and word != "W":
        return Amount(value, step, "seconds", _SECONDS[low], hedge)
    if low in _SCALES:
        return Amount(value, step, "scale", _SCALES[low], hedge, noun)
    return Amount(value, step, "", 1.0, hedge, noun)


def _spelled(token: str) -> float | None:
    low = token.lower()
    if low in _SPELLED:
        return _SPELLED[low]
    tens, _, ones = low.partition("-")
    if tens in _SPELLED and ones in _UNITS_OF_TEN and _SPELLED[tens] >= 20:
        return _SPELLED[tens] + _UNITS_OF_TEN[ones]
    return None
