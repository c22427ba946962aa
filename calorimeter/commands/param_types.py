"""Types of options. This module is quick to import: a fault of a lab must not wait for more."""

from __future__ import annotations

import re
from typing import Any

import click

from calorimeter.core.errors import InputError


class DurationParam(click.ParamType[float]):
    """Seconds, as in `90`, `60s`, `2m` or `1h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds; raises `InputError`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", str(value))
        if match is None or float(match[1]) <= 0:
            name = param.opts[0] if param is not None else "duration"
            raise InputError(name, f"{value!r} is no duration", "valid: 90, 60s, 2m, 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


class NumbersParam(click.ParamType[tuple[int, ...]]):
    """`1,2,4`: numbers within limits, in the order given."""

    def __init__(self, name: str, lowest: int, highest: int) -> None:
        self.name = name
        self.lowest, self.highest = lowest, highest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdigit() and self.lowest <= int(word) <= self.highest for word in words):
            valid = f"numbers from {self.lowest} to {self.highest} such as 1,2,4"
            self.fail(f"{value!r} given; valid: {valid}", param, ctx)
        return tuple(map(int, words))
