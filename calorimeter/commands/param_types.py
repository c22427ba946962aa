"""Types of options. This module is quick to import: a fault of a lab must not wait for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from calorimeter.core import bounds
from calorimeter.core.bounds import Bounds
from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted
from calorimeter.core.trace_windows import TraceWindows


class NumberParam(click.ParamType[Any]):
    """A number within bounds, which help shows in place of the value, as in `--users 1..1000000`."""

    def __init__(self, within: Bounds) -> None:
        self.within = within
        self.name = within.range

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails with the valid range if the text is not one, or is out of bounds."""
        read: Callable[[Any], Any] = self.read if isinstance(value, str) else self.within.check
        try:
            return read(value)
        except ValueError as problem:
            self.fail(f"{quoted(value)} given; {problem}", param, ctx)

    def read(self, text: str) -> Any:
        """The number that a text is. Raises ValueError."""
        return self.within.parse(text)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range, as help shows it."""
        return self.name


class DurationParam(NumberParam):
    """Seconds, as in `90`, `60s`, `2m` or `1h`."""

    def __init__(self, within: Bounds = bounds.SECONDS) -> None:
        super().__init__(within)
        self.name = "duration"

    def read(self, text: str) -> Any:
        """The seconds that a text is. Raises ValueError."""
        return self.within.parse_time(text)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range, in seconds."""
        return f"{self.within.range}s"


class NumbersParam(NumberParam):
    """`1,2,4`: numbers within bounds, in the order given."""

    def __init__(self, name: str, within: Bounds) -> None:
        super().__init__(within)
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers. Fails as a number does."""
        return value if isinstance(value, tuple) else super().convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range of each number."""
        return f"{self.within.range},…"

    def read(self, text: str) -> Any:
        """The numbers of a text. Raises ValueError."""
        words = text.split(",")
        if len(words) > bounds.MOST_NUMBERS:
            raise ValueError(f"valid: {bounds.MOST_NUMBERS} numbers or fewer")
        return tuple(self.within.parse(word.strip()) for word in words)


class WindowsParam(NumberParam):
    """`5x2s`: how many windows, and the length of each."""

    def __init__(self) -> None:
        super().__init__(bounds.TRACE_WINDOWS)
        self.name = "windows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The windows. Fails as a number does."""
        return value if isinstance(value, TraceWindows) else super().convert(value, param, ctx)

    def read(self, text: str) -> Any:
        """The windows that a text means. Raises ValueError."""
        return TraceWindows.parse(text)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range of each number."""
        return f"{self.within.range}x{bounds.TRACE_WINDOW.range}s"


def check_series(total_s: float, what: str) -> None:
    """Raise InputError if the loads of a series would together last longer than the longest load."""
    try:
        bounds.LOAD.check(total_s)
    except ValueError as problem:
        raise InputError("--repeat", f"{what} would last {total_s:.0f} s in all", str(problem)) from problem
