"""The time line of an acceptance run."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import gate_times
from calorimeter.core.recorded.gate_times import GateTime, GateTimes, StepTime
from calorimeter.gates import time_line
from calorimeter.gates.time_line import TimeLine

NOTED = GateTimes(
    gates=(
        GateTime(
            gate="S1",
            at_s=0.0,
            took_s=12.5,
            steps=(
                StepTime(what="1000 sources visit rest", at_s=0.5, took_s=8.0),
                StepTime(what="2 visits left no trace", at_s=8.5, took_s=4.0),
            ),
        ),
        GateTime(gate="S2", at_s=12.5, took_s=0.25, uses=("S1",)),
        GateTime(gate="E1", at_s=65.75, took_s=3.0),
    )
)


def test_a_step_lasts_until_the_next_or_the_end_of_its_gate() -> None:
    """Times count from the first gate; what is between two gates belongs to none."""
    now = 100.0
    line = TimeLine(lambda: now)

    def at(moment: float) -> TimeLine:
        nonlocal now
        now = 100.0 + moment
        return line

    at(0).begins("S1")
    at(0.5).step("1000 sources visit rest")
    at(8.5).step("2 visits left\nno trace")
    at(12.5).ended()
    line.begins("S2")
    line.uses("S1")
    line.uses("S2")
    at(12.75).ended()
    at(65.75).begins("E1")
    at(68.75).ended()
    assert line.times == NOTED
    assert line.times.took_s == 68.75


def test_more_steps_than_the_file_takes_are_one(tmp_path: Path) -> None:
    """What is written can be read."""
    line = TimeLine(lambda: 0.0)
    line.begins("S1")
    for number in range(1000):
        line.step(f"step {number}")
    line.ended()
    gate_times.write(line.times, tmp_path)
    steps = gate_times.read(tmp_path).gates[0].steps
    assert (len(steps), steps[-1].what) == (100, "further steps")


def test_lines_show_each_gate_and_what_it_waited_for() -> None:
    """Minutes and seconds of the begin, the length, and the steps."""
    assert list(time_line.lines(NOTED)) == [
        "time line of 69 s: each gate with its begin and length, and what it waited for",
        "  0:00  S1      12.5 s",
        "                 0.5 s  before its first step",
        "                 8.0 s  1000 sources visit rest",
        "                 4.0 s  2 visits left no trace",
        "  0:12  S2       0.2 s  (judged from what S1 did)",
        "  1:05  E1       3.0 s",
    ]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A run folder without one has no gates; a damaged one is refused."""
    assert gate_times.read(tmp_path) == GateTimes()
    gate_times.write(NOTED, tmp_path)
    assert gate_times.read(tmp_path) == NOTED
    (tmp_path / gate_times.FILE).write_text('{"gates": [{"gate": "S1", "at_s": -1, "took_s": 1}]}')
    with pytest.raises(InputError, match=r"timings\.json: is damaged: gates\.0\.at_s"):
        gate_times.read(tmp_path)
