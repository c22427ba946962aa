"""The comparison of releases as a page: what differs from one to the next, and every round."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.baseline import percent
from calorimeter.core.statistics import Difference, Floats
from calorimeter.report.figures import forest
from calorimeter.report.tables import csv_file
from calorimeter.studies import study_page
from calorimeter.studies.releases import release_differences as differences
from calorimeter.studies.releases import release_rounds
from calorimeter.studies.releases.release_differences import Measured, ReleaseRow
from calorimeter.studies.releases.release_rounds import ReleaseRound, ReleasesResult
from calorimeter.studies.study_page import StudyFigure, Table

KEPT = f"{release_rounds.ABOUT} and its round-*.json"

ROUND_HEADINGS = (
    *("turn", "side", "Heat", "began", "took", "load average", "requests", "failed"),
    "late generator in",
)

LEAD = (
    ("Processor time per stack", differences.ALL),
    ("Response time at equal load", "all p50"),
    ("Throughput of 4 users", "stack"),
    ("Memory, idle", "one engine"),
)
"""The figures of the first lines, by group and name."""


def files(result: ReleasesResult) -> study_page.Files:
    """All files of the page by their path in its folder; the same bytes for the same result."""
    compared = {pair: _rows(result, pair) for pair in differences.pairs(result)}
    figures = [found for pair, rows in compared.items() if (found := _figure(pair, rows)) is not None]
    tables = [_table(pair, rows) for pair, rows in compared.items()]
    tables += [_medians(result), engines(result), rounds(result)]
    made = study_page.files(
        "Heat's releases side by side",
        list(lead(result, compared)),
        figures,
        tables,
        list(notes(result, compared)),
        result,
        KEPT,
    )
    return {**made, "tables/figures.csv": csv_file.of_rows(_every_figure(result))}


Pair = tuple[str, str]


def _rows(result: ReleasesResult, pair: Pair) -> list[ReleaseRow]:
    return differences.rows(result.of(pair[0]), result.of(pair[1]))


def lead(result: ReleasesResult, compared: dict[Pair, list[ReleaseRow]]) -> Iterator[str]:
    """What was measured, and the main figures of the last pair: the whole way."""
    done = f"{len(result.rounds)} of {result.wanted} rounds"
    yield f"Sides {', '.join(result.asked.sides)}, each on a lab that differs in nothing else; {done}."
    (left, right), rows = list(compared.items())[-1]
    known = {(row.measured.group, row.measured.name): row for row in rows}
    shown = [known[key] for key in LEAD if key in known and known[key].found is not None]
    for row in shown:
        one, other = (_value(row.measured, _median(side)) for side in (row.left, row.right))
        yield f"{row.measured.group}, {row.measured.name}: {left} {one}, {right} {other}: {row.finding}."


def _median(values: Sequence[float]) -> float:
    return float(pd.Series(values).median()) if values else math.nan


def _value(measured: Measured, value: float) -> str:
    """A value with three digits and its unit."""
    if math.isnan(value):
        return "–"
    digits = 0 if value == 0 else min(6, max(0, 2 - math.floor(math.log10(abs(value)))))
    number = f"{value:.0f}" if measured.unit.startswith("of ") else f"{value:.{digits}f}"
    return f"{number} {measured.unit}"


def _table(pair: Pair, rows: Sequence[ReleaseRow]) -> Table:
    headings = ("figure", *pair, "difference (99 %)", "p", "finding")
    cells = tuple(
        (
            f"{row.measured.group}: {row.measured.name}",
            *(_value(row.measured, _median(side)) for side in (row.left, row.right)),
            *_difference(row),
            row.finding,
        )
        for row in rows
    )
    return Table(f"{pair[0]}-to-{pair[1]}", f"From {pair[0]} to {pair[1]}", headings, cells)


def _difference(row: ReleaseRow) -> tuple[str, str]:
    """The relative difference with its interval, and p."""
    found = row.found
    if found is None:
        return "–", "–"
    p = f"{found.p:.2g}" if found.p >= 0.0001 else "< 0.0001"
    estimate = found.relative.estimate
    if math.isnan(estimate):
        return "–", p
    if not abs(estimate) <= MOST_SHOWN or abs(found.relative.high) > MOST_SHOWN:
        return f"above {MOST_SHOWN * 100:,.0f} %", p
    if math.isnan(found.relative.low):  # too few values for bounds
        return f"{100 * estimate:+.1f} %".replace("-", "−"), p
    return percent(found.relative), p


SHORT = (
    ("Processor time without load", "CPU without load"),
    ("Processor time per ", "CPU per "),
    ("Response time at equal load", "response"),
    ("Throughput of 4 users", "throughput"),
    ("Memory, ", "memory, "),
    ("Start until it serves", "start"),
)
"""How groups of figures begin, and what a drawing calls them."""


def _short(measured: Measured) -> str:
    """A name of a figure that leaves room for the drawing."""
    group = next(
        (measured.group.replace(long, short) for long, short in SHORT if measured.group.startswith(long)),
        measured.group,
    )
    name = measured.name.removeprefix("all ").removeprefix("one ")
    return group if measured.name == differences.ALL else f"{group}: {name}"


MOST_SHOWN = 100.0
"""The largest relative difference that is shown: beside a larger one no other could be seen."""


def _bounds(found: Difference) -> Floats:
    return np.array([found.relative.low, found.relative.estimate, found.relative.high])


def _figure(pair: Pair, rows: Sequence[ReleaseRow]) -> StudyFigure | None:
    shown = [
        {
            "name": _short(row.measured),
            "difference": row.found.relative.estimate,
            "low": row.found.relative.low,
            "high": row.found.relative.high,
            "detected": row.detected,
        }
        for row in rows
        if row.measured.main
        and row.enough
        and row.found is not None
        and (np.abs(_bounds(row.found)) <= MOST_SHOWN).all()  # False for NaN
    ]
    if not shown:
        return None
    caption = (
        f"From {pair[0]} to {pair[1]}: the relative difference of each figure with its interval (99 %). "
        "Filled: the sides differ; hollow: no detectable difference; without those of too few rounds."
    )
    frame = pd.DataFrame(shown)
    return StudyFigure(f"{pair[0]}-to-{pair[1]}", caption, partial(forest.forest, frame))


def _medians(result: ReleasesResult) -> Table:
    """The median of each figure on each side."""
    sides = {side: differences.values(result.of(side)) for side in result.asked.sides}
    known = dict.fromkeys(measured for found in sides.values() for measured in found)
    rows = tuple(
        (
            f"{measured.group}: {measured.name}",
            *(_value(measured, _median(found.get(measured, ()))) for found in sides.values()),
        )
        for measured in known
    )
    return Table("medians", "Median of the rounds", ("figure", *sides), rows, notes=False)


def engines(result: ReleasesResult) -> Table:
    """The engines that took part in one action, in each round."""
    rows = tuple(
        (each.side, str(each.turn), share.action, f"{share.engines} of {share.of}", str(share.messages),
         share.doubt or share.outcome)
        for side in result.asked.sides for each in result.of(side) for share in each.engines
    )  # fmt: skip
    headings = ("side", "turn", "action", "engines", "messages", "the stack became")
    return Table("engines", "Engines that took part in one action on a stack", headings, rows)


def rounds(result: ReleasesResult) -> Table:
    """Every round, in the order in which it was measured."""
    ordered = sorted(result.rounds, key=lambda each: (each.started, each.turn))
    return Table("rounds", "Every round", ROUND_HEADINGS, tuple(map(_round, ordered)))


def _round(each: ReleaseRound) -> tuple[str, ...]:
    loads = each.loads
    return (
        str(each.turn),
        each.side,
        each.versions.get("rest", "–"),
        each.started,
        f"{each.took_s:.0f} s",
        " to ".join(f"{value:.2f}" for value in each.load_average),
        f"{sum(load.requests for load in loads):,}",
        f"{sum(load.failed for load in loads):,}",
        ", ".join(each.spoilt) or "none",
    )


def _every_figure(result: ReleasesResult) -> list[Sequence[str]]:
    """Each figure of each round as rows of text."""
    rows: list[Sequence[str]] = [("turn", "side", "group", "figure", "unit", "value")]
    for each in result.rounds:
        for measured, value in differences.figures(each):
            rows.append(
                (str(each.turn), each.side, measured.group, measured.name, measured.unit, f"{value:.6g}")
            )
    return rows


def notes(result: ReleasesResult, compared: dict[Pair, list[ReleaseRow]]) -> Iterator[str]:
    """The method, and how far it holds."""
    count = sum(len(rows) for rows in compared.values())
    yield statistics.RULE
    yield (
        "Each value is one round: a lab that was brought up for it alone. With 5 rounds a side the "
        "smallest p is 2/252 = 0.8 %: a difference is detected only if every round of one side lies "
        f"above every round of the other. Of {count} rows, about {count * statistics.ALPHA:.0f} would "
        "show a difference by chance if all sides were equal."
    )
    yield (
        "Sides alternate within each turn, so that a drift of the machine affects all of them. Per "
        "round: lab up, one API and one engine killed and started again (time until they serve), 5 s "
        f"idle, then {result.asked.rate_per_s:g} arrivals a second for 78 s at times of the same seed, "
        "then 4 users without pauses who list, show, and create and delete stacks."
    )
    yield (
        "Processor time is that of all processes of the parts in the measured part, user and system, "
        "by request answered as expected, or by stack that was made and deleted. What a part uses "
        "without load is not subtracted; where the parts seem to have used more than the whole machine, "
        "their time is left out. The kernel counts it in steps of 10 ms. Throughput is that of a closed "
        "load, not of the same objectives: a search of the capacity takes more than five minutes a "
        "round. It includes the time until a user sees that a stack is complete (polled every 0.5 s)."
    )
    yield (
        "Memory is the proportional set size of all processes of one part, in the mean of the parts "
        "of a kind: idle after six calls, and within seconds after the last load. Engines are counted "
        "by the broker's trace: those that got a message of the request, for one stack of 12 "
        "resources in 3 chains."
    )
    late = sum(bool(each.spoilt) for each in result.rounds)
    yield (
        f"In {late} of {len(result.rounds)} rounds the generator was the bottleneck of a load (gate T3): "
        "response times and throughput of these loads are left out of all rows."
        if late
        else "No generator was the bottleneck (gate T3)."
    )
