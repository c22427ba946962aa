"""Two sides of runs against each other: what differs, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.baseline import GATE, GUIDE, HEADING, Baseline, Measure, no_worse
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.statistics import Difference, Floats
from calorimeter.core.verdict import Verdict
from calorimeter.report.measured_runs import (
    MeasuredRun,
    group,
    measure,
    refuse_incomparable,
    sides,
)
from calorimeter.report.tables.steady_values import RESPONSE

ENOUGH_RUNS = statistics.MINIMUM_SIDE
"""Runs a side from which runs are compared; below, windows within the runs are."""

RULE = (
    f"{statistics.RULE} Response times are medians of successes only. Both measures are of the steady part "
    "of each run's measured part: without the scenario's warm-up, nor a further one if one is found."
)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measure of one operation on both sides, over units (runs or windows)."""

    operation: str
    measure: str
    found: Difference
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    @property
    def finding(self) -> str:
        """The finding in words."""
        if not self.found.detected:
            return "no detectable difference"
        words = ("slower", "faster") if self.measure == RESPONSE else ("more", "fewer")
        return words[0] if self.found.larger else words[1]


@dataclass(frozen=True, slots=True)
class TopologyPart:
    """One part of the deployments of both sides; `left` and `right` have each of its states there."""

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both sides have the same states of it."""
        return set(self.left) == set(self.right)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows; `unit` is `run` or `window`, `left` and `right` name the runs of each side.

    `failed` is the share of requests on each side that were not answered as expected; `left_out` names
    operations with too few samples, `lost` those of them that have enough on the left. `in_turn` is whether
    the runs were interleaved (`calorimeter run --repeat 5 --against …`), so that drift affected both sides
    alike. `about` is run.json of the first run of the left side, which agrees with all in `MUST_AGREE`.
    `topology` has the parts of both sides; `named` is whether `sides` finds the sides without a baseline.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    deployments: tuple[str, str]
    unit: str
    rows: tuple[ComparisonRow, ...]
    failed: tuple[float, float]
    left_out: tuple[str, ...]
    despite: tuple[str, ...]
    lost: tuple[str, ...] = ()
    in_turn: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)
    topology: tuple[TopologyPart, ...] = ()
    named: bool = False

    @property
    def label(self) -> str:
        """How far the result holds."""
        if self.unit == "run":
            runs = f"between runs: {len(self.left)} against {len(self.right)}"
            drift = (
                ", not interleaved: a change on the machine between the runs counts as a difference, too"
            )
            return runs if self.in_turn else runs + drift
        return (
            f"within one run only: fewer than {ENOUGH_RUNS} runs a side, so another run may differ by more"
        )


def of(runs: Sequence[Path], baseline: Sequence[Path] = (), despite: Sequence[str] = ()) -> Comparison:
    """Read the runs and compare their sides; raises `InputError` as `sides`, `measure` and `compare` do."""
    left, right = ([measure(path) for path in side] for side in sides(runs, baseline))
    return compare(left, right, despite)


def compare(
    left: Sequence[MeasuredRun], right: Sequence[MeasuredRun], despite: Sequence[str] = ()
) -> Comparison:
    """Compare two sides; raises `InputError` if runs differ in a key that must agree."""
    both = (*left, *right)
    refuse_incomparable(both, despite)
    enough = min(len(left), len(right)) >= ENOUGH_RUNS
    tables = [pd.concat([run.runs if enough else run.windows for run in side]) for side in (left, right)]
    least = ENOUGH_RUNS if enough else statistics.MINIMUM_WINDOWS
    rows: list[ComparisonRow] = []
    lost: list[str] = []
    for operation, measured in _keys([run.runs for run in both]):
        values = [_values(table, operation, measured) for table in tables]
        if min(map(len, values)) >= least:
            units = (tuple(map(float, side)) for side in values)
            rows.append(ComparisonRow(operation, measured, statistics.difference(*values), *units))
        elif len(values[0]) >= least:
            lost.append(operation)
    known = {operation for run in both for operation in run.operations}
    names = dict.fromkeys(name for run in both for name, _ in run.topology)
    return Comparison(
        left=tuple(run.name for run in left),
        right=tuple(run.name for run in right),
        deployments=(_deployments(left), _deployments(right)),
        unit="run" if enough else "window",
        rows=tuple(rows),
        failed=(_failed(left), _failed(right)),
        left_out=tuple(sorted(known - {row.operation for row in rows})),
        despite=tuple(despite),
        lost=tuple(dict.fromkeys(lost)),
        in_turn=_in_turn(left, right),
        about=left[0].about,
        topology=tuple(TopologyPart(name, _states(left, name), _states(right, name)) for name in names),
        named=_named(left, right),
    )


def _keys(tables: Sequence[pd.DataFrame]) -> list[tuple[str, str]]:
    together = pd.concat(tables)
    return sorted(
        {(str(a), str(b)) for a, b in zip(together["operation"], together["measure"], strict=True)}
    )


def _values(table: pd.DataFrame, operation: str, measured: str) -> Floats:
    chosen = table[(table["operation"] == operation) & (table["measure"] == measured)]
    return chosen["value"].to_numpy(dtype=np.float64)


def _deployments(side: Sequence[MeasuredRun]) -> str:
    return ", ".join(sorted({str(run.about.get("deployment")) for run in side}))


def _failed(side: Sequence[MeasuredRun]) -> float:
    return sum(run.failed for run in side) / max(1, sum(run.count for run in side))


def _states(side: Sequence[MeasuredRun], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(state for run in side for known, state in run.topology if known == name))


def _named(left: Sequence[MeasuredRun], right: Sequence[MeasuredRun]) -> bool:
    groups = [{group(run.about) for run in side} for side in (left, right)]
    return len(left) == len(right) == 1 or (len(groups[0] | groups[1]) == 2 and not groups[0] & groups[1])


def _in_turn(left: Sequence[MeasuredRun], right: Sequence[MeasuredRun]) -> bool:
    """Whether at most two runs of a side were made in a row (A B A B …, or A B B A …)."""
    runs = sorted(
        [(str(run.about.get("started")), side) for side, many in enumerate((left, right)) for run in many]
    )
    order = [side for _, side in runs]
    return not any(a == b == c for a, b, c in zip(order, order[1:], order[2:], strict=False))


def baseline_of(found: Comparison) -> Baseline:
    """The comparison as evidence of gate T2, which `calorimeter.core.recorded.baseline` judges."""
    return Baseline(
        left=found.left,
        right=found.right,
        unit=found.unit,
        measures=tuple(
            Measure(
                operation=row.operation,
                measure=row.measure,
                lower_is_better=row.measure == RESPONSE,
                left=row.left,
                right=row.right,
            )
            for row in found.rows
        ),
        failed=found.failed,
        lost=found.lost,
        left_out=found.left_out,
    )


def verdict_of(found: Comparison, run: RunDir) -> Verdict:
    """Gate T2 on a run, as `verify --baseline` gives it; keeps the evidence, applies the owner's waiver."""
    evidence = baseline_of(found)
    known = (run.path / "deployment.toml").exists()
    return Verdict(
        gate=GATE,
        heading=HEADING,
        guide=GUIDE,
        judgement=no_worse(evidence),
        waived=run.deployment().waive.get(GATE) if known else None,
        evidence=(str(run.save_evidence(GATE, evidence)),),
    )
