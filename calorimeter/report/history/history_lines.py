"""Runs of the same load on the same deployment as one line over time, with its changes and their causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calorimeter.core import statistics
from calorimeter.core.statistics import ChangePoint
from calorimeter.report.history.causes import ChangedFact, changed_facts
from calorimeter.report.history.run_folders import PlacedRun
from calorimeter.report.history.run_point import MEASURES, HistoryMeasure

CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class PointValue:
    """The value of a point, and the smallest and the largest of its runs."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LinePoint:
    """A run, or the runs of one side of a series by time; `values` by keys of `MEASURES`."""

    runs: tuple[PlacedRun, ...]
    values: Mapping[str, PointValue]

    @property
    def label(self) -> str:
        """The name of the run, or of the first of a series."""
        more = len(self.runs) - 1
        return self.runs[0].label + (f" and {more} more" if more else "")

    @property
    def started_ns(self) -> int:
        """When the first of its runs began, in ns since the epoch."""
        return self.runs[0].point.started_ns

    @cached_property
    def facts(self) -> dict[str, str]:
        """What its runs note; different values of a series in one text."""
        names = dict.fromkeys(name for run in self.runs for name in run.point.facts)
        found = {name: dict.fromkeys(run.point.facts.get(name, "") for run in self.runs) for name in names}
        return {name: " or ".join(filter(None, values)) for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class LineChange:
    """A change of a measure. `first` is the place of the first point after it among the line's points.

    `start` and `end` are the places between which the levels before and after reach; `end` is not included.
    """

    measure: HistoryMeasure
    start: int
    first: int
    end: int
    change: ChangePoint
    causes: tuple[ChangedFact, ...]

    @property
    def worse(self) -> bool:
        """Whether it is for the worse."""
        found = self.change.found
        return found.larger if self.measure.lower_is_better else found.smaller


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """Points of one load by time. `changes` are in order of measures, then of time."""

    scenario: str
    deployment: str
    load: str
    points: tuple[LinePoint, ...]
    changes: tuple[LineChange, ...]

    @property
    def title(self) -> str:
        """What it is a line of, in words."""
        return f"{self.scenario or 'a load'} on {self.deployment}, {self.load}"

    @property
    def measures(self) -> tuple[HistoryMeasure, ...]:
        """The measures that at least one point has."""
        return tuple(each for each in MEASURES if any(each.key in point.values for point in self.points))

    def values(self, key: str) -> list[tuple[int, float]]:
        """Place and value of each point that has a measure."""
        return [(i, point.values[key].value) for i, point in enumerate(self.points) if key in point.values]


def lines(runs: Iterable[PlacedRun]) -> tuple[HistoryLine, ...]:
    """The lines of runs that are in order of time: one for each scenario, deployment and load.

    A search for a capacity is a point of a line of its own.
    """
    groups: dict[tuple[str, str, str], list[PlacedRun]] = {}
    for run in runs:
        where = (run.point.scenario, run.point.deployment)
        if run.point.requests:
            groups.setdefault((*where, run.point.load), []).append(run)
        if CAPACITY in run.point.figures:
            groups.setdefault((*where, f"{CAPACITY} in {run.point.unit}"), []).append(run)
    return tuple(_line(*key, groups[key]) for key in sorted(groups))


def _line(scenario: str, deployment: str, load: str, runs: list[PlacedRun]) -> HistoryLine:
    of_capacity = load.startswith(f"{CAPACITY} in ")
    keys = [each.key for each in MEASURES if (each.key == CAPACITY) == of_capacity]
    points = tuple(_point(group, keys) for group in _joined(runs))
    found = [change for each in MEASURES if each.key in keys for change in _changes(points, each)]
    return HistoryLine(scenario, deployment, load, points, tuple(found))


def _joined(runs: Sequence[PlacedRun]) -> list[list[PlacedRun]]:
    """One group for each run; the runs of one side of a series are one."""
    found: dict[tuple[str, ...], list[PlacedRun]] = {}
    for run in runs:
        point = run.point
        key = ("series", point.series, point.side) if point.series else ("run", str(run.folder))
        found.setdefault(key, []).append(run)
    return list(found.values())


def _point(runs: list[PlacedRun], keys: Sequence[str]) -> LinePoint:
    values = {}
    for key in keys:
        known = [run for run in runs if key in run.point.figures]
        figures = [run.point.figures[key] for run in known]
        if not figures:
            continue
        middle = float(np.median(figures))
        if key == "error_ratio":  # a median would hide the errors of a few runs
            middle = float(np.average(figures, weights=[run.point.requests for run in known]))
        values[key] = PointValue(middle, min(figures), max(figures))
    return LinePoint(tuple(runs), values)


def _changes(points: Sequence[LinePoint], measure: HistoryMeasure) -> list[LineChange]:
    key = measure.key
    places = [i for i, point in enumerate(points) if key in point.values]
    found = statistics.change_points([points[i].values[key].value for i in places])
    edges = [0, *(each.first for each in found), len(places)]
    changes = []
    for number, each in enumerate(found):
        before, after = places[edges[number] : each.first], places[each.first : edges[number + 2]]
        causes = changed_facts([points[i].facts for i in before], [points[i].facts for i in after])
        changes.append(LineChange(measure, before[0], after[0], after[-1] + 1, each, causes))
    return changes
