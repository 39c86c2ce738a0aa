"""The words of a shell script with the places they stand at, so that one of them can be replaced and nothing else.

Rules: only what is needed to find a command's words is understood (POSIX shell, chapter 2: quoting, operators,
comments, redirections); whatever could hide a word (here-documents, quotes inside substitutions) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.errors import Refused

MAX_SCRIPT = 64 << 10
"""Characters of a script at most."""
_SPACE = " \t"
_OPERATORS = ";&|()\n"


@dataclass(frozen=True, slots=True)
class Word:
    """One word: where it stands, and what the shell makes of it before it expands anything."""

    start: int
    end: int
    text: str
    """Without quotes and backslashes."""


@dataclass(slots=True)
class _Scanner:
    script: str
    at: int = 0
    commands: list[list[Word]] = field(default_factory=lambda: [[]])
    skip: bool = False
    """True where the next word belongs to a redirection."""

    def run(self) -> list[list[Word]]:
        """The words of each command, in order."""
        while self.at < len(self.script):
            char, following = self.script[self.at], self.script[self.at + 1 : self.at + 2]
            if char in _SPACE:
                self.at += 1
            elif char == "\\" and following == "\n":
                self.at += 2
            elif char in _OPERATORS:
                self.commands.append([])
                self.skip = False
                self.at += 1
            elif char == "#":
                newline = self.script.find("\n", self.at)
                self.at = len(self.script) if newline < 0 else newline
            elif char in "<>":
                self._redirection()
            else:
                self._word()
        return [words for words in self.commands if words]

    def _redirection(self) -> None:
        if self.script.startswith("<<", self.at):
            raise Refused("its script has a here-document")
        words = self.commands[-1]
        if words and words[-1].end == self.at and words[-1].text.isdigit():
            words.pop()
        while self.at < len(self.script) and self.script[self.at] in "<>&|":
            self.at += 1
        self.skip = True

    def _word(self) -> None:
        start, made = self.at, list[str]()
        while self.at < len(self.script) and self.script[self.at] not in f"{_SPACE}{_OPERATORS}<>":
            char = self.script[self.at]
            if char == "'":
                made.append(self._single())
            elif char == '"':
                made.append(self._double())
            else:
                made.append(self._plain())
        if not self.skip:
            self.commands[-1].append(Word(start, self.at, "".join(made)))
        self.skip = False

    def _single(self) -> str:
        end = self.script.find("'", self.at + 1)
        if end < 0:
            raise Refused("its script has an open quote")
        text, self.at = self.script[self.at + 1 : end], end + 1
        return text

    def _double(self) -> str:
        made = list[str]()
        self.at += 1
        while self.at < len(self.script) and self.script[self.at] != '"':
            if self.script[self.at] == "\\" and self.script[self.at + 1 : self.at + 2] not in (
                "$",
                "`",
                '"',
                "\\",
                "\n",
            ):
                made.append("\\")
                self.at += 1
            else:
                made.append(self._plain())
        if self.at >= len(self.script):
            raise Refused("its script has an open quote")
        self.at += 1
        return "".join(made)

    def _plain(self) -> str:
        """One character, an escaped one, or a whole substitution."""
        char = self.script[self.at]
        if char == "`":
            raise Refused("its script has a command in backquotes")
        if char == "\\":
            text = self.script[self.at + 1 : self.at + 2]
            self.at += 2
            return "" if text == "\n" else text
        if self.script.startswith("$(", self.at) or self.script.startswith("${", self.at):
            return self._substitution()
        self.at += 1
        return char

    def _substitution(self) -> str:
        opening, closing = self.script[self.at + 1], ")" if self.script[self.at + 1] == "(" else "}"
        depth, end = 0, self.at + 1
        while end < len(self.script):
            char = self.script[end]
            if char in "'\"`\\\n":
                raise Refused("its script has quotes inside a substitution")
            depth += (char == opening) - (char == closing)
            end += 1
            if depth == 0:
                text, self.at = self.script[self.at : end], end
                return text
        raise Refused("its script has an open substitution")


def commands(script: str) -> list[list[Word]]:
    """The words of each simple command, without comments and redirections. Raises Refused for what it cannot read."""
    if len(script) > MAX_SCRIPT:
        raise Refused(f"its script is longer than {MAX_SCRIPT >> 10} KiB")
    return _Scanner(script).run()
