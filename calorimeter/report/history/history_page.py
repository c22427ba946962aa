"""The page of a history, its figures and its files."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.errors import shortened
from calorimeter.core.recorded import load_history
from calorimeter.core.recorded.baseline import percent
from calorimeter.core.shown_text import some
from calorimeter.core.verdict import Outcome
from calorimeter.report import figure_labels, page
from calorimeter.report.figures import history_figures, style
from calorimeter.report.history import history_record
from calorimeter.report.history.causes import ChangedFact
from calorimeter.report.history.gate_changes import GateOutcomes
from calorimeter.report.history.history_lines import HistoryLine, LineChange, LinePoint, PointValue
from calorimeter.report.history.history_record import ChangeEvent, History, started
from calorimeter.report.history.run_folders import PlacedRun
from calorimeter.report.history.run_point import HistoryMeasure
from calorimeter.report.page import Files
from calorimeter.report.tables import csv_file, json_file

MOST_DRAWN = 12
"""Lines with a figure: those with the most points."""

MOST_ROWS = 30
"""Points of a line in a table of the page, and outcomes of a gate; the files have all."""

MOST_CAUSES = 4
MOST_GATE_ROWS = 300
MOST_LEFT_OUT = 200
NOTHING = "nothing that runs note"


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line with its figure (empty if it is not drawn) and the rows of its table."""

    line: HistoryLine
    name: str
    wide: str
    narrow: str
    png: bytes
    headings: tuple[str, ...]
    rows: tuple[tuple[str, str | None, tuple[str, ...]], ...]


def files(found: History, output: Path) -> Files:
    """All files of a history by their path in `output`, the folder that links start from."""
    most = sorted(range(len(found.lines)), key=lambda i: -len(found.lines[i].points))[:MOST_DRAWN]
    drawn = [_drawn(found, number, number in most, output) for number in range(len(found.lines))]
    context = _context(found, drawn)
    made = {
        "index.html": page.render("history.html.j2", context),
        "report.md": page.render("history.md.j2", context),
        "summary.json": json_file.of_model(history_record.summary_of(found)),
    }
    for one in drawn:
        if one.wide:
            made |= {f"figures/{one.name}.svg": one.wide.encode(), f"figures/{one.name}.png": one.png}
    for name, table in history_record.tables(found).items():
        made[f"tables/{name}.csv"] = csv_file.of_frame(table)
    return made


def _context(found: History, drawn: list[DrawnLine]) -> dict[str, Any]:
    left_out = found.collected.left_out
    worse = sum(change.worse for _, _, change in found.changes)
    return {
        "found": found,
        "numbers": [
            ("runs", f"{len(found.collected.runs):,}", some(len(found.lines), "load")),
            ("changes", str(len(found.events)), f"{some(worse, 'measure')} for the worse"),
            ("left out", str(len(left_out)), "see below" if left_out else ""),
        ],
        "gate": load_history.GATE,
        "heading": load_history.HEADING,
        "marks": page.MARKS,
        "events": [_event_row(each) for each in reversed(found.events)],
        "drawn": drawn,
        "gates": [_gate_row(each) for each in found.gates[:MOST_GATE_ROWS]],
        "more_gates": max(0, len(found.gates) - MOST_GATE_ROWS),
        "left_out": left_out[:MOST_LEFT_OUT],
        "more_left_out": max(0, len(left_out) - MOST_LEFT_OUT),
        "rule": statistics.CHANGE_RULE,
        "least": load_history.LEAST_RUNS,
        "most_rows": MOST_ROWS,
        "rebuild": shlex.join(["calorimeter", "history", *found.folders]),
    }


def _event_row(event: ChangeEvent) -> dict[str, Any]:
    chief = event.chief
    point = event.line.points[chief.first]
    units = chief.change.found.units
    return {
        "number": event.number,
        "line": event.line.title,
        "since": point.label,
        "started": started(point.started_ns),
        "runs": f"{units[0]} before, {units[1]} since",
        "changes": [_change_row(each) for each in event.changes],
        "causes": cause_texts(chief.causes),
    }


def _change_row(change: LineChange) -> dict[str, Any]:
    found = change.change.found
    return {
        "measure": change.measure.title,
        "levels": f"{shown(change.measure, found.left)} → {shown(change.measure, found.right)}",
        "difference": percent(found.relative) if found.relative.known else "",
        "p": f"{change.change.p:.2g}",
        "worse": change.worse,
    }


def cause_texts(causes: Sequence[ChangedFact]) -> list[str]:
    """The likeliest causes as text; one sentence if there is none."""
    texts = [shortened(str(each), 200) for each in causes[:MOST_CAUSES]] or [NOTHING]
    more = len(causes) - MOST_CAUSES
    return [*texts, f"and {more} more, in summary.json"] if more > 0 else texts


def shown(measure: HistoryMeasure, value: float) -> str:
    """A value of a measure as text."""
    if measure.key in ("p50", "p99"):
        return style.seconds(value)
    return f"{value * 100:.2f} %" if measure.key == "error_ratio" else f"{value:.1f}"


def _drawn(found: History, number: int, is_drawn: bool, output: Path) -> DrawnLine:
    line = found.lines[number]
    name = f"history-{number + 1}"
    wide, narrow, png = "", "", b""
    if is_drawn:
        plot = _figure(found, line)
        wide, png = style.svg_and_png(plot, style.WIDE, f"{name}-w")
        narrow = style.svg(plot, style.NARROW, f"{name}-n")
    headings = (
        "run",
        "started (UTC)",
        "requests",
        *(each.short for each in line.measures),
        "Heat",
        "HAProxy",
        "gates",
    )
    rows = [_point_row(line, point, output) for point in reversed(line.points[-MOST_ROWS:])]
    return DrawnLine(line, name, wide, narrow, png, headings, tuple(rows))


def _point_row(
    line: HistoryLine, point: LinePoint, output: Path
) -> tuple[str, str | None, tuple[str, ...]]:
    cells = [started(point.started_ns), f"{sum(run.point.requests for run in point.runs):,}"]
    for measure in line.measures:
        value = point.values.get(measure.key)
        cells.append("–" if value is None else _with_spread(measure, value))
    cells += [point.facts.get(name, "–") for name in ("Heat", "HAProxy")]
    return point.label, link(point.runs[0], output), (*cells, _outcomes(point))


def _with_spread(measure: HistoryMeasure, value: PointValue) -> str:
    text = shown(measure, value.value)
    if value.low == value.high:
        return text
    return f"{text} ({shown(measure, value.low)} to {shown(measure, value.high)})"


def _outcomes(point: LinePoint) -> str:
    outcomes = [outcome for run in point.runs for outcome in run.point.verdicts.values()]
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
    counts = [(outcome, outcomes.count(outcome)) for outcome in order]
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count) or "–"


def link(run: PlacedRun, output: Path) -> str | None:
    """The page of a run, relative to the folder of the history; None if it has none of its own."""
    target = run.folder / "report" / "index.html"
    real, folder = Path(os.path.realpath(target)), os.path.realpath(run.folder)
    if not real.is_file() or not real.is_relative_to(folder):
        return None
    return quote(os.fsencode(os.path.relpath(real, os.path.realpath(output))))


def _gate_row(gate: GateOutcomes) -> dict[str, Any]:
    return {
        "deployment": gate.deployment,
        "gate": gate.gate,
        "now": gate.now,
        "before": gate.before,
        "since": gate.runs[gate.since].label,
        "started": started(gate.runs[gate.since].point.started_ns),
        "strip": "".join(page.MARKS[outcome] for outcome in gate.outcomes[-MOST_ROWS:]),
        "runs": len(gate.runs),
        "causes": cause_texts(gate.causes) if gate.before else [],
    }


def _figure(found: History, line: HistoryLine) -> style.Plot:
    keys = [each.key for each in line.measures]
    unknown = PointValue(math.nan, math.nan, math.nan)
    rows = []
    for point in line.points:
        row: dict[str, Any] = {"started": started(point.started_ns)}
        for key in keys:
            value = point.values.get(key, unknown)
            row |= {key: value.value, f"{key}_low": value.low, f"{key}_high": value.high}
        rows.append(row)
    numbered = [(number, each) for number, of, each in found.changes if of is line]
    changes = [
        {"measure": each.measure.key, "first": each.first, "number": number, "worse": each.worse}
        for number, each in numbered
    ]
    return partial(
        history_figures.over_runs,
        pd.DataFrame(rows),
        pd.DataFrame(list(_levels(line)), columns=["measure", "start", "end", "value"]),
        pd.DataFrame(changes, columns=["measure", "first", "number", "worse"]),
        pd.DataFrame(list(_versions(line)), columns=["place", "text"]),
    )


def _levels(line: HistoryLine) -> Iterator[tuple[str, int, int, float]]:
    """Measure, first place, last place + 1 and median of each level."""
    for measure in line.measures:
        changes = [each for each in line.changes if each.measure is measure]
        values = pd.Series(dict(line.values(measure.key)))
        edges = [int(values.index[0]), *(each.first for each in changes), int(values.index[-1]) + 1]
        for start, end in pairwise(edges):
            yield measure.key, start, end, float(values.loc[start : end - 1].median())


def _versions(line: HistoryLine) -> Iterator[tuple[int, str]]:
    """Where the version of Heat or HAProxy is another than before, and the first ones."""
    before: dict[str, str] = {}
    for place, point in enumerate(line.points):
        now: dict[str, str] = {
            name: point.facts[name] for name in ("Heat", "HAProxy") if name in point.facts
        }
        new = [f"{name} {value}" for name, value in now.items() if before.get(name) != value]
        if new:
            yield place, str(figure_labels.label(", ".join(new)))
        before |= now
