"""Runs as a comparison uses them: their values, their sides, and whether they may be compared."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calorimeter.core import files
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.recorded import sample_stream
from calorimeter.core.recorded.measured_part import Span, measured_part
from calorimeter.core.recorded.run_series import runs_of_side
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_extent import SampleExtent, extent_of
from calorimeter.core.recorded.sample_stream import TAKEN, SampleStream
from calorimeter.core.statistics import DurationRanks
from calorimeter.report import circumstances, run_integrity
from calorimeter.report import time_axis as axes
from calorimeter.report.tables import rates
from calorimeter.report.tables.rates import LoadCounts
from calorimeter.report.tables.steady_values import SteadyValues

MUST_AGREE = (
    *("scenario.toml", "templates", "users"),
    *("load.arrivals", "load.stages", "load.duration_s", "load.warm_up_s"),
    *("environment.calorimeter", "environment.machine", "environment.cpu", "environment.cpus"),
)
"""What has to be the same in all runs, else their difference would have two causes."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One run's values over the steady part of its measured part.

    `runs` has one row for each operation and measure, `windows` one for each window as well. Columns:
    `operation`, `measure` (`RESPONSE` or `ACHIEVED`), `value`. Of `count` requests `failed` were not
    answered as expected. `topology` names the parts of the deployment.
    """

    name: str
    about: Mapping[str, Any]
    runs: pd.DataFrame
    windows: pd.DataFrame
    operations: tuple[str, ...]
    count: int
    failed: int
    topology: tuple[tuple[str, str], ...] = ()


def group(about: Mapping[str, Any]) -> str:
    """The name of the side of a run, if no baseline is given."""
    return str(about.get("side") or about.get("deployment"))


def measure(path: Path) -> MeasuredRun:
    """Read a run's values; raises `InputError` if it has no samples, is damaged or is not complete."""
    run = RunDir.open(path)
    if why := run_integrity.why_not(run.about):
        raise InputError(str(path), f"cannot be compared: {why}", "valid: runs that were completed")
    samples = sample_stream.stream(run)
    if samples is None:
        raise InputError(str(path), "holds no samples", "valid: a folder that `calorimeter run` wrote")
    extent = extent_of(samples)
    measured = measured_part(extent, run.about)
    if measured is None:
        raise InputError(str(path), "cannot be compared: no request was due in its measured part")
    part = _steady_part(samples, extent, measured)
    values = SteadyValues(samples, part)
    about = _flat(run.about)
    about["scenario.toml"] = _digest(path)
    deployment = run.deployment() if (path / "deployment.toml").exists() else None
    return MeasuredRun(
        name=path.name,
        about=about,
        runs=values.of_run(),
        windows=values.of_windows(),
        operations=values.operations,
        count=values.count,
        failed=values.failed,
        topology=tuple(circumstances.topology(deployment, run.about)),
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat[prefix + key] = value
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
    return flat


def _digest(run: Path) -> str | None:
    """Digest of what a scenario does: its comments and its `about` text do not count."""
    try:
        content = files.read(run / "scenario.toml", within=run)
    except files.MissingFileError:
        return None
    with suppress(ValueError, RecursionError):
        scenario = tomllib.loads(content.decode("utf-8"))
        content = json.dumps({**scenario, "about": ""}, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def _steady_part(samples: SampleStream, extent: SampleExtent, measured: Span) -> Span:
    time = axes.axis(extent)
    slices = axes.slices(extent.first_ns, extent.end_ns, time.bin_s)
    counts, responses = LoadCounts(slices), DurationRanks(slices.bins)
    for block in samples.blocks(TAKEN):
        responses.count(block.response_ns, np.where(block.ok, counts.add(block), -1))
    responses.want_middles(time.ranges(slices))
    for block in samples.blocks(TAKEN):
        responses.gather(block.response_ns, np.where(block.ok, slices.of(block.due_ns), -1))
    return rates.steadiness(counts, responses, time, measured).steady_part


def refuse_incomparable(runs: Sequence[MeasuredRun], despite: Sequence[str]) -> None:
    """Raise `InputError` if runs differ in a key of `MUST_AGREE` that is not in `despite`."""
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
                    f"to compare them anyway: --despite {key}",
                )


def _disagreeing(key: str, here: Any, there: Any, despite: Sequence[str]) -> tuple[Any, Any]:
    """What two runs note; of templates only those that differ, because digests are long.

    Runs made before templates were noted have none. Other scenarios may name other templates, so if
    scenarios may differ, only templates of the same name have to agree.
    """
    if key != "templates" or not (isinstance(here, dict) and isinstance(there, dict)):
        return here, there
    names = here.keys() & there.keys() if "scenario.toml" in despite else here.keys() | there.keys()
    differ = sorted(name for name in names if here.get(name) != there.get(name))
    left, right = ({name: str(each.get(name))[:12] for name in differ} for each in (here, there))
    return left, right


def sides(runs: Sequence[Path], baseline: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Which runs are on which side.

    Those of `baseline` are left, if any are given, and one run of a series represents its whole side; else
    of two runs the first is left; else the runs of the deployment that comes first. Raises `InputError` if
    that does not give two sides.
    """
    given = [Path(os.path.realpath(path)) for path in (*baseline, *runs)]
    for path in given:
        if given.count(path) > 1:
            raise InputError(str(path), "is given twice", "valid: each run once, on one side")
    if baseline:
        return _with_series(baseline), _with_series(runs)
    if len(runs) == 2:
        return [runs[0]], [runs[1]]
    groups: dict[str, list[Path]] = {}
    for path in runs:
        groups.setdefault(group(RunDir.open(path).about), []).append(path)
    if len(groups) != 2:
        names = ", ".join(sorted(groups))
        raise InputError(
            "compare",
            f"{len(runs)} runs of {len(groups)} deployments ({names}) are not two sides",
            "valid: two runs, runs of two deployments, or --baseline RUN for each run of the left side",
        )
    left, right = groups.values()
    return left, right


def _with_series(side: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(Path(os.path.realpath(path)) for run in side for path in runs_of_side(run)))
