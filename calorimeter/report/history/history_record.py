"""The summary.json of a history, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from calorimeter.core.recorded.load_history import LoadHistory, MeasuredSeries
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.report.history.causes import NEAR, ChangedFact
from calorimeter.report.history.gate_changes import GateOutcomes
from calorimeter.report.history.history_lines import HistoryLine, LineChange
from calorimeter.report.history.run_folders import CollectedRuns
from calorimeter.report.history.run_point import MEASURES
from calorimeter.report.summary import Known

SCHEMA = 1
"""Version of the summary.json of a history."""


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """Changes of measures of a line at about the same run, in order of `MEASURES`."""

    number: int
    line: HistoryLine
    changes: tuple[LineChange, ...]

    @property
    def chief(self) -> LineChange:
        """The change at the place that most of them have, which stands for the others."""
        places = [each.first for each in self.changes]
        return max(self.changes, key=lambda each: places.count(each.first))


@dataclass(frozen=True, slots=True)
class History:
    """All that the page of a history shows. `folders` are the folders of runs as they were given."""

    folders: tuple[str, ...]
    collected: CollectedRuns
    lines: tuple[HistoryLine, ...]
    gates: tuple[GateOutcomes, ...]
    judgement: Judgement

    @property
    def changes(self) -> list[tuple[int, HistoryLine, LineChange]]:
        """All changes with their line; the number is that of their event."""
        return [(event.number, event.line, each) for event in self.events for each in event.changes]

    @property
    def events(self) -> list[ChangeEvent]:
        """Changes of several measures at about the same run as one event, numbered by time from 1."""
        found = [(line, changes) for line in self.lines for changes in _together(line)]
        found.sort(key=lambda each: (each[0].points[each[1][0].first].started_ns, each[0].title))
        return [ChangeEvent(number, *each) for number, each in enumerate(found, start=1)]


def _together(line: HistoryLine) -> Iterator[tuple[LineChange, ...]]:
    """The changes of a line, those together whose places are at most `NEAR` runs from the first of them."""
    left = sorted(line.changes, key=lambda change: change.first)
    while left:
        near = [each for each in left if each.first - left[0].first <= NEAR]
        yield tuple(sorted(near, key=lambda each: MEASURES.index(each.measure)))
        left = left[len(near) :]


class CauseRecord(Model):
    """A fact that changed near a change; see `causes.ChangedFact`."""

    name: str
    before: str
    after: str
    times: int
    later: int


class ChangeRecord(Model):
    """A change of a measure; those of one event have its `number`.

    `before` and `after` are medians; `difference` is relative, None if it is not known.
    """

    number: int
    line: str
    measure: str
    since: str
    started: str
    runs_before: int
    runs_after: int
    before: float
    after: float
    difference: Known
    low: Known
    high: Known
    p: float
    worse: bool
    causes: tuple[CauseRecord, ...]


class LineRecord(Model):
    """A line; `points` counts runs, and series of runs as one."""

    title: str
    scenario: str
    deployment: str
    load: str
    points: int
    first: str
    last: str


class GateRecord(Model):
    """The outcomes of one gate on a deployment; `since` is the first run with the outcome of now."""

    deployment: str
    gate: str
    runs: int
    now: Outcome
    before: Outcome | None
    since: str
    causes: tuple[CauseRecord, ...]


class LeftOut(Model):
    """A run that is left out, and why."""

    run: str
    why: str


class HistorySummary(Model):
    """The summary.json of a history."""

    schema_version: int = SCHEMA
    folders: tuple[str, ...]
    runs: int
    judgement: Judgement
    lines: tuple[LineRecord, ...]
    changes: tuple[ChangeRecord, ...]
    gates: tuple[GateRecord, ...]
    left_out: tuple[LeftOut, ...]


def evidence(folders: Sequence[str], lines: Sequence[HistoryLine]) -> LoadHistory:
    """What gate T4 judges: the measures of `MEASURES` that it gates, of each line."""
    return LoadHistory(
        folders=tuple(folders),
        series=tuple(
            MeasuredSeries(
                line=line.title,
                measure=measure.title,
                lower_is_better=measure.lower_is_better,
                runs=tuple(line.points[place].label for place, _ in line.values(measure.key)),
                values=tuple(value for _, value in line.values(measure.key)),
            )
            for line in lines
            for measure in MEASURES
            if measure.gated and line.values(measure.key)
        ),
    )


def summary_of(found: History) -> HistorySummary:
    """A history as its summary.json."""
    return HistorySummary(
        folders=found.folders,
        runs=len(found.collected.runs),
        judgement=found.judgement,
        lines=tuple(map(_line, found.lines)),
        changes=tuple(_change(*each) for each in found.changes),
        gates=tuple(map(_gate, found.gates)),
        left_out=tuple(LeftOut(run=run, why=why) for run, why in found.collected.left_out),
    )


def started(ns: int) -> str:
    """A time as run folders write it: `2026-01-02 03:04`, in UTC."""
    return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M}"


def _line(line: HistoryLine) -> LineRecord:
    return LineRecord(
        title=line.title,
        scenario=line.scenario,
        deployment=line.deployment,
        load=line.load,
        points=len(line.points),
        first=line.points[0].label,
        last=line.points[-1].label,
    )


def _change(number: int, line: HistoryLine, change: LineChange) -> ChangeRecord:
    found, point = change.change.found, line.points[change.first]
    return ChangeRecord(
        number=number,
        line=line.title,
        measure=change.measure.key,
        since=point.label,
        started=started(point.started_ns),
        runs_before=found.units[0],
        runs_after=found.units[1],
        before=found.left,
        after=found.right,
        difference=found.relative.estimate,
        low=found.relative.low,
        high=found.relative.high,
        p=change.change.p,
        worse=change.worse,
        causes=_causes(change.causes),
    )


def _causes(causes: Sequence[ChangedFact]) -> tuple[CauseRecord, ...]:
    return tuple(
        CauseRecord(
            name=each.name, before=each.before, after=each.after, times=each.times, later=each.later
        )
        for each in causes
    )


def _gate(found: GateOutcomes) -> GateRecord:
    return GateRecord(
        deployment=found.deployment,
        gate=found.gate,
        runs=len(found.runs),
        now=found.now,
        before=found.before,
        since=found.runs[found.since].label,
        causes=_causes(found.causes),
    )


def tables(found: History) -> dict[str, pd.DataFrame]:
    """The tables of a history by name: `runs`, `changes`, `verdicts` and `left-out`; without empty ones."""
    kept = summary_of(found)
    made = {
        "runs": pd.DataFrame(list(_runs(found))),
        "changes": pd.DataFrame([_flat(each) for each in kept.changes]),
        "verdicts": pd.DataFrame(list(_verdicts(found))),
        "left-out": pd.DataFrame([each.model_dump() for each in kept.left_out]),
    }
    return {name: table for name, table in made.items() if len(table)}


def _flat(change: ChangeRecord) -> dict[str, object]:
    row = change.model_dump()
    row["causes"] = "; ".join(f"{each.name}: {each.before} → {each.after}" for each in change.causes)
    return row


def _runs(found: History) -> Iterator[dict[str, object]]:
    for run in found.collected.runs:
        point = run.point
        yield {
            "run": run.label,
            "started": started(point.started_ns),
            **{name: getattr(point, name) for name in ("scenario", "deployment", "load", "series", "side")},
            **{name: point.facts.get(name) for name in ("Heat", "HAProxy", "RabbitMQ", "Calorimeter")},
            "requests": point.requests,
            **{each.key: point.figures.get(each.key) for each in MEASURES},
            **{outcome.value: _count(point.verdicts.values(), outcome) for outcome in Outcome},
        }


def _count(outcomes: object, outcome: Outcome) -> int:
    return sum(each is outcome for each in outcomes)  # type: ignore[attr-defined]


def _verdicts(found: History) -> Iterator[dict[str, object]]:
    for gate in found.gates:
        for run, outcome in zip(gate.runs, gate.outcomes, strict=True):
            yield {
                "deployment": gate.deployment,
                "gate": gate.gate,
                "run": run.label,
                "started": started(run.point.started_ns),
                "outcome": outcome.value,
            }
