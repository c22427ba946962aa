"""A comparison as a page, as Markdown and as tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from calorimeter.core.recorded.baseline import percent
from calorimeter.core.toml import Model
from calorimeter.report import circumstances, comparison, figure_labels, page
from calorimeter.report.circumstances import Rows
from calorimeter.report.comparison import Comparison, ComparisonRow, TopologyPart
from calorimeter.report.figures import forest, style
from calorimeter.report.page import Files
from calorimeter.report.tables import csv_file, json_file
from calorimeter.report.tables.steady_values import ACHIEVED, RESPONSE

SCHEMA = 1
"""Version of the summary.json of a comparison."""


class ComparedRow(Model):
    """One measure of one operation; `difference` and its bounds are relative to the left side."""

    operation: str
    measure: str
    left: float
    right: float
    left_units: int
    right_units: int
    difference: float
    low: float
    high: float
    p: float
    cliffs_delta: float
    detected: bool
    said: str


class ComparisonSummary(Model):
    """The summary.json of a comparison."""

    schema_version: int = SCHEMA
    left: tuple[str, ...]
    right: tuple[str, ...]
    deployment_left: str
    deployment_right: str
    unit: str
    label: str
    failed_left: float
    failed_right: float
    despite: tuple[str, ...]
    too_few_samples: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


def record(found: Comparison) -> ComparisonSummary:
    """A comparison as its summary.json."""
    return ComparisonSummary(
        **{name: getattr(found, name) for name in ("left", "right", "unit", "label", "despite")},
        deployment_left=found.deployments[0],
        deployment_right=found.deployments[1],
        failed_left=found.failed[0],
        failed_right=found.failed[1],
        too_few_samples=found.left_out,
        rows=tuple(map(_row, found.rows)),
    )


def _row(row: ComparisonRow) -> ComparedRow:
    found = row.found
    return ComparedRow(
        operation=row.operation,
        measure=row.measure,
        left=found.left,
        right=found.right,
        left_units=found.units[0],
        right_units=found.units[1],
        difference=found.relative.estimate,
        low=found.relative.low,
        high=found.relative.high,
        p=found.p,
        cliffs_delta=found.delta,
        detected=found.detected,
        said=row.finding,
    )


def cells(found: Comparison) -> list[tuple[str, ...]]:
    """The rows of the table as text, in columns of `HEADINGS`."""
    return [
        (
            row.operation,
            SHORT[row.measure],
            _value(row.measure, row.found.left),
            _value(row.measure, row.found.right),
            percent(row.found.relative),
            f"{row.found.p:.2g}" if row.found.p >= 0.0001 else "< 0.0001",
            f"{row.found.delta:+.2f}".replace("-", "−"),
            row.finding,
        )
        for row in found.rows
    ]


SHORT = {RESPONSE: "median", ACHIEVED: "answered / s"}
"""Measures as the tables call them."""

HEADINGS = ("operation", "measure", "left", "right", "difference (99 %)", "p", "Cliff's δ", "finding")


def _value(measure: str, value: float) -> str:
    return style.seconds(value) if measure == RESPONSE else f"{value:.1f}"


def files(found: Comparison) -> Files:
    """All files of a comparison's page by their path in its folder."""
    kept = record(found)
    table = pd.DataFrame([row.model_dump() for row in kept.rows], columns=list(ComparedRow.model_fields))
    figure = _figure(table)
    wide, png = style.svg_and_png(figure, style.WIDE, "differences-w") if len(table) else ("", b"")
    context: dict[str, Any] = {
        "found": found,
        "headings": HEADINGS,
        "rows": cells(found),
        "rule": comparison.RULE,
        "where": _where(found.about),
        "different": [(each.name, *map(_states, (each.left, each.right))) for each in _differing(found)],
        "same": [each.name for each in found.topology if each.same],
        "rebuild": _rebuild(found),
        "wide": wide,
        "narrow": style.svg(figure, style.NARROW, "differences-n") if wide else "",
    }
    made = {
        "index.html": page.render("comparison.html.j2", context),
        "report.md": page.render("comparison.md.j2", context),
        "summary.json": json_file.of_model(kept),
        "tables/comparison.csv": csv_file.of_frame(table),
    }
    if wide:
        made |= {"figures/differences.svg": wide.encode(), "figures/differences.png": png}
    return made


def _differing(found: Comparison) -> list[TopologyPart]:
    return [each for each in found.topology if not each.same]


def _states(states: tuple[str, ...]) -> str:
    return "; ".join(states) or "–"


def _rebuild(found: Comparison) -> str:
    """The command that makes the page again; it needs a baseline if the runs do not name their sides."""
    left = [f"runs/{name}" for name in found.left]
    if not found.named:
        left = [word for run in left for word in ("--baseline", run)]
    despite = [word for key in found.despite for word in ("--despite", key)]
    right = [f"runs/{name}" for name in found.right]
    return shlex.join(["calorimeter", "compare", *left, *right, *despite, "--output", "FOLDER"])


def _where(about: Mapping[str, Any]) -> Rows:
    """The load and the machine of the runs, which are the same on both sides."""
    load = circumstances.table(about.get("load"))
    asked = {
        "Scenario": about.get("scenario"),
        "Users": about.get("users"),
        "Each run, s": load.get("duration_s"),
        "Warm-up, s": load.get("warm_up_s"),
        "First run began": about.get("started"),
    }
    rows = [(name, circumstances.plain(value)) for name, value in asked.items() if value is not None]
    return rows + circumstances.machine(circumstances.table(about.get("environment")))


def _figure(table: pd.DataFrame) -> style.Plot:
    named = (table["operation"] + ", " + table["measure"].map(SHORT)).map(figure_labels.label)
    shown = table.assign(name=named)
    known = shown[shown["difference"].map(math.isfinite)] if len(shown) else shown
    return partial(forest.forest, known)
