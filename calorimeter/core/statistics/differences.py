"""Compares two sides of values: how much they differ, and how certain that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from calorimeter.core.statistics.arrays import Floats
from calorimeter.core.statistics.intervals import Interval

ALPHA = 0.01
"""The probability that two equal sides are called different, for each pair of sides."""

MINIMUM_SIDE = 5
"""Values per side that a difference needs: with fewer, no order of them is as rare as `ALPHA`."""

RULE = (
    f"Two sides differ if the exact Mann–Whitney test gives p ≤ {ALPHA}: at most {ALPHA * 100:.0f} % of "
    "equal sides are called different, per row. The difference is the median over all pairs of a value on "
    "the right and a value on the left (Hodges and Lehmann 1963), relative to the left; its interval "
    f"({100 - ALPHA * 100:g} %) contains the differences that the same test does not reject. Cliff's δ is "
    "the effect size: how much more often a value on the right is larger than smaller, from −1 to 1."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The comparison of two sides, with one value per run (or window).

    `left` and `right` are medians; `units` is the number of values per side; `relative` is the difference
    relative to the left. `p` is the p value of the Mann–Whitney test, `delta` is Cliff's δ.
    """

    left: float
    right: float
    units: tuple[int, int]
    relative: Interval
    p: float
    delta: float

    @property
    def detected(self) -> bool:
        """Whether the sides differ, by `RULE`."""
        return self.p <= ALPHA

    @property
    def larger(self) -> bool:
        """Whether the right side is detectably larger."""
        return self.detected and self.delta > 0

    @property
    def smaller(self) -> bool:
        """Whether the right side is detectably smaller."""
        return self.detected and self.delta < 0


def difference(left: Sequence[float] | Floats, right: Sequence[float] | Floats) -> Difference:
    """Compare two sides by `RULE`. Raises ValueError if a side is empty or not finite."""
    one, other = (np.asarray(side, dtype=np.float64) for side in (left, right))
    if any(not len(side) or not np.isfinite(side).all() for side in (one, other)):
        raise ValueError("a side of a comparison is empty, or has a value that is not a finite number")
    return Difference(
        left=float(np.median(one)),
        right=float(np.median(other)),
        units=(len(one), len(other)),
        relative=relative_shift(one, other),
        p=mann_whitney(one, other),
        delta=cliffs_delta(one, other),
    )


def relative_shift(left: Floats, right: Floats, confidence: float = 1 - ALPHA) -> Interval:
    """How much larger the right side is than the left, relative to the left, with bounds.

    The estimate is the median of the ratios of all pairs (Hodges and Lehmann's shift of logarithms). The
    bounds are the ratios at the ranks that the Mann–Whitney test gives for `confidence` (Bauer 1972), so
    they exclude 0 if that test rejects equality. The bounds are NaN if there are too few values for them.
    All three are NaN if a value is not above 0.
    """
    if min(left.min(), right.min()) <= 0:
        return Interval(math.nan, math.nan, math.nan, confidence)
    ratios = np.sort((right[None, :] / left[:, None]).ravel()) - 1
    middle = float(np.median(ratios))
    rank = _rank(len(left), len(right), (1 - confidence) / 2)
    if rank < 0:
        return Interval(middle, math.nan, math.nan, confidence)
    return Interval(middle, float(ratios[rank]), float(ratios[len(ratios) - 1 - rank]), confidence)


def _rank(m: int, n: int, tail: float) -> int:
    """The largest u with P(U ≤ u) ≤ `tail` for equal sides; −1 if no u qualifies."""
    if m * n <= _EXACT:
        ways = _ways(m, n)
        return int(np.searchsorted(ways.cumsum() / ways.sum(), tail * (1 + 1e-12), side="right")) - 1
    z = NormalDist().inv_cdf(1 - tail)
    return max(-1, math.floor(m * n / 2 - 0.5 - z * math.sqrt(m * n * (m + n + 1) / 12)))


def mann_whitney(left: Floats, right: Floats) -> float:
    """The two-sided p value of the U test of Mann and Whitney (1947).

    Exact if no value occurs twice and there are at most `_EXACT` pairs, else the normal approximation,
    corrected for ties and continuity. 1.0 if all values are equal.
    """
    m, n = len(left), len(right)
    pairs = np.sign(right[None, :] - left[:, None])
    u = float((pairs > 0).sum() + (pairs == 0).sum() / 2)
    counts = np.unique(np.concatenate([left, right]), return_counts=True)[1]
    if m * n <= _EXACT and counts.max() == 1:
        ways = _ways(m, n)
        smaller = int(min(u, m * n - u))
        return min(1.0, 2 * float(ways[: smaller + 1].sum() / ways.sum()))
    total = m + n
    spread = m * n / 12 * (total + 1 - float((counts**3 - counts).sum()) / (total * (total - 1)))
    if spread <= 0:
        return 1.0
    z = max(0.0, abs(u - m * n / 2) - 0.5) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2))


_EXACT = 400


def _ways(m: int, n: int) -> Floats:
    """For each value 0 … m·n of U, the number of orders of m and n distinct values that give it.

    They are the coefficients of the Gaussian binomial: the product over i of (1 − q^(n+i)) / (1 − q^i).
    """
    ways = np.zeros(m * n + 1)
    ways[0] = 1
    for i in range(1, m + 1):
        ways[n + i :] -= ways[: -(n + i)].copy() if n + i <= m * n else 0
        for k in range(i, m * n + 1):
            ways[k] += ways[k - i]
    return ways


def cliffs_delta(left: Floats, right: Floats) -> float:
    """How much more often a value of `right` is larger than smaller, from −1 to 1 (Cliff 1993)."""
    return float(np.sign(right[None, :] - left[:, None]).mean())
