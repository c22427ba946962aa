"""The table of when gates ran, from timings.json."""

from __future__ import annotations

import pandas as pd

from calorimeter.core.recorded.gate_times import GateTimes
from calorimeter.core.shown_text import plain

COLUMNS = ("gate", "step", "from_s", "to_s")


def gate_steps(times: GateTimes) -> pd.DataFrame:
    """One row per step of a gate, in order of time; what is before its first step has an empty name.

    `from_s` and `to_s` are seconds after the start of the first gate.
    """
    rows: list[tuple[str, str, float, float]] = []
    for gate in times.gates:
        first = gate.at_s + (gate.steps[0].at_s if gate.steps else gate.took_s)
        rows.append((plain(gate.gate), "", gate.at_s, first))
        rows += [
            (
                plain(gate.gate),
                plain(step.what),
                gate.at_s + step.at_s,
                gate.at_s + step.at_s + step.took_s,
            )
            for step in gate.steps
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(3)
