"""The tail of Student's t distribution."""

from __future__ import annotations

import math


def upper_tail(t: float, freedom: int) -> float:
    """The probability that Student's t with `freedom` (1 or more) degrees of freedom exceeds `t`.

    The finite series of Abramowitz and Stegun 26.7.3 and 26.7.4; its error is below 1e-13.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cosine = math.cos(angle)
    if freedom == 1:
        inside = 2 * angle / math.pi
    else:
        odd = freedom % 2
        term = total = cosine if odd else 1.0
        for k in range(3 if odd else 2, freedom - 1, 2):
            term *= (k - 1) / k * cosine**2
            total += term
        inside = math.sin(angle) * total
        inside = 2 / math.pi * (angle + inside) if odd else inside
    tail = max(0.0, (1 - inside) / 2)
    return tail if t >= 0 else 1 - tail


def quantile(tail: float, freedom: int) -> float:
    """The t that Student's t exceeds with probability `tail` (below one half), by bisection."""
    low, high = 0.0, 2.0
    while upper_tail(high, freedom) > tail and high < _HIGHEST:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, freedom) > tail else (low, middle)
    return high


_HIGHEST = 2.0**40
