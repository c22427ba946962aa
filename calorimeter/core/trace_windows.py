"""Windows of tracing, spread evenly over the steady part of a load."""

from __future__ import annotations

import re
from dataclasses import dataclass

from calorimeter.core import bounds
from calorimeter.core.errors import InputError

_SPEC = re.compile(r"([0-9]{1,19})[x×]([^x×]{1,40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceWindows:
    """So many windows of so many seconds, as a user writes them: `5x2s`."""

    count: int
    length_s: float

    @classmethod
    def parse(cls, text: str) -> TraceWindows:
        """The windows that a text means. Raises ValueError, with what is valid."""
        found = _SPEC.fullmatch(text.replace("×", "x"))
        if found is None:
            raise ValueError(f"{bounds.TRACE_WINDOWS}, an x, and their length, as in 5x2s")
        return cls(bounds.TRACE_WINDOWS.parse(found[1]), bounds.TRACE_WINDOW.parse_time(found[2]))

    def __str__(self) -> str:
        return f"{self.count}x{self.length_s:g}s"

    def within(self, warm_up_s: float, duration_s: float) -> TraceWindowsPlan:
        """The windows in a load of this length. Raises InputError if they do not fit after its warm-up."""
        steady_s, traced_s = duration_s - warm_up_s, self.count * self.length_s
        if traced_s > steady_s:
            raise InputError(
                "--trace-windows",
                f"{self} are {traced_s:g} s, and the load after its warm-up lasts {steady_s:g} s",
                "valid: windows that fit",
            )
        return TraceWindowsPlan(self.count, self.length_s, warm_up_s, duration_s)


@dataclass(frozen=True, slots=True)
class TraceWindowsPlan:
    """Windows in a load: each in the middle of its part of the time after the warm-up."""

    count: int
    length_s: float
    warm_up_s: float
    duration_s: float

    def windows(self, begin_ns: int) -> list[int]:
        """When each begins, ns, if the load begins at `begin_ns`."""
        part_s = (self.duration_s - self.warm_up_s) / self.count
        first_s = self.warm_up_s + (part_s - self.length_s) / 2
        return [begin_ns + int((first_s + number * part_s) * 1e9) for number in range(self.count)]
