"""The generator's processes, from lines made of literals."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.live.live_figures import DataSource, GeneratorNow
from calorimeter.live.live_generator import LiveGenerator, generating
from tests.report.run_builder import START_NS

S = 10**9


def window(t_s: float, worker: str = "worker-00", **entries: Any) -> dict[str, Any]:
    """A line of one second of one process."""
    lags = {"lag_p50_s": 0.0002, "lag_p99_s": 0.004, "lag_max_s": 0.006}
    load = {"requests": 60, "response_p50_s": 0.03, "response_p99_s": 0.2, "users": 12, "stacks": 5}
    about = {"t_ns": START_NS + int(t_s * S), "length_s": 2.0, "worker": worker, "cpu_share": 0.4}
    return {**about, **lags, **load, **entries}


def test_the_newest_second_of_each_process() -> None:
    """In order of name, with the seconds of the last minute in which it set the pace."""
    live = LiveGenerator()
    live.add(window(-100, why_invalid="long ago"))
    live.add(window(0, why_invalid="the generator used 95% of its core"))
    live.add(window(1))
    live.add(window(1, "worker-01", response_p99_s=None))
    found = live.figures(START_NS + 2 * S)
    assert found[0] == GeneratorNow(
        worker="worker-00", at_ns=START_NS + S, cpu_share=0.4, lag_p99_s=0.004, users=12, stacks=5,
        requests_per_s=30.0, dropped=0, response_p99_s=0.2, limits="", limited=1,
    )  # fmt: skip
    assert (found[1].worker, found[1].response_p99_s, found[1].limited) == ("worker-01", None, 0)
    assert live.sources() == [DataSource(name="load generator", at_ns=START_NS + S)]


def test_a_process_that_is_silent_is_shown_but_not_summed() -> None:
    """For a minute; then it is not shown, either."""
    live = LiveGenerator()
    live.add(window(0))
    live.add(window(15, "worker-01"))
    found = live.figures(START_NS + 16 * S)
    assert [each.worker for each in found] == ["worker-00", "worker-01"]
    assert [each.worker for each in generating(found, START_NS + 16 * S)] == ["worker-01"]
    assert [each.worker for each in live.figures(START_NS + 61 * S)] == ["worker-01"]


def test_without_a_load_there_is_no_generator() -> None:
    """A watch without a load has none."""
    assert LiveGenerator().figures(START_NS) == []
    assert LiveGenerator().sources() == []


@pytest.mark.parametrize(
    "line",
    [None, {}, {"worker": "w"}, window(0, t_ns=-1), window(0, cpu_share="x"), window(0, lag_p99_s=1e300),
     window(0, odd=1)],
)  # fmt: skip
def test_a_damaged_line_is_left_out(line: dict[str, Any] | None) -> None:
    """As if it were not there."""
    live = LiveGenerator()
    live.add(line)
    assert live.figures(START_NS) == []


def test_negative_numbers_become_0() -> None:
    """A clock that was set back makes no figure that cannot be shown."""
    live = LiveGenerator()
    live.add(window(0, cpu_share=-1.0, requests=-5, users=-1, stacks=-1, dropped=-2, length_s=-1.0,
                    response_p99_s=-0.1, lag_p99_s=-1.0))  # fmt: skip
    (found,) = live.figures(START_NS + S)
    assert (found.cpu_share, found.requests_per_s, found.users, found.stacks) == (0.0, 0.0, 0, 0)
    assert (found.dropped, found.response_p99_s, found.lag_p99_s) == (0, 0.0, 0.0)
