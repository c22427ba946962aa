"""Bounds of a binomial count, and the deviations that they cannot detect."""

from __future__ import annotations

from math import exp, lgamma, log

MISSED = 0.05
"""A deviation counts as undetected if it passes with a larger probability than this."""


def binomial_bounds(trials: int, share: float, outside: float) -> tuple[int, int]:
    """The smallest and largest count of a binomial variable that lies outside with probability `outside`.

    From the exact distribution, with half of `outside` at each end.
    """
    if share <= 0 or share >= 1:
        certain = trials if share >= 1 else 0
        return certain, certain
    probabilities = [
        exp(
            lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
            + k * log(share) + (trials - k) * log(1 - share)
        )
        for k in range(trials + 1)
    ]  # fmt: skip
    return _until(probabilities, outside / 2), trials - _until(probabilities[::-1], outside / 2)


def unseen_deviation(trials: int, share: float, low: int, high: int) -> float:
    """The largest deviation of a share that passes in one of 20 cases, if `low` to `high` counts pass.

    A true share q is detected as too large with probability 1 − P(B(trials, q) ≤ high). That is 95 % at the
    q for which P(…) = 0.05: Clopper and Pearson's upper bound for `high`. The lower bound is analogous.
    With `low` = 0 a count of 0 passes, so the whole share may be missing.
    """
    too_large = _upper_bound(trials, high)
    too_small = 1 - _upper_bound(trials, trials - low)
    return max(too_large - share, share - too_small)


def _upper_bound(trials: int, count: int) -> float:
    """The q at which P(B(trials, q) ≤ count) = 0.05, by bisection; 1 if it is always larger."""
    if count >= trials:
        return 1.0
    ways = [lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in range(count + 1)]
    low, high = 0.0, 1.0
    for _ in range(40):
        q = (low + high) / 2
        more, less = log(q), log(1 - q)
        if sum(exp(way + k * more + (trials - k) * less) for k, way in enumerate(ways)) > MISSED:
            low = q
        else:
            high = q
    return (low + high) / 2


def _until(probabilities: list[float], mass: float) -> int:
    """How many of the first probabilities can be left out before their sum exceeds `mass`."""
    total = 0.0
    for k, probability in enumerate(probabilities):
        total += probability
        if total > mass:
            return k
    return len(probabilities) - 1
