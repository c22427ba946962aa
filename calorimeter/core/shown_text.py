"""Text of foreign origin, made harmless for the place where it is shown.

Names in files, answers of servers and lines of logs may hold anything: escape sequences, markup, formulas.
Everything that shows text uses these functions; `core.terminal` applies `plain` to all that is printed.
"""

from __future__ import annotations

import re

_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
    "|\r(?!\n)"
)
"""Control characters but tab and line ends, changes of the direction of writing, lone surrogates."""

_QUOTED = 60


def plain(text: str) -> str:
    """Text with each character that a terminal would obey, or that hides others, shown as `\\u001b`.

    That form is also what JSON and TOML write for it, so output for programs keeps its meaning.
    """
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """`plain`, with the ends of lines and tabs shown as spaces."""
    return plain(re.sub(r"[\t\n\r\u2028\u2029]+", " ", text))


def quoted(given: object) -> str:
    """What was given, in quotes, for a message: cut if it is long."""
    text = repr(given)
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 20]}… ({len(text)} characters)"


# Markdown

_PUNCTUATION = re.compile(r"[\\*_\[\]<>|~$]|:(?=//)|(?<=www)\.|&(?=#?\w)", re.IGNORECASE)
_BLOCK = re.compile(r"(\s*)(?:([-+=:])(?=[\s=+:-]|$)|(\d{1,9})([.)])(?=\s|$))")
"""What begins a list, a rule or the underline of a heading at the start of a line."""
_REFERENCE = re.compile(r"([@#]+)(\w?)")
"""A run of the signs of a mention, an issue or a heading, and the word that follows it."""


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, in one line: no markup, HTML, link, mention or end of a cell.

    Services link `@name` and `#1` even where they are escaped, except in code, so those signs are code.
    """
    line = re.sub(r" +", " ", one_line(text))
    escaped = _PUNCTUATION.sub(_escaped, line.replace("`", "\0"))
    if block := _BLOCK.match(escaped):
        escaped = _block(block) + escaped[block.end() :]
    return _REFERENCE.sub(_reference, escaped).replace("\0", "&#96;")


def _escaped(found: re.Match[str]) -> str:
    return "&amp;" if found[0] == "&" else f"\\{found[0]}"


def _reference(found: re.Match[str]) -> str:
    signs, word = found.groups()
    return f"`{signs}`{word}" if word or "@" in signs else "\\#" * len(signs)


def _block(found: re.Match[str]) -> str:
    return f"{found[1]}\\{found[2]}" if found[2] else f"{found[1]}{found[3]}\\{found[4]}"


# CSV

_NUMBER = re.compile(r"[-+]?[\d.,]+(?:e[-+]?\d+)?\s?%?", re.ASCII | re.IGNORECASE)
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: such text gets an apostrophe; numbers stay."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    formula = _FORMULA.match(text) or value[:1] in ("\t", "\r")
    return f"'{text}" if formula and not _NUMBER.fullmatch(text) else text


def some(count: int, what: str) -> str:
    """`1 run`, `2 runs`: how many there are of a thing whose word takes an s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
