"""Text without what quotes its characters, to find a value in it however it is written.

Quoted for a URL, HTML, JSON, Python, oslo.config or HAProxy, a value is the same plain text. One pass over
the text, whatever is in it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTED = re.compile(
    r"(?P<octets>(?:%(?:25){0,2}[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);)"
    r"|\\(?:u(?P<unit>[0-9A-Fa-f]{4})|x(?P<octet>[0-9A-Fa-f]{2}))"
    r"|(?P<blank>\\{1,8}[nrtfv]|[ \t\r\n\f\v+]+)"
    r"|(?P<dollar>\$\$?)"
    r"|(?P<backslash>(?:\\\\)+(?=\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2})|\\+)"
    r"|(?P<lost>[\udc80-\udcff\ufffd]+)"
)
_OCTET = re.compile(r"%(?:25){0,2}([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class PlainText:
    """The plain characters of a text, and for each where it is written: from `starts` to `ends`."""

    text: str
    starts: list[int]
    ends: list[int]

    def find(self, value: str) -> Iterator[tuple[int, int]]:
        """The indexes in `text` at which a plain value is, from the first to the last."""
        return occurrences(self.text, value)


def occurrences(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where a value begins and ends in a text, from the first to the last; nowhere if it is empty."""
    at = text.find(value) if value else -1
    while at >= 0:
        yield at, at + len(value)
        at = text.find(value, at + len(value))


def plain(text: str) -> PlainText:
    """Take the quoting off a text."""
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def add(new: str, start: int, end: int) -> None:
        chars.append(new)
        starts.extend([start] * len(new))
        ends.extend([end] * len(new))

    at = 0
    backslash, before = -1, 0  # an escaped character begins with its backslashes
    for match in _QUOTED.finditer(text):
        if match.start() > at:
            chars.append(text[at : match.start()])
        starts.extend(range(at, match.start()))
        ends.extend(range(at + 1, match.start() + 1))
        if 0 <= backslash < len(starts) and not text[at].isalnum():
            starts[backslash] = before
        backslash, before = (len(starts), match.start()) if match["backslash"] else (-1, 0)
        at = match.end()
        for new, start, end in _unquoted(match):
            if chars and chars[-1][-1:] == " " == new:
                ends[-1] = end
            elif chars and _high(chars[-1]) and 0xDC00 <= ord(new or " ") < 0xE000:
                first = chars.pop()
                pair = (first + new).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                chars.append(pair[-1:])
                ends[-1] = end
            else:
                add(new, start, end)
    chars.append(text[at:])
    starts.extend(range(at, len(text)))
    if 0 <= backslash < len(starts) and not text[at].isalnum():
        starts[backslash] = before
    ends.extend(range(at + 1, len(text) + 1))
    return PlainText("".join(chars), starts, ends)


def _high(text: str) -> bool:
    return len(text) == 1 and 0xD800 <= ord(text) < 0xDC00


def _unquoted(match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """The plain characters that a quoted piece of text stands for, and where each is written."""
    kind, start, end = match.lastgroup, match.start(), match.end()
    if kind == "octets":
        yield from _from_octets(match[0], start)
    elif kind == "entity":
        yield _blank(html.unescape(match[0])), start, end
    elif kind in ("unit", "octet"):
        yield _blank(chr(int(match[kind], 16))), start, end
    elif kind in ("blank", "dollar", "lost"):
        yield {"blank": " ", "dollar": "$", "lost": "\ufffd"}[kind], start, end


def _blank(char: str) -> str:
    return " " if char in " \t\r\n\f\v+" else char


def _from_octets(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    places = [(start + octet.start(), start + octet.end()) for octet in _OCTET.finditer(text)]
    data = bytes(int(octet[1], 16) for octet in _OCTET.finditer(text))
    at = 0
    decoded = data.decode("utf-8", "surrogateescape")
    lost = None
    for char in decoded:
        size = len(char.encode("utf-8", "surrogateescape"))
        first, last = places[at][0], places[at + size - 1][1]
        at += size
        if 0xDC80 <= ord(char) < 0xDD00:
            lost = (lost[0] if lost else first, last)
            continue
        if lost:
            yield "\ufffd", *lost
            lost = None
        if char != "\\":
            yield _blank(char), first, last
    if lost:
        yield "\ufffd", *lost
