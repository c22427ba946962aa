"""HAProxy's times and numbers."""

from __future__ import annotations

import re

_TIME = re.compile(r"([0-9]+)(us|ms|s|m|h|d)?", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, *, unit: str = "ms") -> float | None:
    """A time in seconds, None where `text` is none.

    A bare number is in `unit`: milliseconds nearly everywhere (manual, section 2.5 "Time format").
    """
    match = _TIME.fullmatch(text)
    if not match or len(match[1]) > 15:
        return None
    return int(match[1]) * _SECONDS[match[2] or unit]


def number(text: str | None) -> int | None:
    """A whole number, None where `text` is none."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,15}", text, re.ASCII):
        return None
    return int(text)


def written(seconds_: float) -> str:
    """A time as one writes it in a configuration: `2s`, `1500ms`, `1m`."""
    ms = round(seconds_ * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"
