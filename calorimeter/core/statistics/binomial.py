"""The binomial distribution of a count: its bounds, and what they cannot see."""

from __future__ import annotations

from math import exp, lgamma, log

MISSED = 0.05
"""A deviation is one that could have been missed where its probability to pass is larger."""


def binomial_bounds(trials: int, share: float, outside: float) -> tuple[int, int]:
    """The counts between which a binomial variable lies, but for a probability of `outside`.

    The exact distribution, half of `outside` left out at each end.
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
    """How far a share may be off and still pass, from `low` to `high` of `trials`, in one of twenty times.

    A true share of q is seen as too large with the probability 1 − P(B(trials, q) ≤ high), which is 95 %
    for the q at which P(…) = 0.05: Clopper and Pearson's upper bound for `high`. Too small likewise.
    With `low` = 0 even no source at all would pass: all of the share may be missing.
    """
    too_large = _upper_bound(trials, high)
    too_small = 1 - _upper_bound(trials, trials - low)
    return max(too_large - share, share - too_small)


def _upper_bound(trials: int, count: int) -> float:
    """The q at which P(B(trials, q) ≤ count) = 0.05, by bisection; 1 where it is never as small."""
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
    """How many of the first can be left out before they together exceed `mass`."""
    total = 0.0
    for k, probability in enumerate(probabilities):
        total += probability
        if total > mass:
            return k
    return len(probabilities) - 1
