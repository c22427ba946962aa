"""How HAProxy splits a line into words: quotes, escapes, comments and environment variables.

Source: HAProxy's configuration manual, sections 2.2 "Quoting and escaping" and 2.3 "Environment
variables". No text raises an exception: what HAProxy would reject is a `fault` of the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPECIAL = re.compile("[\"'\\\\#\r\0\x1c-\x1f\x80-\U0010ffff]")
_SPACE = " \t\v\f\n"
_WRITTEN = {
    **{char: "\\" + char for char in " \\#'\""},
    **{"\t": "\\t", "\n": "\\n", "\r": "\\r", "\v": "\\x0b", "\f": "\\x0c", "\0": "\\x00"},
}
_ESCAPES = {" ": " ", "\\": "\\", "t": "\t", "n": "\n", "r": "\r", "#": "#", "'": "'", '"': '"'}
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_.]\w*)(?P<expand>\[\*\])?(?:-(?P<default>[^}]*))?\}|(?P<plain>[A-Za-z_.]\w*))",
    re.ASCII,
)
_IN_ADDRESS = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


LONGEST = 16 * 1024
"""Characters that variables may add to a line: each can hold several of the one before it."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one line.

    `comment` is the index of the `#` that starts a comment, or None. `fault` describes what HAProxy rejects
    in the line, or is None. `unset` are the variables in it that are not set: (index of the word, name).
    """

    words: tuple[str, ...] = ()
    comment: int | None = None
    fault: str | None = None
    unset: tuple[tuple[int, str], ...] = ()


def expand(text: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Replace variables in an address, where HAProxy replaces them without quotes, too.

    Returns the text and the names of the variables that are not set; those stay as they are written.
    """
    unset: list[str] = []

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in environment:
            unset.append(name)
        return environment.get(name, match[0])

    return _IN_ADDRESS.sub(value, text), tuple(unset)


@dataclass(frozen=True, slots=True)
class WordPart:
    """Characters of a word, written at `line[start:end]`; `variable` if they are a variable's value."""

    text: str
    start: int
    end: int
    variable: bool = False


def split(line: str, environment: Mapping[str, str]) -> Words:
    """Split one line (without its line end) as HAProxy does."""
    if not _SPECIAL.search(line):
        return Words(tuple(line.split()))  # most lines; $ means nothing outside double quotes
    return _Splitter(line, environment).split()


def split_in_parts(line: str, environment: Mapping[str, str]) -> tuple[Words, list[tuple[WordPart, ...]]]:
    """The words of a line, and the parts of each: where its characters are written."""
    splitter = _Splitter(line, environment)
    return splitter.split(), [tuple(parts) for parts in splitter.parts]


def quoted(text: str) -> str:
    """Characters as they are written in a line, so that HAProxy reads them as a part of one word."""
    return "".join(_WRITTEN.get(char, char) for char in text)


class _Splitter:
    """Splits one line in one pass."""

    def __init__(self, line: str, environment: Mapping[str, str]) -> None:
        self.line = line
        self.environment = environment
        self.words: list[str] = []
        self.parts: list[list[WordPart]] = []
        self.word: list[WordPart] | None = None
        self.comment: int | None = None
        self.fault: str | None = None
        self.unset: list[tuple[int, str]] = []
        self.expanded = 0
        self.last_brace = line.rfind("}")

    def split(self) -> Words:
        quote = ""
        at = 0
        while at < len(self.line):
            char = self.line[at]
            if char in "\0\r\n":
                break
            if char == "#" and not quote:
                self.comment = at
                break
            if char in "\"'" and quote in ("", char):
                quote = "" if quote else char
                self._add("", at, at + 1)
                at += 1
            elif char == "\\" and quote != "'":
                at = self._escape(at, in_double=quote == '"')
            elif char in _SPACE and not quote:
                self._end()
                at += 1
            elif char == "$" and quote == '"':
                at = self._variable(at)
            else:
                self._add(char, at, at + 1)
                at += 1
        self._end()
        if quote:
            self.fault = f"a {'double' if quote == chr(34) else 'single'} quote is not closed"
        return Words(tuple(self.words), self.comment, self.fault, tuple(self.unset))

    def _add(self, text: str, start: int, end: int, *, variable: bool = False) -> None:
        if self.word is None:
            self.word = []
        self.word.append(WordPart(text, start, end, variable))

    def _end(self) -> None:
        if self.word is not None:
            self.words.append("".join(part.text for part in self.word))
            self.parts.append(self.word)
        self.word = None

    def _escape(self, at: int, *, in_double: bool) -> int:
        """Read the escape at index `at`; return the index after it."""
        following = self.line[at + 1 : at + 2]
        if following in _ESCAPES and following:
            self._add(_ESCAPES[following], at, at + 2)
            return at + 2
        if following == "$" and in_double:
            self._add("$", at, at + 2)
            return at + 2
        if following == "x":
            digits = _HEX.match(self.line, at + 2)
            if digits:
                self._add(chr(int(digits[0], 16)), at, at + 4)
                return at + 4
            self.fault = r"\x is not followed by two hexadecimal digits"
        self._add("\\", at, at + 1)
        return at + 1

    def _variable(self, at: int) -> int:
        """Replace the variable at index `at` by its value; return the index after it."""
        # Without a brace that closes, each $ would be read up to the end of the line.
        open_brace = self.line.startswith("{", at + 1) and self.last_brace < at
        match = None if open_brace else _VARIABLE.match(self.line, at)
        if not match:
            self.fault = "a $ in double quotes is not followed by the name of a variable"
            self._add("$", at, at + 1)
            return at + 1
        name = match["braced"] or match["plain"]
        value = self.environment.get(name)
        variable = value is not None or not match["default"]
        if value is None:
            value = match["default"]
        if value is None:
            self.unset.append((len(self.words), name))
            value = ""
        self.expanded += len(value) * variable
        if self.expanded > LONGEST:
            self.fault = f"the variables make the line longer than {LONGEST} characters"
            value = ""
        if match["expand"]:
            first, *rest = value.split() or [""]
            self._add(first, at, match.end(), variable=variable)
            for word in rest:
                self._end()
                self._add(word, at, match.end(), variable=variable)
        else:
            self._add(value, at, match.end(), variable=variable)
        return match.end()
