"""The slopes that gate T5 judged, as a table."""

from __future__ import annotations

import math

import pandas as pd

from calorimeter.core import files
from calorimeter.core.recorded import growth, recorded_json
from calorimeter.core.recorded.growth import GrowthRecord
from calorimeter.core.recorded.rundir import RunDir

COLUMNS = ("series", "unit", "level", "per_h", "low", "high", "bound", "grows")

GROWS = {True: "yes", False: "no", None: "not known"}


def growth_slopes(run: RunDir) -> pd.DataFrame:
    """One row for each series: its median `level`, `per_h` with its 99 % bounds `low` and `high`, the
    `bound` of growth per hour, and whether it `grows` faster; empty if T5 left no evidence.

    Raises `InputError` if the evidence is damaged.
    """
    file = run.path / "evidence" / f"{growth.GATE}.json"
    try:
        evidence = recorded_json.record(file, GrowthRecord, within=run.path)
    except files.MissingFileError:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [
        (
            str(each.series),
            growth.UNITS.get(each.series.kind, ""),
            each.level,
            each.shown.estimate,
            _known(each.shown.low),
            _known(each.shown.high),
            each.bound,
            GROWS[each.grows],
        )
        for each in growth.slopes(evidence)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _known(bound: float) -> float:
    return bound if math.isfinite(bound) else math.nan
