"""Backlogs: whether the number of messages in a queue, or of work in progress, grows during a load."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calorimeter.core.statistics import Floats, Ints
from calorimeter.core.toml import Model

FEWEST = 6
"""Polls below which growth cannot be determined."""

DEVIATIONS = 3.0
"""Standard deviations of a steady state's differences: 1 in 700 series is called growth by chance."""


class Backlog(Model):
    """One queue over a load: its mean over the first and last third, and the growth allowed by chance.

    `name` is a queue, `stacks in progress` or `requests in flight`; `looks` is the number of polls.
    """

    name: str
    looks: int
    first: float
    last: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether it grew by more than chance."""
        return self.looks >= FEWEST and self.last - self.first > self.allowed


def backlog(name: str, values: Sequence[float]) -> Backlog:
    """Judge a series of values at equal intervals.

    Where arrivals are independent and nothing waits for anything (M/G/∞), the number present is Poisson:
    its variance is its mean, and the difference of two values has twice that variance. Growth by more than
    three such deviations is no steady state. Means over a third of the series vary less, queues in which
    work waits vary more: near the limit the rule errs on the side of caution.
    """
    third = max(1, len(values) // 3)
    first = sum(values[:third]) / third if values else 0.0
    last = sum(values[-third:]) / third if values else 0.0
    allowed = DEVIATIONS * math.sqrt(2 * max(first, 1.0))
    return Backlog(name=name, looks=len(values), first=first, last=last, allowed=allowed)


def present(begins: Ints, ends: Ints, at: Ints) -> Floats:
    """How many of the intervals [begin, end) hold each of the times; an end of 0 is never."""
    opened, closed = np.sort(begins), np.sort(ends[ends != 0])
    inside = opened.searchsorted(at, side="right") - closed.searchsorted(at, side="right")
    return inside.astype(np.float64)
