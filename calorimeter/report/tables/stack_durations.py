"""How long stacks took: from the acceptance of an action to its end, as the load saw it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.stack_tables import ns
from calorimeter.report.tables.latency import column

PERCENTS = (50.0, 90.0, 99.0)

UNSEEN = "not seen to end"

TAKEN = (*map(column, PERCENTS), "longest")
"""The columns of times, in s."""

COLUMNS = ("operation", "ended", "n", *TAKEN)


def stack_durations(ledger: pd.DataFrame | None, actions: pd.DataFrame | None, part: Span) -> pd.DataFrame:
    """One row for each action and state it ended in, of the actions accepted within a part of the run.

    Columns: `operation` (API and action), `ended` (such as CREATE_COMPLETE, or `UNSEEN`), `n`, and in s
    `p50`, `p90`, `p99` (NaN if there are too few, `statistics.samples_needed`) and `longest`.
    """
    tables = []
    if ledger is not None:
        adopted = ledger["final_state"].astype(str).str.startswith("ADOPT")
        created = np.where(ledger["api"] == "cfn", "CreateStack", "create")
        tables.append(ledger.assign(operation=np.where(adopted, "adopt", created)))
    if actions is not None:
        tables.append(actions)
    wanted = ["api", "operation", "final_state", "accepted_ns", "final_ns"]
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = pd.concat([table[wanted].astype(dict.fromkeys(wanted[:3], str)) for table in tables])
    rows = rows[part.holds(ns(rows, "accepted_ns"))]
    grouped = rows.groupby([rows["api"] + " " + rows["operation"], "final_state"])
    found = [_ending(str(name), str(state), own) for (name, state), own in grouped]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _ending(name: str, state: str, own: pd.DataFrame) -> tuple[object, ...]:
    if not state:
        return name, UNSEEN, len(own), *(np.nan for _ in TAKEN)
    taken = np.sort((own["final_ns"] - own["accepted_ns"]).to_numpy(dtype=np.int64))
    shown = (statistics.percentile(taken, percent) / 1e9 for percent in PERCENTS)
    return name, state, len(own), *shown, float(taken[-1]) / 1e9
