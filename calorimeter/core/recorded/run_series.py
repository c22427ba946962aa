"""Series of interleaved runs, as `calorimeter run --repeat N --against …` makes them.

The run.json of each run names its series, its side and its turn.
"""

from __future__ import annotations

from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir


def runs_of_side(run: Path) -> list[Path]:
    """The runs beside `run` on the same side of its series, by turn. Without a series, `run` alone."""
    about = RunDir.open(run).about
    series = about.get("series")
    if series is None:
        return [run]
    found: list[tuple[int, Path]] = []
    for path in run.absolute().parent.glob("*/run.json"):
        try:
            other = RunDir.open(path.parent).about
        except InputError:
            continue  # another program's, or unfinished
        if other.get("series") == series and other.get("side") == about.get("side"):
            turn = other.get("turn")
            found.append((turn if isinstance(turn, int) else 0, path.parent))
    return [path for _, path in sorted(found)]
