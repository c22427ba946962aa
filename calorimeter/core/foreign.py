"""What other programs send us, checked before it is used or goes out again: JSON, XML, ids, URLs.

Each function returns a value of the expected form, or raises UnintelligibleError. Nothing else is raised,
whatever the bytes are; a message quotes nothing of an answer but names.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit
from xml.parsers import expat

from calorimeter.core import json_text

_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}", re.ASCII)
_ARN = re.compile(r"arn:[A-Za-z0-9_.:-]{1,255}:stacks/[A-Za-z0-9_.-]{1,255}/[A-Za-z0-9_-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,16384}", re.ASCII)
_TARGET = re.compile(r"/[!-~]{0,8191}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,8191}", re.ASCII)


MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises where a value has another type or form than the code that reads it expects."""


class UnintelligibleError(ValueError):
    """An answer that lacks what it must contain, or contains what must not be used."""


def json_value(body: bytes | str) -> Any:
    """The value of JSON text in UTF-8: its numbers are finite, and UTF-8 can hold all of its texts."""
    try:
        return json_text.parse(body if isinstance(body, str) else body.decode())
    except (ValueError, RecursionError) as problem:
        raise UnintelligibleError(f"no JSON ({type(problem).__name__})") from None


def member(value: object, *names: str) -> Any:
    """The member of nested JSON objects at the path `names`."""
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise UnintelligibleError(f"no {'.'.join(names)!r}")
        value = value[name]
    return value


def table(value: object) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise UnintelligibleError("not an object")
    return value


def objects(value: object) -> list[dict[str, Any]]:
    """A list of JSON objects."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnintelligibleError("not a list of objects")
    return value


def text(value: object) -> str:
    """Text of at most a mebibyte."""
    if not isinstance(value, str) or len(value) > 2**20:
        raise UnintelligibleError("not text")
    return value


def identifier(value: object) -> str:
    """An id or the name of a stack: letters, digits, `_ . : -`, which need no quoting in a path."""
    return _matching(_IDENTIFIER, value, "an id")


def arn(value: object) -> str:
    """The ARN of a stack."""
    return _matching(_ARN, value, "an ARN of a stack")


def token(value: object) -> str:
    """A token or key that goes into a header: visible ASCII characters."""
    return _matching(_TOKEN, value, "a token")


def target(value: object) -> str:
    """The path and query of a URL that goes into a request line."""
    return _matching(_TARGET, value, "a path")


def url(value: object) -> SplitResult:
    """An http or https URL with a host and without a password, in visible ASCII characters."""
    try:
        parts = urlsplit(_matching(_URL, value, "a URL"))
        usable = parts.hostname and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets that do not match, a port that is none
        usable = False
    if not usable:
        raise UnintelligibleError("not a URL")
    return parts


def location(value: bytes) -> str:
    """The path and query that a `Location` leads to; the request for it goes to the host that was asked."""
    given = value.decode("latin-1")
    if given.startswith("/"):
        return target(given)
    parts = url(given)
    return target(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/")


def _matching(pattern: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise UnintelligibleError(f"not {what}")
    return value


class _FoundError(Exception):
    """The text of the element that was searched for."""


def xml_text(body: bytes, name: str) -> str:
    """The text of the first element `name` in XML in UTF-8, which must declare no type and no entity."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parts: list[str] | None = None

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal parts
        if tag == name and parts is None:
            parts = []

    def end(tag: str) -> None:
        if tag == name and parts is not None:
            raise _FoundError("".join(parts))

    def characters(data: str) -> None:
        if parts is not None:
            parts.append(data)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except _FoundError as found:
        return text(str(found))
    except expat.ExpatError:
        raise UnintelligibleError("no XML") from None
    raise UnintelligibleError(f"no {name}")


def _refuse(*_: object) -> None:
    raise UnintelligibleError("XML with a declaration, which Heat never sends")
