"""A sequential test: whether a ratio of events is larger than allowed, while they are still counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calorimeter.core.statistics.autocorrelation import MOST_DEPENDENT, dependence, inflation
from calorimeter.core.statistics.student import upper_tail

LEAST_BATCHES = 16
MOST_BATCHES = 32
"""Batches of a series: with this many, each two become one, twice as long."""

LOOK_EVERY = 4
"""Batches between two looks."""

LEAST_FREEDOM = 4
"""With fewer independent batches (in effect), nothing is decided."""

SEQUENTIAL_RULE = (
    f"Counts are added up in {LEAST_BATCHES} to {MOST_BATCHES - 1} batches of equal length, which double "
    "their length as the load goes on (dynamic batch means, Yeh and Schmeiser 2000), so that requests and "
    "seconds within a batch may depend on one another in any way. In each batch the allowed share of its "
    "requests is subtracted from those that are beyond the limit. Student's t of the mean of these "
    "excesses, its variance enlarged by the dependence of neighbouring batches (AR(1), one standard error "
    f"above its estimate), is looked at with {LEAST_BATCHES}, {LEAST_BATCHES + LOOK_EVERY}, … batches. "
    "Each look may err with the stated error divided by the number of looks of the whole load and of "
    "tested bounds (Bonferroni), so the load as a whole errs with the stated error at most. Assumed "
    "is that batches fluctuate around one level, and depend on earlier ones only through their neighbours, "
    "with a correlation of at most 0.8."
)


@dataclass(frozen=True, slots=True)
class ProvenExcess:
    """A look that decided: Student's `t` of `batches` batches of `batch` blocks each.

    `p` is the chance of such an excess if the ratio is as allowed, `p_allowed` the largest that decides.
    """

    t: float
    p: float
    p_allowed: float
    batches: int
    batch: int


def looks_within(blocks: int) -> int:
    """How often a series of that many blocks is looked at."""
    looks, batch = 0, 1
    for count in range(LEAST_BATCHES, MOST_BATCHES, LOOK_EVERY):
        looks += blocks >= count
    while blocks >= MOST_BATCHES * batch:
        batch *= 2
        looks += sum(blocks >= count * batch for count in range(LEAST_BATCHES, MOST_BATCHES, LOOK_EVERY))
    return looks


class SequentialRatio:
    """Tests by `SEQUENTIAL_RULE` whether more than a share `allowed` of requests is beyond a limit.

    `p_allowed` is the error of one look.
    """

    def __init__(self, allowed: float, p_allowed: float) -> None:
        self._allowed, self._p_allowed = allowed, p_allowed
        self._excess: list[float] = []
        self._batch, self._filled, self._sum = 1, 0, 0.0

    def add(self, requests: int, beyond: int) -> ProvenExcess | None:
        """Add a block, of the same length as all others. Returns what a look decided, None if nothing."""
        self._sum += beyond - self._allowed * requests
        self._filled += 1
        if self._filled < self._batch:
            return None
        self._excess.append(self._sum)
        self._filled, self._sum = 0, 0.0
        if len(self._excess) == MOST_BATCHES:
            self._excess = [sum(self._excess[k : k + 2]) for k in range(0, MOST_BATCHES, 2)]
            self._batch *= 2
        count = len(self._excess)
        return self._look() if count >= LEAST_BATCHES and count % LOOK_EVERY == 0 else None

    def _look(self) -> ProvenExcess | None:
        excess = np.array(self._excess)
        n, middle = len(excess), float(excess.mean())
        if middle <= 0:
            return None
        apart = excess - middle
        # So few batches show a dependence to within 1/√n (Bartlett 1946): the larger one is believed.
        larger = inflation(min(MOST_DEPENDENT, dependence(apart, 1) + 1 / math.sqrt(n)), n)
        independent = int(n / larger)
        if independent <= LEAST_FREEDOM:
            return None
        error = math.sqrt(float(apart @ apart) / (n - 1) / n * larger)
        t = middle / error if error > 0 else math.inf
        p = upper_tail(t, independent - 1)
        return ProvenExcess(t, p, self._p_allowed, n, self._batch) if p <= self._p_allowed else None
