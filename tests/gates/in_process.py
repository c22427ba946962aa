"""Gates in this process: as `calorimeter verify` judges them, without a new interpreter each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.verdict import Verdict
from calorimeter.gates.context import Settings
from calorimeter.gates.judge import AcceptanceRun, Judge
from calorimeter.gates.registry import GATES
from calorimeter.gates.verify_options import Given


def verified(deployment: Path, gates: str, runs: Path, **strength: int) -> dict[str, Verdict]:
    """Run gates on a deployment: gate → verdict. Faults are allowed on what is not a lab, too."""
    session = AcceptanceRun.prepare(
        Given(str(deployment), gates, None, runs, Settings(**strength), yes_break_it=True)
    )
    with session.context as context:
        # In pytest's order, in which they were declared: what is visited first is visited undisturbed.
        for gate in [gate for gate in GATES.values() if gate.id in session.allowed]:
            try:
                gate.function(context, Judge(session, gate))
            except (pytest.fail.Exception, pytest.skip.Exception):
                continue  # its verdict is kept
            except Exception as problem:
                session.broken(gate, problem)
    return session.new
