"""The ledger and the actions of a run as tables: a row for each stack or action, read and validated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.statistics import Ints


def ns(table: pd.DataFrame, name: str) -> Ints:
    """A column of times or durations in ns, as an array."""
    return table[name].to_numpy(dtype=np.int64)


def ledger(run: RunDir) -> pd.DataFrame | None:
    """One row for each accepted stack, in columns of `LEDGER`; None if there are none.

    Raises `InputError` if a file is truncated, foreign or of another version.
    """
    columns = ("accepted_ns", "final_ns", "final_state", "deleted_ns", "api")
    table = recorded_tables.table(run, "ledger", columns)
    return None if table is None else table.to_pandas()


def actions(run: RunDir) -> pd.DataFrame | None:
    """One row for each accepted action, in columns of `ACTION`; None and errors as for `ledger`."""
    columns = ("accepted_ns", "final_ns", "final_state", "operation", "api")
    table = recorded_tables.table(run, "actions", columns)
    return None if table is None else table.to_pandas()
