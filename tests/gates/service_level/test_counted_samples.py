"""What became of the requests of the measured part, from tables as they are read."""

from __future__ import annotations

import pandas as pd

from calorimeter.core.recorded.measured_part import Span
from calorimeter.gates.service_level.counted_samples import served

S = 1_000_000_000

SAMPLES = pd.DataFrame(
    {
        "scheduled_ns": [100 * S, 103 * S, 104 * S, 105 * S, 111 * S],
        "response_ns": [S // 10, S // 10, 3 * S // 10, 2 * S // 10, S // 10],
        "kind": pd.Categorical(["rest list"] * 5),
        "error": pd.Categorical(["", "", "timeout", "", ""]),
    }
)


def test_requests_of_the_part_are_counted_and_successes_timed() -> None:
    """Neither the warm-up nor the clean-up; failures have no latency; an unknown operation has nothing."""
    everything, other = served(SAMPLES, ["*", "rest.show"], Span(102 * S, 110 * S))
    assert (everything.requests, everything.ok) == (3, 2)
    assert everything.response_ms["p50"] == 150.0
    assert (other.requests, other.response_ms) == (0, {})


def test_without_a_measured_part_nothing_is_counted() -> None:
    """All was warm-up."""
    (everything,) = served(SAMPLES, ["*"], None)
    assert (everything.requests, everything.ok, everything.dropped, everything.response_ms) == (0, 0, 0, {})
