"""Shapes of secrets in text: what a password, token or key looks like where no structure says so.

Rules: every expression is linear: a token is tried only where it can begin, every other repeat is bounded.
A rule finds the secret's own span, never the words around it, so that the reader still sees what it was.
The token formats are those their issuers document (AWS, Azure, GitHub, GitLab, Google, Hugging Face, Kubernetes
bootstrap tokens, NVIDIA NGC, OpenAI, Slack, Stripe, Vault and others).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tools.redaction.names import is_secret

Span: TypeAlias = tuple[int, int, str]
"""Start, end and kind of one secret."""

_START = r"(?:(?<![A-Za-z0-9_-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_END = r"(?![A-Za-z0-9_-])"
MARK = "‹redacted:"
WHOLE_MARK = re.compile(r"‹redacted:[a-z]{1,20}:[0-9a-f]{4}›")


@dataclass(frozen=True, slots=True)
class Shape:
    """A token recognised by its own look. `hints`: literal text without which it cannot be there."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    accept: Callable[[str], bool] = lambda _text: True


def _token(kind: str, *hints: str, body: str, accept: Callable[[str], bool] = lambda _t: True) -> Shape:
    return Shape(kind, hints, re.compile(_START + body, re.ASCII), accept)


def _has_digit(text: str) -> bool:
    return any(c.isdigit() for c in text)


def _is_bootstrap(text: str) -> bool:
    """Kubeadm draws both halves from [a-z0-9]: host and file names of that size seldom hold two digits."""
    return sum(c.isdigit() for c in text[7:]) >= 2


def _is_private_base64(text: str) -> bool:
    return b"PRIVATE KEY" in _decoded(text[:128])


def _decoded(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(
            plain[: len(plain) // 4 * 4] if len(plain) % 4 == 1 else plain + "=" * (-len(plain) % 4)
        )
    except (binascii.Error, ValueError):
        return b""


_B64 = r"[A-Za-z0-9+/_=-]"
_WORD = r"[A-Za-z0-9_-]"
SHAPES = (
    _token("jwt", "eyJ", body=rf"eyJ{_WORD}{{8,}}\.{_WORD}{{8,}}(?:\.{_WORD}*){{0,3}}"),
    _token("key", "eyJrIjoi", body=rf"eyJrIjoi{_B64}{{40,}}"),
    _token("key", "LS0tLS1CRUdJTi", body=rf"LS0tLS1CRUdJTi{_B64}{{20,}}", accept=_is_private_base64),
    _token("aws", "AKIA", "ASIA", "ABIA", "ACCA", body=r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}" + _END),
    _token("github", "gh", "github_pat_", body=r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,})"),
    _token("gitlab", "gl", body=r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w.-]{16,}"),
    _token("slack", "xox", "xapp-", body=r"(?:xox[a-z]{1,2}|xapp)-[\w.-]{10,}"),
    _token("huggingface", "hf_", "api_org_", body=r"(?:hf|api_org)_[A-Za-z0-9]{20,}"),
    _token("nvidia", "nvapi-", body=r"nvapi-[\w-]{20,}"),
    _token("openai", "sk-", body=r"sk-[\w-]{20,}", accept=_has_digit),
    _token("google", "AIza", "ya29.", "GOCSPX-", body=r"(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,})"),
    _token("azure", "8Q~", body=r"[\w.-]{3}8Q~[\w.~-]{30,}"),
    _token("stripe", "_live_", "_test_", body=r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    _token("vault", "hvs.", "hvb.", "hvr.", body=r"hv[sbr]\.[\w-]{20,}"),
    _token("npm", "npm_", body=r"npm_[A-Za-z0-9]{30,}"),
    _token("pypi", "pypi-", body=r"pypi-[\w-]{40,}"),
    _token("docker", "dckr_", body=r"dckr_(?:pat|oat)_[\w-]{20,}"),
    _token("sendgrid", "SG.", body=r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _token("databricks", "dapi", body=r"dapi[0-9a-f]{32}(?:-\d)?"),
    _token("grafana", "glsa_", "glc_", body=r"(?:glsa_\w{32,}|glc_[A-Za-z0-9+/=]{32,})"),
    _token("key", "dop_v1_", "doo_v1_", "dor_v1_", body=r"do[por]_v1_[0-9a-f]{40,}"),
    _token("key", "lsv2_", body=r"lsv2_\w{32,}"),
    _token("key", "gsk_", "pplx-", "xai-", "r8_", "tskey-", body=r"(?:gsk_|pplx-|xai-|r8_|tskey-)[\w-]{24,}"),
    _token("age", "AGE-SECRET-KEY-1", body=r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    _token("bootstrap", ".", body=r"(?<![./:@])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w./-])", accept=_is_bootstrap),
)
"""Tokens that need no context."""

_WEBHOOK = re.compile(r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{16,}", re.ASCII)
_SCHEME = re.compile(
    r"(?<![A-Za-z0-9])(bearer|basic|digest|negotiate)(?:\s{1,4}|%20|\+)[\"']?([\w.~+/=-]{6,})", re.IGNORECASE | re.ASCII
)
_HEADER = re.compile(
    r"(?<![A-Za-z0-9])((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,40}(?:token|key|secret|auth|signature))"
    r"[\"']{0,2}\s{0,4}[:=]\s{0,4}[\[\"']{0,2}([^\r\n\"'\]]{1,4096})",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)([^\s/?#\"'<>@]{1,512}(?:@[^\s/?#\"'<>@]{1,512}){0,2})@(?=[^\s/@])")
_PAIR = re.compile(
    r"""
    (?<![\w.-])(?P<name>-{0,2}[\w.-]{2,128})(?![\w.-])             # a whole word, judged by names.is_secret
    (?:\\{0,3}["'])?
    (?:\s{0,8}(?:=>|:=|[:=]|%3[ADad])\s{0,8}|(?P<loose>\s{1,4}(?:is|was)\s{1,4}|\s{1,4}))
    (?:\\{0,3}(?P<quote>["'`]))?
    """,
    re.VERBOSE | re.ASCII,
)
_SPACED_NAME = re.compile(
    r"(?<![\w.-])(?:api|access|private|secret|account|auth|signing|client)[ ](?:key|token|secret|password)"
    r"(?=[\"']?\s{0,4}[:=])",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?")
_BARE = re.compile(r"[^\s,;&\"'`)}\]<>|\\]{1,4096}")
_NOT_A_VALUE = re.compile(
    r"(?:true|false|null|none|nil|empty|unset|undefined|required|optional|changeme|redacted|omitted|missing|invalid"
    r"|expired|not|is|was|has|for|from|in|of|to|and|the|with|must|should|string|\*+|x+|\.+|-+|<.*|\[.*|\{+.*|\$.*|%[sdvq]"
    r"|/(?:[\w.-]+/)+[\w.-]*|(?:file|https?)://.*|\d{1,5}(?:\.\d+)?(?:ms|s|m|h|d)?|v\d\w{0,8})",
    re.IGNORECASE | re.ASCII,
)
_PEM = "PRIVATE KEY"
_TRIGGER = re.compile(
    "pass|pwd|secret|token|key|auth|bearer|basic|digest |cookie|credential|sig|session|dsn|sas|private|://|connection"
    "|cert|salt|otp|pat|dockerc|kubeconf|negotiate"
)
"""What stands in every text, in lower case, in which a secret is told by its surroundings."""
_HINT = re.compile("|".join(sorted({re.escape(hint) for shape in SHAPES for hint in shape.hints})))
"""What stands in every text in which a secret is told by its shape; most texts have none of it."""
_SIGNATURE = re.compile(
    r"(?<=[?&;])(?:sig|signature|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature|code|session)="
    r"([^&\s\"'<>]{8,4096})",
    re.IGNORECASE,
)


def find(text: str) -> list[Span]:
    """All secrets in `text` (already cleaned), sorted and without overlaps. What is redacted already stays."""
    if MARK not in text:
        return _find(text)
    spans: list[Span] = []
    position = 0
    for mark in WHOLE_MARK.finditer(text):
        spans += _shifted(text[position : mark.start()], position)
        position = mark.end()
    return spans + _shifted(text[position:], position)


def _shifted(text: str, by: int) -> list[Span]:
    return [(start + by, end + by, kind) for start, end, kind in _find(text)]


def _find(text: str) -> list[Span]:
    spans: list[Span] = list(_pem(text))
    if _HINT.search(text):
        spans.extend(_shaped(text))
    if _TRIGGER.search(text.lower()):
        spans.extend(_contextual(text))
    return _merge(spans)


def _shaped(text: str) -> Iterator[Span]:
    for shape in SHAPES:
        for hint in shape.hints:
            if hint in text:
                for match in shape.pattern.finditer(text):
                    if shape.accept(match.group()):
                        yield match.start(), match.end(), shape.kind
                break


def _contextual(text: str) -> Iterator[Span]:
    yield from ((m.start(), m.end(), "webhook") for m in _WEBHOOK.finditer(text))
    for match in _SCHEME.finditer(text):
        if _is_credential(match.group(1).lower(), match.group(2)):
            yield match.start(2), match.end(2), match.group(1).lower()
    for match in _HEADER.finditer(text):
        span = _header_value(match)
        if span is not None:
            yield span
    for match in _USERINFO.finditer(text):
        yield from _userinfo(match)
    yield from ((m.start(1), m.end(1), "signature") for m in _SIGNATURE.finditer(text))
    yield from _pairs(text)


def _is_credential(scheme: str, value: str) -> bool:
    if scheme == "basic":
        return b":" in _decoded(value)
    return len(value) >= 16 and (_has_digit(value) or value != value.lower())


def _header_value(match: re.Match[str]) -> Span | None:
    value = match.group(2)
    start, end = match.start(2), match.end(2)
    scheme = re.match(r"(?:bearer|basic|digest|negotiate|token|aws4-hmac-sha256)\s{1,4}", value, re.IGNORECASE)
    if scheme:
        start += scheme.end()
    body = value[scheme.end() :] if scheme else value
    if len(body.strip()) < 6 or _NOT_A_VALUE.fullmatch(body.split(maxsplit=1)[0]):
        return None
    return start, end, "header"


def _userinfo(match: re.Match[str]) -> Iterator[Span]:
    user, colon, password = match.group(1).partition(":")
    if colon and password and not password.startswith(("$", "<", "*")):
        yield match.start(1) + len(user) + 1, match.end(1), "password"
    if len(user) >= 16 and _has_digit(user):
        yield match.start(1), match.start(1) + len(user), "token"


def _pairs(text: str) -> Iterator[Span]:
    """Values after a name that means secret: `NAME=value`, `"name": "value"`, `--name value`, `name is value`."""
    position = covered = 0
    while (match := _PAIR.search(text, position)) is not None:
        position = max(match.end("name"), position + 1)
        name = match.group("name")
        if match.end() < covered or not is_secret(name.lstrip("-")) or _loose_word(match, name):
            continue
        span = _value_span(text, match.end(), match.group("quote"))
        if span is None:
            continue
        value = text[span[0] : span[1]]
        if not _NOT_A_VALUE.fullmatch(value) and _plausible(name, value, match):
            covered = span[1]
            yield span[0], span[1], "value"
    for spaced in _SPACED_NAME.finditer(text):
        found = _SEPARATOR.match(text, spaced.end())
        span = _value_span(text, found.end(), None) if found else None
        if span is not None and not _NOT_A_VALUE.fullmatch(text[span[0] : span[1]]):
            yield span[0], span[1], "value"


def _loose_word(match: re.Match[str], name: str) -> bool:
    """A blank alone joins only a flag to its value; "is" and "was" also join a word such as password."""
    loose = match.group("loose")
    if loose is None or name.startswith("--"):
        return False
    return not loose.strip() or (match.group("quote") is None and not _has_digit(_next_word(match)))


def _next_word(match: re.Match[str]) -> str:
    found = _BARE.match(match.string, match.end())
    return found.group() if found else ""


def _value_span(text: str, start: int, quote: str | None) -> tuple[int, int] | None:
    if quote is not None:
        end = text.find(quote, start, start + 4096)
        end = end if end >= 0 else min(len(text), start + 4096)
        while end > start and text[end - 1] == "\\":
            end -= 1
        return (start, end) if end > start else None
    found = _BARE.match(text, start)
    if found is None:
        return None
    end = found.end()
    while end > start and text[end - 1] in ".:":
        end -= 1
    return (start, end) if end > start else None


_STRONG = re.compile(
    r"passw|passphrase|pwd|secret|credential|api[_.-]?key|apikey|access[_.-]?key|private", re.IGNORECASE
)


def _plausible(name: str, value: str, match: re.Match[str]) -> bool:
    """Whether a value can be the secret its name announces: any text after `password=`, only a token after `token:`."""
    if _STRONG.search(name) or name.startswith("--"):
        return len(value) >= 3
    if match.group("quote") or "=" in match.group()[len(name) :]:
        return len(value) >= 6 and not (value.isalpha() and value.islower() and len(value) < 12)
    return len(value) >= 8 and _has_digit(value) and any(c.isalpha() for c in value)


def _pem(text: str) -> Iterator[Span]:
    """Private key blocks between their lines; to the end of the text where the last line is missing."""
    position = text.find("-----BEGIN")
    while position >= 0:
        header = text.find("-----", position + 10, position + 80)
        if header < 0 or _PEM not in text[position:header]:
            position = text.find("-----BEGIN", position + 10)
            continue
        end = text.find("-----END", header)
        end = len(text) if end < 0 else end
        yield min(header + 5, end), end, "pem"
        position = text.find("-----BEGIN", end)


def _merge(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end, kind in sorted(spans, key=lambda s: (s[0], -s[1])):
        if end <= start:
            continue
        if merged and start < merged[-1][1]:
            last = merged[-1]
            merged[-1] = (last[0], max(last[1], end), last[2])
        else:
            merged.append((start, end, kind))
    return merged


_PLAIN = re.compile(
    r"(?!xox|sk-|gl[a-z]{2,5}-|nvapi|xapp|pplx|xai|tskey|pypi|dapi)(?:containerd://|sha256:)?[a-z0-9/-]*|[0-9TZ:.+-]*"
)


def is_plain(text: str) -> bool:
    """True for text that cannot hold any shape above: lower-case names, UIDs, digests, times, addresses."""
    return _PLAIN.fullmatch(text) is not None
