"""Runs against a baseline: the record that a comparison leaves behind, and gate T2's judgement of it.

Here, because `compare --baseline` (reports) and `verify --baseline` (gates) must say the same.
"""

from __future__ import annotations

from calorimeter.core import statistics
from calorimeter.core.statistics import Difference, Interval
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed

GATE = "T2"
HEADING = "No operation is slower than in the baseline, and no less is answered, by a statistical test"
GUIDE = "the API and engine services can be overloaded"
"""The sentence of the guide that the gates of the service level test."""


class Measure(Model):
    """One measure of one operation: a value for each run (or window) of either side.

    `lower_is_better` says which way is worse: response times yes, answers a second no.
    """

    operation: str
    measure: str
    lower_is_better: bool
    left: tuple[float, ...]
    right: tuple[float, ...]

    def difference(self) -> Difference:
        """How far apart the sides are, and how sure that is (`calorimeter.core.statistics.RULE`)."""
        return statistics.difference(self.left, self.right)

    def worse(self, found: Difference) -> bool:
        """Whether the right side is detectably the worse."""
        return found.larger if self.lower_is_better else found.smaller


class Baseline(Model):
    """Evidence of T2: a side of runs (`right`) against the side that is the baseline (`left`).

    `unit` says what a value of a measure stands for. `failed` is each side's share of requests that were
    not as expected; `lost` names operations that the baseline could measure and the other side could not,
    `left_out` those that neither could.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    unit: str
    measures: tuple[Measure, ...]
    failed: tuple[float, float]
    lost: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def no_worse(evidence: Baseline) -> Judgement:
    """Gate T2: no operation is detectably slower than the baseline, and no less is answered.

    INCONCLUSIVE where runs are too few (what holds within one run need not hold between runs), and where
    something that the baseline could measure cannot be measured any more.
    """
    found = [(measure, measure.difference()) for measure in evidence.measures]
    worse = [(measure, apart) for measure, apart in found if measure.worse(apart)]
    figures: dict[str, Figure] = {
        "runs_baseline": len(evidence.left),
        "runs": len(evidence.right),
        "measures": len(found),
        "measures_worse": len(worse),
        "failed_share_baseline": round(evidence.failed[0], 6),
        "failed_share": round(evidence.failed[1], 6),
    }
    figures |= {
        f"{measure.operation} {measure.measure}": round(apart.relative.estimate, 4)
        for measure, apart in found
    }
    if evidence.failed[1] >= 1:
        return failed("not one request of these runs was answered as expected", (), **figures)
    if evidence.unit != "run":
        least = statistics.MINIMUM_SIDE
        return inconclusive(
            f"compared within one run only: {len(evidence.left)} and {len(evidence.right)} runs, "
            f"{least} a side are needed",
            **figures,
        )
    if worse:
        said = [
            f"{measure.operation}: {measure.measure} {apart.left:.4g} to {apart.right:.4g}, "
            f"{percent(apart.relative)}"
            for measure, apart in worse
        ]
        return failed(f"{len(worse)} of {len(found)} measures are worse than the baseline", said, **figures)
    if not found:
        return inconclusive("no operation has enough samples on both sides", **figures)
    if evidence.lost:
        return inconclusive(
            f"{', '.join(evidence.lost)} had enough successes in the baseline, and has not now", **figures
        )
    return passed(f"none of {len(found)} measures is detectably worse than the baseline", **figures)


def percent(interval: Interval) -> str:
    """A relative difference with its bounds: +4.9 % (+3.1 to +6.8 %)."""
    low, middle, high = (100 * value for value in (interval.low, interval.estimate, interval.high))
    return f"{middle:+.1f} % ({low:+.1f} to {high:+.1f} %)".replace("-", "−")
