"""Removes from text what a terminal, a browser or a model would obey or not show.

Rules: escape sequences go as a whole, so that a secret they split is one word again; newline and tab stay.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"""
      (?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?          # CSI
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?   # OSC, DCS, SOS, PM, APC
    | \x1b[ -/]{0,4}[0-~]?                                # other escapes
    """,
    re.VERBOSE,
)
_ASCII_CONTROL = dict.fromkeys((*range(0x09), *range(0x0B, 0x20), 0x7F))
_SELECTORS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Selectors, fillers, joiners and tags that show nothing (Unicode Default_Ignorable_Code_Point, empty Braille)."""
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""Unusual spaces become plain ones: they would split a word unseen."""


def clean(text: str) -> str:
    """`text` without control and escape sequences, bidi overrides, zero-width and other invisible characters."""
    if text.isprintable():
        return text if text.isascii() else _SELECTORS.sub("", text)
    if "\x1b" in text or not text.isascii():
        text = _SEQUENCE.sub("", text)
    text = text.replace("\r\n", "\n").translate(_ASCII_CONTROL)
    if text.isascii():
        return text
    text = _SPACES.sub(" ", _SELECTORS.sub("", text))
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
