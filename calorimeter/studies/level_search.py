"""The highest level that holds, by doubling, bisection and a hold: pure, the experiment is a function.

A single look at a level near its limit is a matter of chance, so both ends are looked at twice: the level
that is given as the answer must hold for longer, and the one above it must break again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Probe = Callable[[float], bool]
"""Whether a level holds."""

MOST_LOOKS = 40
"""Looks at levels in one search, whatever they say."""

MOST_HOLDS = 5
"""Levels that are held for long, one below the other: down to a twentieth of what a probe promised."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a search begins and between what it stays; `precision` is relative, as in 0.1.

    `whole` levels are whole numbers (users), others any (arrivals a second).
    """

    start: float
    least: float
    most: float
    precision: float = 0.1
    whole: bool = False

    def between(self, low: float, high: float) -> float | None:
        """The level to try between one that holds and one that breaks; None where they are close enough."""
        if self.whole:
            middle = math.floor(math.sqrt(low * high)) if high - low > 1 else low
            middle = max(middle, low + 1) if high - low > 1 else low
            return float(middle) if high / low > 1 + self.precision and high - low > 1 else None
        return _rounded(math.sqrt(low * high)) if high / low > 1 + self.precision else None

    def below(self, level: float, step: int) -> float:
        """The level to hold after `step` others that did not hold for long: steps grow, 10, 21, 46 % …"""
        lower = level / (1 + self.precision) ** 2**step
        return float(min(math.floor(lower), level - 1)) if self.whole else _rounded(lower)


def _rounded(level: float) -> float:
    """Three digits: a level is typed in again by people."""
    return float(f"{level:.3g}")


@dataclass(slots=True)
class Found:
    """What a search found: `capacity` holds and was held, `broken` is the lowest level above that broke.

    `capacity` is None where not even the least level holds; `broken` is None where the most held.
    """

    capacity: float | None = None
    broken: float | None = None
    confirmed: bool = False
    looks: list[tuple[float, bool]] = field(default_factory=list)


def search(plan: Plan, probe: Probe, hold: Probe) -> Found:
    """Find the highest level that holds; `hold` looks longer than `probe`.

    Doubles (or halves) from the start until one level holds and one breaks, bisects them to the precision,
    holds the lower one (going down where it breaks after all) and, where only a probe broke the upper one,
    looks at that again (going on upwards where it holds after all, once). At most `MOST_LOOKS` looks.
    """
    found = Found()
    once = _counted(probe, found)
    good, bad = _bracket(plan, once, plan.start, None)
    for again in (True, False):
        good, bad = _bisect(plan, once, good, bad)
        probed = bad
        good, bad = _held(plan, hold, found, good, bad)
        # What broke while it was held is not overruled by a shorter look.
        if good is None or bad is None or not again or bad != probed or _times(found.looks, bad) > 1:
            break
        if not once(bad):
            break
        good, bad = _bracket(plan, once, min(2 * bad, plan.most), bad) if bad < plan.most else (bad, None)
    found.capacity, found.broken = good, bad
    found.confirmed = good is not None
    return found


def _counted(probe: Probe, found: Found) -> Probe:
    def look(level: float) -> bool:
        if len(found.looks) >= MOST_LOOKS:
            return False
        holds = probe(level)
        found.looks.append((level, holds))
        return holds

    return look


def _times(looks: Sequence[tuple[float, bool]], level: float) -> int:
    return sum(level == looked for looked, _ in looks)


def _bracket(
    plan: Plan, probe: Probe, start: float, good: float | None
) -> tuple[float | None, float | None]:
    """A level that holds and one that breaks, a factor of two apart; None where there is none."""
    level, bad = start, None
    while bad is None:
        if not probe(level):
            bad = level
        elif level >= plan.most:
            return level, None
        else:
            good, level = level, min(2 * level, plan.most)
    while good is None:
        if bad <= plan.least:
            return None, bad
        lower = max(plan.least, math.floor(bad / 2) if plan.whole else bad / 2)
        if probe(lower):
            good = lower
        else:
            bad = lower
    return good, bad


def _bisect(
    plan: Plan, probe: Probe, good: float | None, bad: float | None
) -> tuple[float | None, float | None]:
    while good is not None and bad is not None and (middle := plan.between(good, bad)) is not None:
        if not good < middle < bad:
            break
        if probe(middle):
            good = middle
        else:
            bad = middle
    return good, bad


def _held(
    plan: Plan, hold: Probe, found: Found, good: float | None, bad: float | None
) -> tuple[float | None, float | None]:
    """The level, or one not far below, that holds for long; the steps down grow."""
    for step in range(MOST_HOLDS):
        if good is None or hold(good):
            return good, bad
        found.looks.append((good, False))
        bad, below = good, plan.below(good, step)
        good = below if below >= plan.least and len(found.looks) < MOST_LOOKS else None
    return None, bad


def sweep(capacity: float, tried: Sequence[float], plan: Plan) -> list[float]:
    """Levels around the capacity that have not been tried, for the curve: from half of it to half more."""
    wanted = [capacity * factor for factor in (0.5, 0.75, 1.25, 1.5)]
    levels = [float(max(1, round(level))) if plan.whole else _rounded(level) for level in wanted]
    new = [
        level
        for level in levels
        if plan.least <= level <= plan.most and all(abs(level / old - 1) > 0.08 for old in tried)
    ]
    return list(dict.fromkeys(new))
