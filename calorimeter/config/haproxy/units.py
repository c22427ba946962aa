"""Times and integers as HAProxy reads and writes them."""

from __future__ import annotations

import re

_TIME = re.compile(r"([0-9]{1,15})(us|ms|s|m|h|d)?", re.ASCII)
LONGEST_S = (2**31 - 1) / 1000
"""HAProxy's longest time: its timers are milliseconds in 31 bits."""
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Convert a time (`10s`, `1m`, `250` for milliseconds) to seconds (manual, section 2.5 "Time format").

    Raises ValueError if `text` is not a time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; valid: a number with us, ms, s, m, h or d")
    return int(match[1]) * _SECONDS[match[2] or "ms"]


def seconds_or_none(text: str) -> float | None:
    """Convert a time to seconds; None if HAProxy refuses it: no time, or longer than 24 days."""
    return found if _TIME.fullmatch(text) and (found := seconds(text)) <= LONGEST_S else None


def integer_or_none(text: str | None) -> int | None:
    """Convert a decimal number; None if `text` is not one."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,15}", text, re.ASCII):
        return None
    return int(text)


def time_text(seconds_: float) -> str:
    """Write a time in the largest unit that needs no fraction: `2s`, `1500ms`, `1m`."""
    ms = round(seconds_ * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"
