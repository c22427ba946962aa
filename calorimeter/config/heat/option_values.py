"""Whether oslo.config accepts the value of an option."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oslo_config import types

_BOUNDS = {
    "Integer": ("min", "max"),
    "Float": ("min", "max"),
    "Port": ("min", "max"),
    "String": ("choices", "quotes", "regex", "ignore_case", "max_length"),
    "URI": ("max_length", "schemes"),
}

_SAYS = {
    "Boolean": "not true or false",
    "Integer": "not an integer",
    "Port": "not a port number",
    "Float": "not a number",
    "IPAddress": "not an IP address",
    "URI": "not a URI",
}


def fault(kinds: Iterable[dict[str, Any]], text: str) -> str | None:
    """Why no release accepts this text for an option of these kinds; None if one does."""
    said = None
    for kind in kinds:
        said = _fault(kind, text.strip())
        if said is None:
            return None
    return said


def _fault(kind: dict[str, Any], text: str) -> str | None:
    try:
        _type(kind)(text)
    except (ValueError, TypeError) as error:
        return _plain(kind, str(error))
    return None


def _type(kind: dict[str, Any]) -> Any:
    name = kind["type"]
    if name == "List":
        items = {"type": kind.get("items", "String"), "choices": kind.get("item_choices")}
        return types.List(_type(items))
    bounds = {key: kind[key] for key in _BOUNDS.get(name, ()) if kind.get(key) is not None}
    factory = getattr(types, name, types.String)
    return types.String() if name == "MultiString" else factory(**bounds)


def _plain(kind: dict[str, Any], error: str) -> str:
    """The fault without the value, which may be a secret."""
    if kind.get("choices"):
        return f"not one of {', '.join(str(choice) or '(empty)' for choice in kind['choices'])}"
    said = _SAYS.get(kind["type"], "not valid")
    bounds = " ".join(
        f"{word} {kind[key]}" for word, key in (("from", "min"), ("to", "max")) if key in kind
    )
    return f"{said} {bounds}".rstrip()
