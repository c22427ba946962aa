"""Runs against a baseline: the evidence of a comparison, and gate T2's judgement of it.

Both `compare --baseline` (report) and `verify --baseline` (gates) use this module.
"""

from __future__ import annotations

from calorimeter.core import statistics
from calorimeter.core.statistics import Difference, Interval
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed

GATE = "T2"
HEADING = "No operation is slower than in the baseline or has a lower throughput, by a statistical test"
GUIDE = "the API and engine services can be overloaded"
"""The sentence of the guide that gates T test."""


class Measure(Model):
    """One measure of one operation, with one value for each run (or window) of each side.

    `lower_is_better` is true for response times and false for answers per second.
    """

    operation: str
    measure: str
    lower_is_better: bool
    left: tuple[float, ...]
    right: tuple[float, ...]

    def difference(self) -> Difference:
        """The difference of the sides with its certainty, by `calorimeter.core.statistics.RULE`."""
        return statistics.difference(self.left, self.right)

    def worse(self, found: Difference) -> bool:
        """Whether the right side is detectably worse."""
        return found.larger if self.lower_is_better else found.smaller


class Baseline(Model):
    """Evidence of gate T2: the runs `right` against the runs `left`, which are the baseline.

    `unit` is what a value of a measure stands for (`run` or `window`). `failed` is the share of requests
    with an unexpected answer, on each side. `lost` names the operations that have enough successes in the
    baseline only, `left_out` those that have too few on both sides.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    unit: str
    measures: tuple[Measure, ...]
    failed: tuple[float, float]
    lost: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def no_worse(evidence: Baseline) -> Judgement:
    """Gate T2: no operation is detectably slower than in the baseline, or has a lower throughput.

    INCONCLUSIVE if there are too few runs (windows of one run say nothing about other runs), and if an
    operation of the baseline no longer has enough successes.
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
        return failed("no request of these runs was answered as expected", (), **figures)
    if evidence.unit != "run":
        least = statistics.MINIMUM_SIDE
        return inconclusive(
            f"{least} runs per side are needed, but {len(evidence.left)} and {len(evidence.right)} were "
            "given: a comparison within one run says nothing about other runs",
            **figures,
        )
    if worse:
        examples = [
            f"{measure.operation}: {measure.measure} {apart.left:.4g} to {apart.right:.4g}, "
            f"{percent(apart.relative)}"
            for measure, apart in worse
        ]
        return failed(
            f"{len(worse)} of {len(found)} measures are worse than in the baseline", examples, **figures
        )
    if not found:
        return inconclusive("no operation has enough successes on both sides", **figures)
    if evidence.lost:
        return inconclusive(
            f"{', '.join(evidence.lost)}: enough successes in the baseline, too few in these runs",
            **figures,
        )
    return passed(f"none of {len(found)} measures is detectably worse than in the baseline", **figures)


def percent(interval: Interval) -> str:
    """A relative difference with its bounds, such as `+4.9 % (+3.1 to +6.8 %)`."""
    low, middle, high = (100 * value for value in (interval.low, interval.estimate, interval.high))
    return f"{middle:+.1f} % ({low:+.1f} to {high:+.1f} %)".replace("-", "−")
