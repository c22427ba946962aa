"""The history of a load: the evidence of gate T4, and its judgement.

Both `history --gate` (report) and `verify --history` (gates) use this module.
"""

from __future__ import annotations

from calorimeter.core import statistics
from calorimeter.core.recorded.baseline import percent
from calorimeter.core.statistics import ChangePoint
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed

GATE = "T4"
HEADING = "The newest change in the history of this load is not for the worse"

LEAST_RUNS = 2 * statistics.MINIMUM_SIDE
"""Runs that a history needs: two levels."""


class MeasuredSeries(Model):
    """One measure of one load by time; `runs` names the run (or the series of runs) of each value."""

    line: str
    measure: str
    lower_is_better: bool
    runs: tuple[str, ...]
    values: tuple[float, ...]

    def newest(self) -> ChangePoint | None:
        """The newest change of its level by `calorimeter.core.statistics.CHANGE_RULE`, None without one."""
        found = statistics.change_points(self.values)
        return found[-1] if found else None

    def worse(self, change: ChangePoint) -> bool:
        """Whether a change is for the worse."""
        return change.found.larger if self.lower_is_better else change.found.smaller


class LoadHistory(Model):
    """Evidence of gate T4: throughput, p99 and error ratio of the loads that are judged."""

    folders: tuple[str, ...]
    series: tuple[MeasuredSeries, ...]


def newest_change_is_no_worse(evidence: LoadHistory) -> Judgement:
    """Gate T4: in no measure of a load is the newest change of level for the worse.

    INCONCLUSIVE if no measure has the runs of two levels. Measures with fewer are not judged; the figures
    count them.
    """
    judged = [each for each in evidence.series if len(each.values) >= LEAST_RUNS]
    newest = [(each, change) for each in judged if (change := each.newest())]
    worse = [(each, change) for each, change in newest if each.worse(change)]
    figures: dict[str, Figure] = {
        "runs": max((len(each.values) for each in evidence.series), default=0),
        "measures": len(judged),
        "measures_with_too_few_runs": len(evidence.series) - len(judged),
        "measures_changed": len(newest),
        "measures_worse": len(worse),
    }
    if worse:
        many = f"{len(worse)} of {len(judged)} measures changed for the worse, and not back"
        return failed(many, [_sentence(*each) for each in worse], **figures)
    if not judged:
        return inconclusive(
            f"no measure of a load has the {LEAST_RUNS} runs that a change needs", **figures
        )
    return passed(f"the newest change of none of {len(judged)} measures is for the worse", **figures)


def _sentence(series: MeasuredSeries, change: ChangePoint) -> str:
    found, count = change.found, len(series.values) - change.first
    size = f", {percent(found.relative)}" if found.relative.known else ""
    return (
        f"{series.line}: {series.measure} {found.left:.4g} to {found.right:.4g}{size}, "
        f"in the {count} runs since {series.runs[change.first]}"
    )
