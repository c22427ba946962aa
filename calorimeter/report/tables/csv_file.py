"""Tables as CSV: no cell is a formula, and numbers are as they were."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import pandas as pd

from calorimeter.core.shown_text import csv_cell


def of_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as a CSV file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(map(csv_cell, row) for row in rows)
    return out.getvalue().encode()


def of_frame(table: pd.DataFrame, *, index: bool = False) -> bytes:
    """A table as a CSV file, with nine digits."""
    safe = table.rename(columns=csv_cell)
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].astype(object).map(csv_cell)
    return safe.to_csv(index=index, float_format="%.9g").encode()
