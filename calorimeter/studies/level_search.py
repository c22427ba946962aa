"""The highest level that holds, by doubling, bisection and a hold; the experiment is a function.

The result of a single load near the limit is a matter of chance, so both ends are loaded twice: the level
that is the answer must hold for longer, and the one above it must break again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Probe = Callable[[float], bool]
"""Whether a level holds."""

MOST_PROBES = 40
"""Loads in one search, whatever their results."""

MOST_HOLDS = 5
"""Levels that are held, one below the other: down to a twentieth of the level that a probe found."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The first level of a search and its limits; `precision` is relative, as in 0.1.

    `whole` levels are whole numbers (users), others any (arrivals/s).
    """

    start: float
    least: float
    most: float
    precision: float = 0.1
    whole: bool = False

    def between(self, low: float, high: float) -> float | None:
        """The level to try between one that holds and one that breaks; None if they are close enough."""
        if high / low <= 1 + self.precision or (self.whole and high - low <= 1):
            return None
        middle = math.sqrt(low * high)
        return float(max(math.floor(middle), low + 1)) if self.whole else _rounded(middle)

    def below(self, level: float, step: int) -> float:
        """The level to hold after `step` others did not: each is further below the last, 10, 21, 46 % …"""
        lower = level / (1 + self.precision) ** 2**step
        return float(min(math.floor(lower), level - 1)) if self.whole else _rounded(lower)


def _rounded(level: float) -> float:
    """Three digits, because people type levels."""
    return float(f"{level:.3g}")


@dataclass(slots=True)
class SearchResult:
    """The result of a search: `capacity` holds and was held, `broken` is the lowest level above that broke.

    `capacity` is None if not even the lowest level holds, `broken` is None if the highest one holds.
    `probed` has each level in the order of the loads, and whether it held.
    """

    capacity: float | None = None
    broken: float | None = None
    confirmed: bool = False
    probed: list[tuple[float, bool]] = field(default_factory=list)


def search(plan: SearchPlan, probe: Probe, hold: Probe) -> SearchResult:
    """Find the highest level that holds; `hold` loads it for longer than `probe`.

    Doubles (or halves) from the start until one level holds and one breaks, bisects them to the precision,
    holds the lower one (going down if it breaks after all) and, if only a probe broke the upper one, probes
    that again (going on upwards if it holds after all, once). At most `MOST_PROBES` loads.
    """
    found = SearchResult()
    once = _counted(probe, found)
    good, bad = _bracket(plan, once, plan.start, None)
    for again in (True, False):
        good, bad = _bisect(plan, once, good, bad)
        probed = bad
        good, bad = _held(plan, hold, found, good, bad)
        # A level that broke while it was held is not overruled by a shorter load.
        if good is None or bad is None or not again or bad != probed or _times(found.probed, bad) > 1:
            break
        if not once(bad):
            break
        good, bad = _bracket(plan, once, min(2 * bad, plan.most), bad) if bad < plan.most else (bad, None)
    found.capacity, found.broken = good, bad
    found.confirmed = good is not None
    return found


def _counted(probe: Probe, found: SearchResult) -> Probe:
    def counted(level: float) -> bool:
        if len(found.probed) >= MOST_PROBES:
            return False
        holds = probe(level)
        found.probed.append((level, holds))
        return holds

    return counted


def _times(probed: Sequence[tuple[float, bool]], level: float) -> int:
    return sum(level == each for each, _ in probed)


def _bracket(
    plan: SearchPlan, probe: Probe, start: float, good: float | None
) -> tuple[float | None, float | None]:
    """A level that holds and one that breaks, a factor of two apart; None if no two were found."""
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
    plan: SearchPlan, probe: Probe, good: float | None, bad: float | None
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
    plan: SearchPlan, hold: Probe, found: SearchResult, good: float | None, bad: float | None
) -> tuple[float | None, float | None]:
    """The level, or one not far below, that holds for longer; the steps down grow."""
    for step in range(MOST_HOLDS):
        if good is None or hold(good):
            return good, bad
        found.probed.append((good, False))
        bad, below = good, plan.below(good, step)
        good = below if below >= plan.least and len(found.probed) < MOST_PROBES else None
    return None, bad


def sweep(capacity: float, tried: Sequence[float], plan: SearchPlan) -> list[float]:
    """Levels from 0.5 to 1.5 times the capacity that have not been tried, for the curve."""
    wanted = [capacity * factor for factor in (0.5, 0.75, 1.25, 1.5)]
    levels = [float(max(1, round(level))) if plan.whole else _rounded(level) for level in wanted]
    new = [
        level
        for level in levels
        if plan.least <= level <= plan.most and all(abs(level / old - 1) > 0.08 for old in tried)
    ]
    return list(dict.fromkeys(new))
