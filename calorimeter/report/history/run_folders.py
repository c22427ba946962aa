"""All runs of some folders, in the order in which they were made, and those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import one_line
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

    Raises `InputError` if a folder is none, is a run itself, is given twice, or holds too many runs.
    """
    found: list[PlacedRun] = []
    left_out: list[tuple[str, str]] = []
    read = 0
    for folder in check(folders):
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


def check(folders: Sequence[Path]) -> Sequence[Path]:
    """The folders. Raises `InputError` if one is none, is a run itself, or is given twice."""
    real = [os.path.realpath(folder) for folder in folders]
    for folder, place in zip(folders, real, strict=True):
        if not folder.is_dir():
            kind = "is no folder" if folder.exists() else "does not exist"
            raise InputError(str(folder), kind, "valid: a folder that holds runs, such as runs")
        if (folder / "run.json").exists():
            raise InputError(str(folder), "is a run itself", "valid: the folder that holds runs")
        if real.count(place) > 1:
            raise InputError(str(folder), "is given twice", "valid: each folder once")
    return folders


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
