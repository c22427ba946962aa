"""Where text has secrets: in URLs, queries, `name: value` pairs, and as tokens of a known shape.

All functions return spans, (start, end) pairs of indexes. Every pattern is linear in the text, which may be
anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from calorimeter.core.bounds import is_digits

MASK = "********"
Span = tuple[int, int]

SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|encryption_?key|(?:api|private|access)[_-]?key\b|token\b|credential",
    re.IGNORECASE,
)
"""What the name of an option, variable or header with a secret has in it."""
_NO_SECRET = ("_file", "_path", "_dir", "_ttl", "_time", "_url", "_expiration")
"""Endings of names of what is no secret itself: `secret_file`."""
_HEADER = re.compile(r"authorization|cookie|auth[_-]?(?:token|key)|-key$|-auth$|session|jwt", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?:.*[_.-])?(?:key|sig|signature|code|auth|pass|pwd?|session|sid|jwt)", re.IGNORECASE | re.DOTALL
)
_SCHEME = re.compile(r"\^?(?:basic|bearer|digest|token|negotiate)(?:\\s\+?)?[ ,:$]*", re.IGNORECASE)
_PAIR = re.compile(r"(?<![\w.-])([\w.-]{1,64})[\"']?[ \t]*[:=][ \t]*(?![ \t/:=]|$)")
_QUERY = re.compile(r"(?<=[?&;])([\w.-]{1,64})=([^&\s#;\"']+)")
_ASSIGNED = re.compile(r"(?:\w{0,60}_)?(?:pass|pwd?)", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![\w-])(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|gAAAA[\w-]{40,})")
_END = re.compile(r"[&\s\"';,{}\\]|$")
_LINE_END = re.compile(r"[\r\n\"']|\\[rn]|$")
_EXPRESSION = re.compile(
    r"%(?:\{[^{}]{0,99}\})?(?:\[|(?:"
    r"B|CC|CS|E|H|HM|HP|HPO|HQ|HU|HV|ID|OG|T|T[acdfhilqRrstuw]|U|ac|b|b[cipq]|c[ip]|f|f[cipt]|hrl?|hsl?|lc|ms|o"
    r"|pid|r|rc|rt|s|s[cipqt]|sslc|sslv|t|tr|tr[gl]|ts|tsc"
    r")(?![A-Za-z]))"
)
"""An expression, or one of HAProxy's own variables of a format (manual, 8.2.6): other words are text."""
_BACK_REFERENCE = re.compile(r"\\\d")


def masked(text: str, found: Iterable[Span]) -> str:
    """The text with a mask in the place of each span; those that touch or overlap are one."""
    pieces, at = [], 0
    for start, end in joined(found):
        pieces += [text[at:start], MASK]
        at = end
    return "".join((*pieces, text[at:]))


def joined(found: Iterable[Span]) -> list[Span]:
    """Spans in order, without empty ones; those that touch or overlap are one."""
    apart: list[Span] = []
    for start, end in sorted(found):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        elif end > start:
            apart.append((start, end))
    return apart


def is_secret_name(name: str) -> bool:
    """Whether an option or variable of this name holds a secret."""
    return SECRET_NAME.search(name) is not None and not name.lower().endswith(_NO_SECRET)


def is_assigned_secret(name: str) -> bool:
    """Whether `name=` is followed by a secret: `DB_PASS`, too."""
    return is_secret_name(name) or _ASSIGNED.fullmatch(name) is not None


def is_secret_header(name: str) -> bool:
    """Whether a header of this name holds a secret."""
    if is_secret_name(name):
        return True
    return _HEADER.search(name) is not None and not name.lower().startswith(("www-", "access-control-"))


def is_secret_parameter(name: str) -> bool:
    """Whether a parameter of a query with this name holds a secret: `key`, `sig`."""
    return is_secret_name(name) or (len(name) <= 64 and _PARAMETER.fullmatch(name) is not None)


def spans(text: str, *, query: bool = False) -> Iterator[Span]:
    """All secrets of a text that show by themselves. `query`: the text is a query, or may be one."""
    yield from of_urls(text)
    for start, end in of_queries(f"?{text}" if query else text):
        yield (start - query, end - query)
    yield from of_pairs(text)
    yield from (match.span() for match in _TOKEN.finditer(text))


def of_urls(text: str) -> Iterator[Span]:
    """The passwords of the URLs in a text, each up to the last `@`: it may contain any character."""
    for run in re.finditer(r"\S+", text):
        start = _password(run[0])
        if start is not None:
            yield run.start() + start, run.start() + run[0].rindex("@")


def _password(text: str) -> int | None:
    """The index at which the first URL with a user begins its password."""
    last = text.rfind("@")
    at = text.find("://")
    while 0 <= at < last:
        stop = _after_user(text, at + 3)
        if stop < last and text[stop] == ":":
            return stop + 1
        at = text.find("://", at + 1)
    return None


_USER_ENDS = re.compile(r"[:/@]|$")


def _after_user(text: str, at: int) -> int:
    found = _USER_ENDS.search(text, at)
    return found.start() if found else len(text)


def of_queries(text: str) -> Iterator[Span]:
    """The values of a query's parameters whose names are those of secrets."""
    for match in _QUERY.finditer(text):
        if is_secret_parameter(match[1]):
            yield from (_moved(span, match.start(2)) for span in literals(match[2]))


def of_pairs(text: str) -> Iterator[Span]:
    """The values of `name: value`, `name=value` and `"name": "value"` with the name of a secret."""
    at = 0
    while match := _PAIR.search(text, at):
        at = match.end()
        header = ":" in match[0]
        if not (is_secret_header(match[1]) if header else is_assigned_secret(match[1])):
            continue
        quote = text[at] if text[at] in "\"'" else ""
        if quote:
            closing = text.find(quote, at + 1)
            start, end = at + 1, closing if closing > 0 else len(text)
        else:
            ends = _LINE_END if header and match[0].endswith((" ", "\t")) else _END
            found = ends.search(text, at)
            start, end = at, found.start() if found else len(text)
        value = text[start:end]
        if header and not quote and is_digits(value) and match[0].endswith(":") and len(value) <= 5:
            continue  # the port of a host
        yield from (_moved(span, start) for span in header_value(match[1], value))
        at = max(at, end)


def header_value(name: str, value: str) -> Iterator[Span]:
    """The secrets in the value of a header: of a cookie what follows `=`, else all but the scheme."""
    if "cookie" in name.lower() and "=" in value:
        for match in re.finditer(r"=([^;,\s]+)", value):
            yield from (_moved(span, match.start(1)) for span in literals(match[1]))
        return
    skip = after_scheme(value)
    yield from (_moved(span, skip) for span in literals(value[skip:]))


def after_scheme(value: str) -> int:
    """Where the secret in the value of an Authorization header begins: after `Basic `."""
    scheme = _SCHEME.match(value)
    return scheme.end() if scheme and (scheme.end() == len(value) or scheme[0][-1] in " ,:$+") else 0


def literals(value: str) -> Iterator[Span]:
    """The parts of a value that are text, not an expression of HAProxy such as `%[var(txn.x)]`."""
    start = 0
    while match := _EXPRESSION.search(value, start):
        yield from _literal(value, start, match.start())
        start = match.end()
        if match[0].endswith("["):
            start = _closing(value, start)
            yield from (_moved(span, match.end()) for span in arguments(value[match.end() : start], "str"))
    yield from _literal(value, start, len(value))


def _literal(value: str, start: int, end: int) -> Iterator[Span]:
    text = value[start:end]
    start += len(text) - len(text.lstrip())
    if any(char.isalnum() for char in _BACK_REFERENCE.sub("", text)):
        yield start, start + len(text.strip())


def _closing(text: str, at: int) -> int:
    """The index of the bracket that closes an expression, or of the end of the text."""
    depth = 1
    for match in re.compile(r"[\[\]]").finditer(text, at):
        depth += 1 if match[0] == "[" else -1
        if not depth:
            return match.start()
    return len(text)


def arguments(expression: str, function: str, index: int | None = None) -> Iterator[Span]:
    """What a function of an expression is given: all of its arguments together, or one of them."""
    called, at = re.compile(rf"\b{function}\("), 0
    while match := called.search(expression, at):
        given = _given(expression, match.end())
        start, at = match.end(), given[-1][1]
        end = at
        if index is not None:
            if len(given) <= index:
                continue
            start, end = given[index]
        inner = expression[start:end]
        kept = inner.strip("\"' ")
        if kept:
            start += inner.index(kept)
            yield start, start + len(kept)


def _given(expression: str, at: int) -> list[Span]:
    """The arguments that begin at an index: they end at the parenthesis that closes, or with the text."""
    found, depth, start = list[Span](), 0, at
    for match in re.compile(r"[(),]").finditer(expression, at):
        if match[0] == "(":
            depth += 1
        elif depth:
            depth -= match[0] == ")"
        else:
            found.append((start, match.start()))
            if match[0] == ")":
                return found
            start = match.end()
    return [*found, (start, len(expression))]


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by
