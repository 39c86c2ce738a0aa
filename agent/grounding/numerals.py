"""Numbers that are not written in ASCII digits, brought into them: other scripts, fractions, Roman and CJK numerals.

Rule: only signs that Unicode gives a numeric value change; a statement is checked and shown in this spelling.
"""

from __future__ import annotations

import re
import unicodedata

_CJK = re.compile("[〇零一二三四五六七八九十百千万亿億兆壹贰叁肆伍陆柒捌玖拾佰仟萬]{1,24}")
_TEN = 10.0


def plain_digits(text: str) -> str:
    """The text with every sign that stands for a number written in ASCII digits: `Ⅻ` 12, `½` 0.5, `九十七` 97."""
    if text.isascii():
        return text
    text = _CJK.sub(lambda match: f"{_value(match.group()):.12g}", text)
    out: list[str] = []
    for sign in text:
        number = None if sign.isascii() else unicodedata.numeric(sign, None)
        if number is None:
            out.append(sign)
        elif unicodedata.category(sign) == "Nd":
            out.append(f"{number:.0f}")
        else:  # a numeral of its own: never glued to the digits before it
            glued = bool(out) and out[-1][-1:].isdigit()
            out.append(f"{' ' if glued else ''}{number:.4g}")
    return "".join(out)


def _value(numeral: str) -> float:
    """A CJK numeral: digits in a row, or multiples of ten, hundred, thousand, and of ten thousand and above."""
    total = section = current = 0.0
    for sign in numeral:
        number = float(unicodedata.numeric(sign, 0.0))
        if number < _TEN:
            current = current * _TEN + number
        elif number < 10_000:
            section += (current or 1.0) * number
            current = 0.0
        else:
            total += (section + current or 1.0) * number
            section = current = 0.0
    return total + section + current
