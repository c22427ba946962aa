"""Two sides of runs against each other: what differs, by how much, and how sure that is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.baseline import GATE, GUIDE, HEADING, Baseline, Measure, no_worse
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.rundir import RunDir
from calorimeter.core.series import runs_of_side
from calorimeter.core.statistics import Difference, Floats
from calorimeter.core.verdict import Verdict
from calorimeter.report import circumstances, run_integrity
from calorimeter.report import time_axis as axes
from calorimeter.report.tables import frames, latency, rates
from calorimeter.report.time_axis import BIN_LADDER_S, Axis, Window

ENOUGH_RUNS = statistics.MINIMUM_SIDE
"""Runs a side from which runs are compared; below, windows within the runs are."""

MUST_AGREE = (
    "scenario.toml",
    "templates",
    "users",
    "load.arrivals",
    "load.stages",
    "load.duration_s",
    "load.warm_up_s",
    "environment.calorimeter",
    "environment.machine",
    "environment.cpu",
    "environment.cpus",
)
"""What has to be the same in all runs, else their difference would have two causes."""

RULE = f"{statistics.RULE} Response times are medians of successes only."


@dataclass(frozen=True, slots=True)
class Measured:
    """One run's values: `runs` has one row an operation and measure, `windows` one a window as well.

    Columns: `operation`, `measure` (`median response (s)`, `achieved (1/s)`), `value`. Of `count` requests
    in the measured window `failed` were not as expected. `topology` is what it was made on.
    """

    name: str
    about: Mapping[str, Any]
    runs: pd.DataFrame
    windows: pd.DataFrame
    operations: tuple[str, ...]
    count: int
    failed: int
    topology: tuple[tuple[str, str], ...] = ()

    @property
    def group(self) -> str:
        """What names its side where nobody says which side it is on."""
        return _group(self.about)


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of one operation on both sides, over units (runs or windows)."""

    operation: str
    measure: str
    found: Difference
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether the right side is detectably slower, or answers detectably less."""
        return self.found.larger if self.measure == RESPONSE else self.found.smaller

    @property
    def said(self) -> str:
        """The finding in words."""
        if not self.found.detected:
            return "no detectable difference"
        words = ("slower", "faster") if self.measure == RESPONSE else ("more", "fewer")
        return words[0] if self.found.larger else words[1]


RESPONSE = "median response (s)"
ACHIEVED = "achieved (1/s)"


@dataclass(frozen=True, slots=True)
class Apart:
    """One part of what the two sides were made on; `left` and `right` have each of its states there."""

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]

    @property
    def alike(self) -> bool:
        """Whether both sides have the same states of it."""
        return set(self.left) == set(self.right)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows; `unit` is `run` or `window`, `left` and `right` name the runs of each side.

    `failed` is the share of requests that were not as expected, on each side; `left_out` names operations
    with too few samples, `lost` those of them that have enough on the left. `in_turn` is whether the runs
    were made in turn (`calorimeter run --repeat 5 --against …`), so that what drifts met both sides alike.
    `about` is what the first run of the left side notes of itself; in what has to agree it speaks for all.
    `topology` has the parts of both sides; `named` is whether the runs tell by themselves which side they
    are on.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    deployments: tuple[str, str]
    unit: str
    rows: tuple[Row, ...]
    failed: tuple[float, float]
    left_out: tuple[str, ...]
    despite: tuple[str, ...]
    lost: tuple[str, ...] = ()
    in_turn: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)
    topology: tuple[Apart, ...] = ()
    named: bool = False

    @property
    def label(self) -> str:
        """What the result may be taken for."""
        if self.unit == "run":
            said = f"between runs: {len(self.left)} against {len(self.right)}"
            apart = ", not made in turn: what changed on the machine meanwhile counts as a difference, too"
            return said if self.in_turn else said + apart
        return (
            f"within one run only: fewer than {ENOUGH_RUNS} runs a side, so another run may differ by more"
        )


def measure(path: Path) -> Measured:
    """Read a run's values; raises `InputError` where it has no samples, is damaged or did not end whole."""
    run = RunDir.open(path)
    if why := run_integrity.why_not(run.about):
        raise InputError(str(path), f"cannot be compared: {why}", "valid: runs that lasted their time")
    samples = frames.samples(run)
    if samples is None:
        raise InputError(str(path), "holds no samples", "valid: a folder that `calorimeter run` wrote")
    time = axes.axis(samples)
    part = rates.window(samples, time)
    chosen = axes.within(samples, part)
    about = _flat(run.about)
    about["scenario.toml"] = _digest(path / "scenario.toml")
    return Measured(
        name=path.name,
        about=about,
        runs=_of_run(chosen, part),
        windows=_of_windows(chosen, part),
        operations=tuple(str(kind) for kind in chosen["kind"].unique()),
        count=len(chosen),
        failed=int((~axes.succeeded(chosen)).sum()),
        topology=tuple(circumstances.topology(_deployment(run), run.about)),
    )


def _deployment(run: RunDir) -> Deployment | None:
    return run.deployment() if (run.path / "deployment.toml").exists() else None


def _group(about: Mapping[str, Any]) -> str:
    return str(about.get("side") or about.get("deployment"))


def _apart(left: Sequence[Measured], right: Sequence[Measured]) -> tuple[Apart, ...]:
    names = dict.fromkeys(name for run in (*left, *right) for name, _ in run.topology)
    return tuple(Apart(name, _states(left, name), _states(right, name)) for name in names)


def _states(side: Sequence[Measured], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(said for run in side for known, said in run.topology if known == name))


def _named(left: Sequence[Measured], right: Sequence[Measured]) -> bool:
    """Whether `sides` would tell these apart without being told a baseline."""
    groups = [{run.group for run in side} for side in (left, right)]
    return len(left) == len(right) == 1 or (len(groups[0] | groups[1]) == 2 and not groups[0] & groups[1])


def _in_turn(left: Sequence[Measured], right: Sequence[Measured]) -> bool:
    """Whether no more than two runs of a side were made in a row (A B A B …, or A B B A …)."""
    runs = sorted(
        [(str(run.about.get("started")), side) for side, many in enumerate((left, right)) for run in many]
    )
    order = [side for _, side in runs]
    return not any(a == b == c for a, b, c in zip(order, order[1:], order[2:], strict=False))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat[prefix + key] = value
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
    return flat


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else None


def _of_run(chosen: pd.DataFrame, part: Window) -> pd.DataFrame:
    ok = chosen[axes.succeeded(chosen)]
    rows = [("all", ACHIEVED, len(ok) / part.length_s)]
    for kind, own in ok.groupby("kind", observed=True):
        middle = statistics.percentile(np.sort(axes.ns(own, "response_ns")), 50) / 1e9
        rows.append((str(kind), RESPONSE, middle))
    return pd.DataFrame(rows, columns=["operation", "measure", "value"]).dropna()


def _of_windows(chosen: pd.DataFrame, part: Window) -> pd.DataFrame:
    ok = chosen[axes.succeeded(chosen)]
    rows: list[tuple[str, str, float]] = []
    time = _windows(axes.ns(ok, "scheduled_ns"), part, least=1)
    if time is not None:
        counts = time.counts(axes.ns(ok, "scheduled_ns")) / time.bin_s
        rows += [("all", ACHIEVED, float(value)) for value in counts]
    for kind, own in ok.groupby("kind", observed=True):
        time = _windows(axes.ns(own, "scheduled_ns"), part, least=statistics.samples_needed(50))
        if time is not None:
            values = latency.latencies(own, time, (50.0,))["p50"].dropna()
            rows += [(str(kind), RESPONSE, float(value)) for value in values]
    return pd.DataFrame(rows, columns=["operation", "measure", "value"])


MOST_WINDOWS = 60


def _windows(due_ns: Any, part: Window, *, least: int) -> Axis | None:
    """At most `MOST_WINDOWS` windows of which half hold at least `least`; None where that are too few."""
    for width in BIN_LADDER_S:
        bins = int(part.length_s // width)
        if bins < statistics.MINIMUM_WINDOWS:
            return None
        time = Axis(part.first_ns, width, bins)
        if bins <= MOST_WINDOWS and np.median(time.counts(due_ns)) >= least:
            return time
    return None


def compare(left: Sequence[Measured], right: Sequence[Measured], despite: Sequence[str] = ()) -> Comparison:
    """Compare two sides; raises `InputError` where runs differ in a key that must agree."""
    _refuse_incomparable([*left, *right], despite)
    enough = min(len(left), len(right)) >= ENOUGH_RUNS
    tables = [pd.concat([run.runs if enough else run.windows for run in side]) for side in (left, right)]
    least = ENOUGH_RUNS if enough else statistics.MINIMUM_WINDOWS
    rows: list[Row] = []
    lost: list[str] = []
    for operation, measure_ in _keys([run.runs for run in (*left, *right)]):
        values = [_values(table, operation, measure_) for table in tables]
        if min(map(len, values)) >= least:
            sides = (tuple(map(float, side)) for side in values)
            rows.append(Row(operation, measure_, statistics.difference(*values), *sides))
        elif len(values[0]) >= least:
            lost.append(operation)
    known = {operation for run in (*left, *right) for operation in run.operations}
    return Comparison(
        left=tuple(run.name for run in left),
        right=tuple(run.name for run in right),
        deployments=(_deployments(left), _deployments(right)),
        unit="run" if enough else "window",
        rows=tuple(rows),
        failed=(_failed(left), _failed(right)),
        left_out=tuple(sorted(known - {made.operation for made in rows})),
        despite=tuple(despite),
        lost=tuple(dict.fromkeys(lost)),
        in_turn=_in_turn(left, right),
        about=left[0].about,
        topology=_apart(left, right),
        named=_named(left, right),
    )


def _keys(tables: Sequence[pd.DataFrame]) -> list[tuple[str, str]]:
    together = pd.concat(tables)
    return sorted(
        {(str(a), str(b)) for a, b in zip(together["operation"], together["measure"], strict=True)}
    )


def _values(table: pd.DataFrame, operation: str, measure: str) -> Floats:
    chosen = table[(table["operation"] == operation) & (table["measure"] == measure)]
    return chosen["value"].to_numpy(dtype=np.float64)


def _deployments(side: Sequence[Measured]) -> str:
    return ", ".join(sorted({str(run.about.get("deployment")) for run in side}))


def _failed(side: Sequence[Measured]) -> float:
    return sum(run.failed for run in side) / max(1, sum(run.count for run in side))


def _refuse_incomparable(runs: Sequence[Measured], despite: Sequence[str]) -> None:
    for key in despite:
        if key not in MUST_AGREE:
            raise unknown("--despite", "key", key, MUST_AGREE)
    first = runs[0]
    for run in runs[1:]:
        for key in MUST_AGREE:
            here, there = _disagreeing(key, run.about.get(key), first.about.get(key), despite)
            if here != there and key not in despite:
                raise InputError(
                    run.name,
                    f"cannot be compared with {first.name}: {key} is {here!r} here and {there!r} there",
                    f"to compare nevertheless: --despite {key}",
                )


def _disagreeing(key: str, here: Any, there: Any, despite: Sequence[str]) -> tuple[Any, Any]:
    """What two runs note, of templates those that differ: digests are long.

    Runs made before templates were noted have none. Other scenarios may name other templates, so where
    those may differ only templates of the same name have to agree.
    """
    if key != "templates" or not (isinstance(here, dict) and isinstance(there, dict)):
        return here, there
    names = here.keys() & there.keys() if "scenario.toml" in despite else here.keys() | there.keys()
    differ = sorted(name for name in names if here.get(name) != there.get(name))
    told = [{name: str(each.get(name))[:12] for name in differ} for each in (here, there)]
    return told[0], told[1]


def sides(runs: Sequence[Path], baseline: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Which runs are on which side.

    Those of `baseline` are left, if any are given, and one run of a series stands for its whole side; else
    of two runs the first is left; else the runs of the deployment that comes first. Raises `InputError`
    where that does not give two sides.
    """
    given = [path.resolve() for path in (*baseline, *runs)]
    for path in given:
        if given.count(path) > 1:
            raise InputError(str(path), "is given twice", "valid: each run once, on one side")
    if baseline:
        return _whole(baseline), _whole(runs)
    if len(runs) == 2:
        return [runs[0]], [runs[1]]
    groups: dict[str, list[Path]] = {}
    for path in runs:
        about = RunDir.open(path).about
        groups.setdefault(_group(about), []).append(path)
    if len(groups) != 2:
        names = ", ".join(sorted(groups))
        raise InputError(
            "compare",
            f"{len(runs)} runs of {len(groups)} deployments ({names}) are not two sides",
            "valid: two runs, runs of two deployments, or --baseline RUN for each run of the left side",
        )
    left, right = groups.values()
    return left, right


def _whole(side: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(path.resolve() for run in side for path in runs_of_side(run)))


def baseline_of(found: Comparison) -> Baseline:
    """The comparison as evidence of gate T2, which `calorimeter.core.baseline` judges."""
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
    """Gate T2 on a run, as `verify --baseline` gives it: its evidence kept, the owner's waiver heard."""
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
