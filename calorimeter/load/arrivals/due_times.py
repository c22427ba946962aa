"""The absolute times at which open arrivals are due.

Arrivals at a changing rate are computed from arrivals at rate one by a change of time. Let Λ(t) be the
number expected until t; then the k-th arrival is due at Λ⁻¹(S(k)). With S(k) = k, arrivals are evenly
spaced; with S(k) the sum of k + 1 exponential times, they are a Poisson process (Çinlar, Introduction to
Stochastic Processes, 4.7). Λ is a line in a step and a parabola in a ramp, so its inverse is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from calorimeter.workload.stages import Stage

CHUNK = 4096
"""The number of arrivals computed at once: less than a millisecond of work."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class DueArrivals:
    """Consecutive arrivals: when each is due, in ns after the start, and its kind."""

    at_ns: list[int]
    kinds: list[int]


class RateProfile:
    """A rate that changes in stages."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.duration_s = sum(stage.duration_s for stage in stages)
        lengths = [stage.duration_s for stage in stages]
        ends = [stage.level for stage in stages]
        begins = [
            (ends[number - 1] if number else 0.0) if stage.ramp else stage.level
            for number, stage in enumerate(stages)
        ]
        self._from = np.array(begins)
        self._slope = (np.array(ends) - self._from) / lengths
        self._begins_s = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        counts = (self._from + np.array(ends)) / 2 * lengths
        self._counts = np.concatenate([[0.0], np.cumsum(counts)])

    @property
    def expected(self) -> float:
        """The expected number of arrivals."""
        return float(self._counts[-1])

    def when(self, counts: Floats) -> Floats:
        """Λ⁻¹: the seconds after which `counts` arrivals are expected; each count is below `expected`."""
        # From the right: a stage without arrivals is skipped, the next one begins where it ends.
        stage = np.searchsorted(self._counts[1:], counts, side="right")
        rest = counts - self._counts[stage]
        begin = self._from[stage]
        root = np.sqrt(np.maximum(begin**2 + 2 * self._slope[stage] * rest, 0))
        # y = bt + at²/2, solved without cancellation; a = 0 needs no special case.
        divisor = begin + root
        into = np.divide(2 * rest, divisor, out=np.zeros_like(rest), where=divisor > 0)
        moments: Floats = self._begins_s[stage] + into
        return moments


def schedule(
    rates: RateProfile,
    *,
    spacing: str,
    seed: int,
    shares: Sequence[float] = (1.0,),
    worker: int = 0,
    workers: int = 1,
) -> Iterator[DueArrivals]:
    """All arrivals of one worker; all `workers` together have the schedule of a single one.

    `shares` are the weights of kinds (APIs); each arrival draws its kind. Equal seeds give equal times.
    """
    times, kinds = (np.random.default_rng([seed, stream]) for stream in (1, 2))
    bounds = np.cumsum(shares) / sum(shares)
    block = CHUNK * workers
    total = 0.0
    for first in range(0, ceil(rates.expected) + 1 if spacing == "constant" else 2**62, block):
        if spacing == "constant":
            counts = np.arange(first, first + block, dtype=np.float64)
        else:
            counts = total + np.cumsum(times.exponential(size=block))
            total = float(counts[-1])
        kind = np.searchsorted(bounds[:-1], kinds.random(block), side="right")
        inside = counts < rates.expected
        at_ns = np.rint(rates.when(counts[inside]) * 1e9).astype(np.int64)
        yield DueArrivals(at_ns[worker::workers].tolist(), kind[inside][worker::workers].tolist())
        if not inside.all():
            return
