"""How long gates will take, by what they took in earlier runs on the same deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import gate_times
from calorimeter.core.recorded.rundir import RunDir

MOST_RUNS = 20
"""Earlier runs that are read, the newest first."""


def of_earlier_runs(runs: Path, deployment: str, settings: Mapping[str, int]) -> dict[str, float]:
    """Gate → seconds that it took in the newest run in `runs` that has it.

    Of the runs on a deployment of this name, with these settings. One that cannot be read is passed over:
    it only makes the estimate worse.
    """
    expected: dict[str, float] = {}
    folders = sorted(runs.glob("*-verify-*"), reverse=True) if runs.is_dir() else []
    for folder in folders[:MOST_RUNS]:
        with suppress(InputError, OSError):
            times = gate_times.read(folder)
            if RunDir.open(folder).about["deployment"] == deployment and times.settings == settings:
                expected = {each.gate: each.took_s for each in times.gates} | expected
    return expected


def left(expected: Mapping[str, float], gates: Iterable[str]) -> str:
    """How long these gates will take, as `about 3 min left`; empty if nothing is known of one of them."""
    chosen = list(gates)
    if not chosen or any(gate not in expected for gate in chosen):
        return ""
    seconds = sum(expected[gate] for gate in chosen)
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
