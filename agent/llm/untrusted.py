"""What others wrote, as a model may read it: abstracted, without anything a chat format obeys, quoted, cut.

Rules: pure, total and linear in bounded input; identifiers of strict grammar pass unchanged (G13), all other text is
quoted; words stay, what a client can put into a line (addresses, paths, quoted text, ids) becomes its kind. Idea of
the templates: AIOpsShield in Pasquini et al., "When AIOps Become AI Oops", arXiv 2508.06394.
"""

from __future__ import annotations

import json
import re
import unicodedata

from pydantic import JsonValue

from agent.render.document import clean

LONGEST = 4_096
"""Characters of one text that are looked at; the gate has cut messages and log lines to 1,024 before."""
CAP = 200
"""Characters of one quoted text."""
_LOOKED = 4
"""Times `cap` that a text is looked at: abstraction shortens, and what lies beyond would be cut anyway."""
IDENTIFIER = 253
"""Characters of an identifier, as of a Kubernetes object name; a digest may follow."""

# --- identifiers -------------------------------------------------------------------------------------------------

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_SEGMENT = rf"{_LABEL}(?:\.{_LABEL}){{0,15}}"
_NAME = rf"{_SEGMENT}(?:/{_SEGMENT}){{0,7}}"
_KEYED = r"(?=[^\]]*[./=])[A-Za-z0-9_][A-Za-z0-9_./=:,-]{0,127}"
"""A bracket of a field path: always with a sign that no evidence id and no chat token has."""
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_DIGEST = r"(?:sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
_MARK = r"‹redacted:[a-z][a-z-]{0,24}:[0-9a-f]{4}›"
_TIME = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:[ ]?(?:[Zz]|[+-]\d\d:?\d\d))?"
_IDENTIFIER = re.compile(
    rf"""
      {_NAME}(?::{_SEGMENT}){{0,3}}(?:/{_SEGMENT}){{0,7}}(?::{_SEGMENT})?(?:@{_DIGEST})?   # names, images, users
    | (?:metadata|spec|status|data)(?:\.{_LABEL}|\[(?:\d{{1,4}}|{_KEYED})\]){{1,24}}      # fields
    | {_DIGEST} | {_MARK} | {_TIME}
    | (?:containerd|docker|cri-o)://[0-9a-f]{{64}}
    | [+-]?(?:\d{{1,30}}(?:\.\d{{1,30}})?|Inf)(?:[eE][+-]?\d{{1,3}})?[A-Za-z]{{0,3}}%?        # quantities
    | (?:-{{1,2}})?{_NAME}=(?:{_NAME})?                                                     # labels, flags
    | -{{1,2}}{_SEGMENT} | /{_NAME}/?
    | \d{{1,3}}(?:\.\d{{1,3}}){{3}}(?:[:/]\d{{1,5}})?
    """,
    re.VERBOSE | re.ASCII,
)


_POINTER = re.compile(r"/?[A-Za-z0-9_.:@=+~-]{1,128}(?:/[A-Za-z0-9_.:@=+~-]{1,128}){0,24}", re.ASCII)


def pointer_cell(path: str) -> str:
    """A JSON Pointer, or one without its first slash, in a table: bare where it is plain, else quoted."""
    return path if _POINTER.fullmatch(path) else quoted(path)


def is_identifier(text: str) -> bool:
    """True for what strict grammar knows: names, labels, images, digests, ids, quantities, times, addresses."""
    return len(text) <= IDENTIFIER + 140 and _IDENTIFIER.fullmatch(text) is not None


# --- templates ---------------------------------------------------------------------------------------------------

_VENDORS = (
    "kubernetes.io", "k8s.io", "nvidia.com", "amd.com", "intel.com", "google.com", "amazonaws.com", "azure.com",
    "istio.io", "keda.sh", "kubeflow.org", "argoproj.io", "fluxcd.io", "cert-manager.io", "knative.dev", "ray.io",
)  # fmt: skip
"""Domains of qualified names that diagnoses speak of (nvidia.com/gpu); any other host becomes its kind."""
_VENDOR = "|".join(re.escape(domain) for domain in _VENDORS)
_SPEAKING = "msg|message|error|err|level|severity|lvl|reason|event|status|exception|detail|details|cause|state|phase"
"""Fields of structured logs whose text the program wrote; others hold what clients sent."""
_UNIT = r"(?:%|[KMGTP]i?B?|B|bytes|ns|us|µs|ms|s|m|h|W|C|MHz|GHz|tokens|tok)"
_REST = r"""[^\s"'<>,;)\]}‹›]*"""
_SCHEME = r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}:[/\\]{1,3}|\bwww\.|\b(?:javascript|data|mailto|vbscript):|(?<![\w:/])//)"
_QUOTED = r'"(?:[^"\\]|\\.){0,2000}"'
_INNER = r'(?:[^"\\]|\\.){0,2000}'
_VARIABLE = re.compile(
    rf"""
      (?P<mark>{_MARK})
    | (?P<pci>(?:PCI:)?[0-9a-fA-F]{{4,8}}:[0-9a-fA-F]{{2}}:[0-9a-fA-F]{{2}}(?:\.[0-7])?(?![\w:]))
    | (?P<url>{_SCHEME}[^\s"'<>‹›]+)
    | (?P<email>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,8}})
    | (?P<time>
          {_TIME}
        | \d{{2}}/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d(?:\ [+-]\d{{4}})?          # web servers
        | [IWEF]\d{{4}}\ \d\d:\d\d:\d\d(?:\.\d{{1,9}})?                             # klog
        | [A-Z][a-z]{{2}}\ {{1,2}}\d{{1,2}}\ \d\d:\d\d:\d\d                         # syslog
        | \d{{4}}[-/]\d\d[-/]\d\d
        | (?<![\w:.])\d{{1,2}}:\d\d:\d\d(?:[.,]\d{{1,9}})?)
    | (?P<gpu>\b(?:GPU|MIG)-{_UUID})
    | (?P<uuid>\b{_UUID})
    | (?P<digest>\b{_DIGEST})
    | "(?:{_SPEAKING})"\s{{0,4}}:\s{{0,4}}"(?P<json>{_INNER})"
    | \b(?:{_SPEAKING})="(?P<logfmt>{_INNER})"
    | (?P<field>"[\w.@/-]{{1,64}}"\s{{0,4}}:\s{{0,4}})
    | (?P<text>{_QUOTED}|(?<!\w)'[^']{{0,2000}}'(?!\w)|`[^`]{{0,2000}}`|“[^”]{{0,2000}}”)
    | (?P<ip>
          (?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?:[:/]\d{{1,5}})?(?![\w.])
        | (?<![\w:])\[?(?:[0-9a-fA-F]{{1,4}}:){{4,7}}[0-9a-fA-F]{{1,4}}\]?
        | (?<![\w:])(?:[0-9a-fA-F]{{1,4}}:){{1,6}}(?::[0-9a-fA-F]{{1,4}}){{1,6}})
    | (?P<pair>(?<![\w.])[A-Za-z_][\w.-]{{0,62}}=)(?P<value>[^\s,;"'`()\[\]{{}}<>]{{1,2000}})
    | (?P<vendor>(?<![\w.@/-])(?:[a-z0-9-]{{1,63}}\.){{0,4}}(?:{_VENDOR})/[A-Za-z0-9][\w.-]{{0,62}}(?![\w/?\#]))
    | (?P<fault>\b(?:[A-Za-z_]\w{{0,62}}\.){{1,8}}[A-Z]?\w{{0,50}}
        (?:Error|Exception|Warning|Timeout|Interrupt|Failure|Exit)\b(?![./]))
    | (?P<path>(?<![\w)\]])(?:[.~]{{0,2}}/[\w.@%+~:-]|[A-Za-z]:\\){_REST})
    | (?P<host>\b\w[\w-]{{0,62}}(?:[.。]\w[\w-]{{0,62}}){{0,8}}[.。](?!\d)[^\W_][\w-]{{1,62}}
        (?::\d{{1,5}})?(?:[/?\#]{_REST})?)
    | (?P<word>[A-Za-z0-9+/_=-]{{7,}})
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(
    rf"[+-]?\d{{1,7}}(?:\.\d{{1,7}})?{_UNIT}?|[+-]?\d{{1,15}}(?:\.\d{{1,7}})?{_UNIT}|0x[0-9a-fA-F]{{1,4}}"
)
_SHORT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_KEBAB = re.compile(r"[a-z0-9]{1,20}(?:-[a-z0-9]{1,20}){1,10}")
_HEX = re.compile(r"(?:0x)?(?=[0-9a-fA-F]{0,40}\d)(?=\d{0,40}[a-fA-F])[0-9a-fA-F]{7,}")
_WORDY = re.compile(r"[A-Za-z]+(?:[-_/][A-Za-z]+)*|[A-Za-z_]+\d{0,4}[A-Za-z_]*")
_KIND = re.compile(r"‹[a-z]{1,10}›")
_KEPT = frozenset({"mark", "pci", "gpu", "vendor", "fault", "field"})


def template(text: str) -> str:
    """`text` with its variable parts replaced by their kinds: `GET ‹path› from ‹ip› failed: CUDA out of memory`."""
    return _VARIABLE.sub(_abstract, text[:LONGEST])


def _abstract(match: re.Match[str]) -> str:
    kind, whole = match.lastgroup or "", match.group()
    if kind in ("json", "logfmt"):
        return f'{whole[: match.start(kind) - match.start()]}{_VARIABLE.sub(_flat, match.group(kind))}"'
    return _flat(match) if kind != "text" else _said(whole)


def _flat(match: re.Match[str]) -> str:
    """The abstraction of one variable part, without looking into what it quotes."""
    kind, whole = match.lastgroup or "", match.group()
    if kind == "value":
        return match.group("pair") + _value(match.group("value"))
    if kind in _KEPT:
        return whole
    return _word(whole) if kind == "word" else f"‹{kind if kind not in ('json', 'logfmt') else 'text'}›"


def _said(whole: str) -> str:
    """A quoted string: a short name as it is, an address or a path as its kind, anything else as text."""
    inner = whole[1:-1]
    if _SHORT.fullmatch(inner) or _KEBAB.fullmatch(inner):
        return whole
    kind = _VARIABLE.sub(_flat, inner)
    return kind if _KIND.fullmatch(kind) else "‹text›"


def _value(value: str) -> str:
    """What stands after `key=`: numbers and short identifiers as they are."""
    if _NUMBER.fullmatch(value) or (_SHORT.fullmatch(value) and _word(value) == value) or _KEBAB.fullmatch(value):
        return value
    return "‹value›"


def _word(word: str) -> str:
    """A run of letters and digits: words and names as they are, ids and long numbers as their kind."""
    if _NUMBER.fullmatch(word) or (_WORDY.fullmatch(word) and len(word) <= 63):
        return word
    if word.isdigit():
        return "‹number›"
    if _HEX.fullmatch(word):
        return "‹hex›"
    return word if len(word) <= 31 or (len(word) <= 63 and _KEBAB.fullmatch(word)) else "‹id›"


# --- neutralising and quoting ------------------------------------------------------------------------------------

_PLAIN = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", '"': "'", "|": "¦", "\\": "⧵"})
"""No tag, special token, bracket citation, Markdown link, code fence, cell border or escape survives these."""
_ROLE = re.compile(
    r"\b(system|assistant|user|human|developer|tool|function|ai|model|instructions?|response|observation)([\s*_]{0,4})[:：]",
    re.IGNORECASE,
)
_RUNS = re.compile(r"([#=~*_-])\1{2,}")
_LINK = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}:/{2,3}|\bwww\.|\b(?:javascript|data|mailto|vbscript):)[^\s\"'<>‹›]+"
)
_STUMP = re.compile(r"(?<=:)/{2,}|\bwww\.")
"""What is left of a link that named nothing."""
_SPACES = re.compile(r"\s+")


def soften(text: str) -> str:
    """A statement of our own code that may hold others' values: one line that no chat format or markup obeys."""
    return _neutral(_LINK.sub("‹url›", _one_line(text[:LONGEST])))


def _one_line(text: str) -> str:
    """Compatibility forms folded (a fullwidth `＜` is a `<`), invisible characters gone, white space single."""
    folded = _SPACES.sub(" ", clean(unicodedata.normalize("NFKC", clean(text)))).strip()
    return folded if folded.isprintable() else "".join(c for c in folded if c.isprintable())


def _neutral(text: str) -> str:
    return _STUMP.sub("‹url›", _RUNS.sub(r"\1\1", _ROLE.sub(r"\1\2;", text.translate(_PLAIN))))


def quoted(text: str, *, cap: int = CAP) -> str:
    """Untrusted text as a JSON string on one line: abstracted, neutralised, cut at `cap` with the rest counted."""
    looked = min(LONGEST, _LOOKED * cap)
    beyond = max(0, len(text) - looked)
    shown = _neutral(template(_one_line(text[:looked])))
    over = max(0, len(shown) - cap) + beyond
    if over:
        shown = f"{shown[:cap]}…(+{over})"
    return json.dumps(shown, ensure_ascii=False)


def cell(value: JsonValue) -> str:
    """A value in a table: numbers, truth and identifiers bare and unchanged, any other text quoted."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value if is_identifier(value) else quoted(value)
    return f"({len(value)} values)"
