"""All runs of some folders, in the order in which they were made, and those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import folders_of_runs
from calorimeter.core.shown_text import one_line, quoted
from calorimeter.report.history import run_index
from calorimeter.report.history.run_point import RunPoint

MOST_RUNS = 5000
"""Runs of one history: a page of more could not be read."""

_OF_A_RUN = ("samples", "deployment.toml")
"""What a folder without run.json holds if it was to be a run."""


@dataclass(frozen=True, slots=True)
class PlacedRun:
    """A run and its folder; `label` names it on pages, with its parent if there are several."""

    folder: Path
    label: str
    point: RunPoint


@dataclass(frozen=True, slots=True)
class CollectedRuns:
    """The runs of a history by time, and why the others are left out: label → reason. `read` is how many
    were read; the others are from the index.
    """

    runs: tuple[PlacedRun, ...]
    left_out: tuple[tuple[str, str], ...]
    read: int = 0


def collect(folders: Sequence[Path], say: Callable[[str], object] = lambda text: None) -> CollectedRuns:
    """Read the runs of some folders, from their index if it is up to date; `say` tells how far it is.

    Raises `InputError` as `folders_of_runs.check`, and if a folder holds too many runs.
    """
    found: list[PlacedRun] = []
    left_out: list[tuple[str, str]] = []
    read = 0
    folders_of_runs.check(folders)
    for folder in folders:
        with run_index.of(folder) as index:
            paths = _runs(folder)
            for number, path in enumerate(paths, start=1):
                label = path.name if len(folders) == 1 else f"{folder.absolute().name}/{path.name}"
                say(f"Reading run {number} of {len(paths)} …")
                try:
                    _refuse_link(path)
                    found.append(PlacedRun(path, one_line(label), index.point(path)))
                except InputError as problem:
                    left_out.append((one_line(label), _reason(problem, path)))
            read += index.read
    found.sort(key=lambda run: (run.point.started_ns, run.label))
    return CollectedRuns(tuple(found), tuple(sorted(left_out)), read)


def of_load(found: CollectedRuns, run: Path) -> CollectedRuns:
    """The runs of the same load on the same deployment as a run, up to it, or to the end of its series.

    Raises `InputError` if the run is not among them, or recorded no load.
    """
    place = os.path.realpath(run)
    named = next((each for each in found.runs if os.path.realpath(each.folder) == place), None)
    if named is None:
        why = next((why for label, why in found.left_out if label.rpartition("/")[2] == run.name), "")
        given = f"is left out: {why}" if why else "is not in the folder of the history"
        raise InputError(str(run), given, "valid: a run in it")
    point = named.point
    if not point.requests:
        raise InputError(str(run), "recorded no load", "valid: a run of `calorimeter run`")
    load = (point.scenario, point.deployment, point.load)
    chosen = [
        each
        for each in found.runs
        if (each.point.scenario, each.point.deployment, each.point.load) == load
        and each.point.requests
        and (
            (each.point.started_ns, each.label) <= (point.started_ns, named.label)
            or (point.series and (each.point.series, each.point.side) == (point.series, point.side))
        )
    ]
    return replace(found, runs=tuple(chosen))


def since(found: CollectedRuns, day: str) -> CollectedRuns:
    """The runs that began on a day (UTC) or later. Raises `InputError` for no day, and if none is left."""
    try:
        first_ns = int(datetime.combine(date.fromisoformat(day), time(), UTC).timestamp()) * 10**9
    except ValueError as problem:
        raise InputError("--since", f"{quoted(day)} given", "valid: a day, as in 2026-05-01") from problem
    chosen = tuple(run for run in found.runs if run.point.started_ns >= first_ns)
    if not chosen:
        raise InputError("--since", f"no run began on {day} or later", "valid: an earlier day")
    return replace(found, runs=chosen)


def _runs(folder: Path) -> list[Path]:
    """The folders in it that are, or were to be, runs; in order of their names."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as problem:
        raise InputError(str(folder), f"cannot be read ({problem.strerror})") from problem
    found = [path for path in entries if not path.name.startswith(".") and _was_to_be_run(path)]
    if len(found) > MOST_RUNS:
        raise InputError(str(folder), f"holds {len(found):,} runs", f"valid: {MOST_RUNS:,} or fewer")
    return found


def _was_to_be_run(path: Path) -> bool:
    try:
        is_run = any(os.path.lexists(path / name) for name in ("run.json", *_OF_A_RUN))
    except (OSError, ValueError):
        return False
    return is_run and path.is_dir()


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise InputError(str(path), "is a symbolic link", "valid: a folder")


def _reason(problem: InputError, path: Path) -> str:
    """Why a run is left out, without the path of the folder that its label names."""
    where = problem.where.removeprefix(str(path)).lstrip("/")
    parts = (f"{where}: {problem.given}" if where else problem.given, problem.valid)
    return "; ".join(part for part in parts if part)
