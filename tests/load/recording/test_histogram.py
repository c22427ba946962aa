"""Histogram percentiles against exact ones."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.load.recording.histogram import Histogram

DURATIONS = st.lists(st.integers(1_000, 10**13), min_size=1, max_size=300)


def exact_s(durations_ns: list[int], percent: float) -> float:
    """The smallest duration that `percent` of all do not exceed."""
    rank = max(1, ceil(len(durations_ns) * percent / 100))
    return sorted(durations_ns)[rank - 1] / 1e9


@settings(max_examples=50)
@given(durations=DURATIONS, percent=st.sampled_from([0, 1, 25, 50, 90, 95, 99, 99.9, 100]))
def test_percentiles_are_within_one_percent(durations: list[int], percent: float) -> None:
    """Any percentile of any durations between a microsecond and hours is within 1 % of the exact one."""
    histogram = Histogram()
    histogram.add(np.array(durations))
    assert histogram.percentile_s(percent) == pytest.approx(exact_s(durations, percent), rel=0.01)


@settings(max_examples=30)
@given(parts=st.lists(DURATIONS, min_size=2, max_size=4))
def test_merged_histograms_are_those_of_all(parts: list[list[int]]) -> None:
    """Histograms that went through messages and were merged are the histogram of all durations."""
    whole, merged = Histogram(), Histogram()
    whole.add(np.array([one for part in parts for one in part]))
    for part in parts:
        one = Histogram()
        one.add(np.array(part))
        merged.merge_message(one.take().as_message())
        assert one.count == 0
    assert merged.as_message() == whole.as_message()
    assert merged.count == sum(map(len, parts))


def test_of_nothing_there_is_no_percentile() -> None:
    """An empty histogram has no percentiles."""
    assert Histogram().percentile_s(50) is None
