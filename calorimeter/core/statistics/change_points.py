"""Where a short, noisy series changes its level: a permutation test on ranks, then again on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from calorimeter.core.statistics.arrays import Floats
from calorimeter.core.statistics.differences import ALPHA, MINIMUM_SIDE, Difference, difference

PERMUTATIONS = 4999
"""Random orders of a series that its own order is compared with; their seed is fixed."""

MOST_VALUES = 500
"""Values of a series that are looked at, at most: the last ones."""

CHANGE_RULE = (
    "A series of runs changes where its ranks differ most before and after: the Mann–Whitney statistic, "
    "standardised, is largest over all places (Pettitt 1979), within the series and within parts of it of "
    "half the length, a quarter and so on (seeded binary segmentation, Kovács et al. 2023). It is a change "
    f"if at most {ALPHA * 100:.0f} % of {PERMUTATIONS:,} random orders of the same values reach that "
    "statistic. Both sides are then looked at in the same way. At last, neighbouring levels have to differ "
    f"by the exact Mann–Whitney test (p ≤ {ALPHA}), and each level has at least {MINIMUM_SIDE} runs: a "
    f"large change is seen at the {MINIMUM_SIDE}th run after it, or at the sixth if there are more than a "
    f"hundred. A change is placed where the values fit two levels best, by absolute deviation from their "
    f"medians. Of series whose order is mere chance, about {ALPHA * 100:.0f} % show a change. A slow drift "
    "is shown as steps."
)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level. `first` is the place of the first value after it.

    `p` is the permutation test's, `found` compares the level before with the level after; each reaches to
    the next change, or to the end of the series.
    """

    first: int
    p: float
    found: Difference


def change_points(series: Sequence[float] | Floats) -> tuple[ChangePoint, ...]:
    """The changes of level in a series, in order, by `CHANGE_RULE`.

    Raises ValueError if a value is not a finite number. `first` counts from the begin of the series, of
    which the last `MOST_VALUES` are looked at.
    """
    values = np.asarray(series, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a series has a value that is not a finite number")
    skipped = max(0, len(values) - MOST_VALUES)
    values = values[skipped:]
    found = _confirmed(values, _placed(values, _confirmed(values, _splits(values, 0))))
    edges = [0, *(first for first, _ in found), len(values)]
    return tuple(
        ChangePoint(skipped + first, p, difference(values[edges[i] : first], values[first : edges[i + 2]]))
        for i, (first, p) in enumerate(found)
    )


def _splits(values: Floats, offset: int) -> list[tuple[int, float]]:
    """Places of changes with their p, by recursion: first the place, then what is on both sides of it."""
    if len(values) < 2 * MINIMUM_SIDE:
        return []
    ranks = midranks(values)
    place, reached = _largest(ranks)
    p = permutation_p(ranks, reached)
    if p > ALPHA:
        return []
    left, right = _splits(values[:place], offset), _splits(values[place:], offset + place)
    return [*left, (offset + place, p), *right]


def _confirmed(values: Floats, found: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Without changes whose neighbouring levels do not differ; the least certain goes first."""
    while found:
        edges = [0, *(first for first, _ in found), len(values)]
        levels = [values[a:b] for a, b in pairwise(edges)]
        doubts = [difference(a, b).p for a, b in pairwise(levels)]
        worst = int(np.argmax(doubts))
        if doubts[worst] <= ALPHA:
            break
        found = found[:worst] + found[worst + 1 :]
    return found


def _placed(values: Floats, found: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The same changes, each between its neighbours where the two levels fit best.

    That is where the values differ least from the medians of their levels, in sum. The rank statistic finds
    a change surely, but near an end of a series it places it some runs too far inside.
    """
    edges = [0, *(first for first, _ in found), len(values)]
    for number in range(1, len(edges) - 1):
        a, b = edges[number - 1], edges[number + 1]
        able = range(a + MINIMUM_SIDE, b - MINIMUM_SIDE + 1)
        edges[number] = min(able, key=lambda first: _misfit(values[a:first]) + _misfit(values[first:b]))
    return [(edge, p) for edge, (_, p) in zip(edges[1:-1], found, strict=True)]


def _misfit(level: Floats) -> float:
    return float(np.abs(level - np.median(level)).sum())


def midranks(values: Floats) -> Floats:
    """The rank of each value from 1 on; equal values share the mean of their ranks."""
    places = np.unique(values, return_inverse=True, return_counts=True)
    ends = places[2].cumsum()
    return np.asarray((ends - (places[2] - 1) / 2)[places[1]], dtype=np.float64)


def permutation_p(ranks: Floats, reached: float) -> float:
    """The share of random orders of these ranks, this one among them, whose statistic is as large.

    (1 + how many reach it) / (1 + how many there are), which is never 0 (Phipson and Smyth 2010).
    """
    others = _of_random_orders(tuple(np.sort(ranks).tolist()))
    return (1 + int((others >= reached * (1 - 1e-9)).sum())) / (1 + len(others))


@lru_cache(maxsize=64)
def _of_random_orders(ranks: tuple[float, ...]) -> Floats:
    """The statistic of each random order. Series of one length without ties have the same ranks."""
    rng = np.random.default_rng(len(ranks))
    order = rng.permuted(np.tile(np.array(ranks), (PERMUTATIONS, 1)), axis=1)
    largest = [np.abs(_standardised(order[:, a:b])).max(axis=1) for a, b in _parts(len(ranks))]
    return np.asarray(np.max(largest, axis=0))


def _largest(ranks: Floats) -> tuple[int, float]:
    """The place with the largest statistic, and that statistic."""
    best, place = -math.inf, 0
    for a, b in _parts(len(ranks)):
        found = np.abs(_standardised(ranks[None, a:b]))[0]
        at = int(np.argmax(found))
        if found[at] > best * (1 + 1e-9):
            best, place = float(found[at]), a + MINIMUM_SIDE + at
    return place, best


def _parts(length: int) -> list[tuple[int, int]]:
    """The whole series, and parts of it that overlap by half; each has room for two levels."""
    found = []
    size = float(length)
    while size >= 2 * MINIMUM_SIDE:
        width = math.ceil(size)
        count = 2 * math.ceil(length / size) - 1
        step = (length - width) / max(1, count - 1)
        found += [(start, start + width) for start in dict.fromkeys(round(i * step) for i in range(count))]
        size /= 2
    return found


def _standardised(ranks: Floats) -> Floats:
    """The sum of the first k ranks, less its mean, by its standard deviation over all orders; shape (m, k).

    `ranks` has shape (m, n); k runs from `MINIMUM_SIDE` to n − `MINIMUM_SIDE`. Without ties it is the U of
    Mann and Whitney, standardised. The mean is k·r̄, the variance k (n − k) / (n − 1) times that of the n
    ranks (sampling without replacement). 0 if all are equal.
    """
    n = ranks.shape[1]
    k = np.arange(MINIMUM_SIDE, n - MINIMUM_SIDE + 1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) * k * (n - k) / (n - 1))
    sums = centred.cumsum(axis=1)[:, k - 1]
    return np.asarray(np.divide(sums, spread, out=np.zeros_like(sums), where=spread > 1e-9))
