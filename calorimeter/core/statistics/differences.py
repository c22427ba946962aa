"""Two sides of values against each other: how far apart, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from calorimeter.core.statistics.arrays import Floats
from calorimeter.core.statistics.intervals import Interval

ALPHA = 0.01
"""How often two equal sides may be told apart, for each pair of sides compared."""

MINIMUM_SIDE = 5
"""Values a side from which two sides can be told apart: below, no order of them is as rare as `ALPHA`."""

RULE = (
    f"Two sides differ where the exact Mann–Whitney test gives p ≤ {ALPHA}: of equal sides at most "
    f"{ALPHA * 100:.0f} % are told apart, row by row. The difference is the median of all pairs of a value "
    "on the right and one on the left (Hodges and Lehmann 1963), relative to the left; its interval "
    f"({100 - ALPHA * 100:g} %) holds what that same test does not refute. Cliff's δ, the effect size, "
    "says how much more often a value on the right is the larger than the smaller, from −1 to 1."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two sides of values, one value a run (or a window); what is relative is relative to the left.

    `left` and `right` are medians, `units` how many values each side has; `p` is Mann and Whitney's,
    `delta` Cliff's.
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
        """Whether the right side is detectably the larger."""
        return self.detected and self.delta > 0

    @property
    def smaller(self) -> bool:
        """Whether the right side is detectably the smaller."""
        return self.detected and self.delta < 0


def difference(left: Sequence[float] | Floats, right: Sequence[float] | Floats) -> Difference:
    """Tell two sides apart by `RULE`; ValueError where a side has no value or one that is not finite."""
    one, other = (np.asarray(side, dtype=np.float64) for side in (left, right))
    if any(not len(side) or not np.isfinite(side).all() for side in (one, other)):
        raise ValueError("a side of a comparison is empty or holds what is no number")
    return Difference(
        left=float(np.median(one)),
        right=float(np.median(other)),
        units=(len(one), len(other)),
        relative=relative_shift(one, other),
        p=mann_whitney(one, other),
        delta=cliffs_delta(one, other),
    )


def relative_shift(left: Floats, right: Floats, confidence: float = 1 - ALPHA) -> Interval:
    """By how much the right side is larger than the left, as a share of it, with bounds.

    The median of the ratios of all pairs (Hodges and Lehmann's shift, of logarithms); bounds are the
    ratios whose rank Mann and Whitney's test puts at `confidence` (Bauer 1972), so they leave 0 out where
    that test refutes equality. Bounds are NaN where so few values can give none, all is NaN where a value
    is not above 0.
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
    """The largest u with P(U ≤ u) ≤ `tail` among equal sides; −1 where there is none."""
    if m * n <= _EXACT:
        ways = _ways(m, n)
        return int(np.searchsorted(ways.cumsum() / ways.sum(), tail * (1 + 1e-12), side="right")) - 1
    z = NormalDist().inv_cdf(1 - tail)
    return max(-1, math.floor(m * n / 2 - 0.5 - z * math.sqrt(m * n * (m + n + 1) / 12)))


def mann_whitney(left: Floats, right: Floats) -> float:
    """The two-sided p value of Mann and Whitney's U test (1947) that neither side tends to be larger.

    Exact where no value occurs twice and there are at most `_EXACT` pairs; else the normal
    approximation with the correction for ties and for continuity. 1.0 where all values are equal.
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
    """In how many orders of m and n distinct values U takes each of its values 0 … m·n.

    The coefficients of the Gaussian binomial: the product over i of (1 − q^(n+i)) / (1 − q^i).
    """
    ways = np.zeros(m * n + 1)
    ways[0] = 1
    for i in range(1, m + 1):
        ways[n + i :] -= ways[: -(n + i)].copy() if n + i <= m * n else 0
        for k in range(i, m * n + 1):
            ways[k] += ways[k - i]
    return ways


def cliffs_delta(left: Floats, right: Floats) -> float:
    """How much more often a value of `right` is the larger than the smaller: −1 to 1 (Cliff 1993)."""
    return float(np.sign(right[None, :] - left[:, None]).mean())
