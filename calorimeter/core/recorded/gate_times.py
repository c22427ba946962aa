"""timings.json of a run folder: when each gate ran, and what its steps took."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core import files
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Duration
from calorimeter.core.toml import Model
from calorimeter.core.verdict import GateId

FILE = "timings.json"
LONGEST_STEP = 300
"""Characters of a step's text."""

MOST_STEPS = 100
MOST_GATES = 500
MOST_SETTINGS = 50


class StepTime(Model):
    """A step of a gate: seconds after the start of the gate, and its length."""

    what: Annotated[str, Field(max_length=LONGEST_STEP)]
    at_s: Duration
    took_s: Duration


class GateTime(Model):
    """A gate: seconds after the start of the first gate, and its length.

    `uses` are the gates whose experiments it was judged from: that time is theirs.
    """

    gate: GateId
    at_s: Duration
    took_s: Duration
    uses: tuple[GateId, ...] = ()
    steps: Annotated[tuple[StepTime, ...], Field(max_length=MOST_STEPS)] = ()


class GateTimes(Model):
    """The gates of one acceptance run, in the order in which they ran, and the strength of the run."""

    schema_version: Literal[1] = 1
    settings: Annotated[dict[GateId, int], Field(max_length=MOST_SETTINGS)] = {}
    gates: Annotated[tuple[GateTime, ...], Field(max_length=MOST_GATES)] = ()

    @property
    def took_s(self) -> float:
        """From the start of the first gate to the end of the last."""
        return max((gate.at_s + gate.took_s for gate in self.gates), default=0.0)


def write(times: GateTimes, run: Path) -> None:
    """Replace timings.json of a run folder. Raises InputError if it cannot be written."""
    files.write(run / FILE, times.model_dump_json(indent=1) + "\n")


def read(run: Path) -> GateTimes:
    """Read timings.json of a run folder; no gates if there is none. Raises InputError if it is damaged."""
    try:
        return recorded_json.record(run / FILE, GateTimes, within=run)
    except files.MissingFileError:
        return GateTimes()
