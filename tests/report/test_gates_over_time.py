"""When the gates ran, on a page."""

from __future__ import annotations

from typing import Any

from calorimeter.core.recorded.gate_times import GateTime, GateTimes, StepTime
from calorimeter.report import page, page_content


def test_the_time_of_gates_is_drawn_with_their_steps(builder: Any, polls: Any) -> None:
    """One lane per gate, and a table with the steps."""
    step = StepTime(what="1000 sources visit rest", at_s=0.5, took_s=8.0)
    times = GateTimes(
        gates=(
            GateTime(gate="S1", at_s=0.0, took_s=8.5, steps=(step,)),
            GateTime(gate="S2", at_s=8.5, took_s=0.0, uses=("S1",)),
        )
    )
    files = page.files(page_content.collect(builder.verdicts(*polls.gates()).timings(times).run))
    assert "Duration of the gates" in files["index.html"].decode()
    assert "1 of the 2 gates of the last acceptance run" in files["index.html"].decode()
    assert "figures/gates-over-time.svg" in files
    assert files["tables/timings.csv"].decode().splitlines() == [
        "gate,step,from_s,to_s",
        "S1,,0,0.5",
        "S1,1000 sources visit rest,0.5,8.5",
        "S2,,8.5,8.5",
    ]
