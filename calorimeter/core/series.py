"""Runs that were made in turn, side by side: `calorimeter run --repeat N --against …`.

Each of them says in run.json which series it is of, on which side, and in which turn.
"""

from __future__ import annotations

from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir


def runs_of_side(run: Path) -> list[Path]:
    """All runs of the same side of the same series beside `run`, in turn; of no series: `run` alone."""
    about = RunDir.open(run).about
    series = about.get("series")
    if series is None:
        return [run]
    found: list[tuple[int, Path]] = []
    for path in run.absolute().parent.glob("*/run.json"):
        try:
            other = RunDir.open(path.parent).about
        except InputError:
            continue  # somebody else's, or half written
        if other.get("series") == series and other.get("side") == about.get("side"):
            found.append((int(other.get("turn", 0)), path.parent))
    return [path for _, path in sorted(found)]
