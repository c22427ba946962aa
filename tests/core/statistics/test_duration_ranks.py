"""Percentiles from two passes are those of all durations sorted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core import statistics
from calorimeter.core.statistics import DurationRanks, Ints

GROUPS = 4

DURATION = st.one_of(
    st.integers(0, 2**44 - 1), st.integers(0, 40), st.sampled_from([10**9, 10**9 + 1, 2**30, 2**30 - 1])
)

ROWS = st.lists(st.tuples(DURATION, st.integers(-1, GROUPS - 1)), max_size=120)

RANGES = [range(start, stop) for start in range(GROUPS) for stop in range(start, GROUPS + 1)]

PERCENTS = (0.5, 50.0, 90.0, 100.0)


def twice(rows: list[tuple[int, int]], cut: int) -> DurationRanks:
    """Both passes, over the rows in two parts, and in the second one in another order."""
    found = DurationRanks(GROUPS)

    def arrays(some: list[tuple[int, int]]) -> tuple[Ints, Ints]:
        table = np.array(some, dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    for part in (rows[:cut], rows[cut:]):
        found.count(*arrays(part))
    found.want(RANGES, PERCENTS)
    found.want_middles(RANGES)
    for part in (rows[:0:-1], rows[:1]):
        found.gather(*arrays(part))
    return found


@given(rows=ROWS, cut=st.integers(0, 120))
def test_percentiles_are_those_of_the_durations_sorted(rows: list[tuple[int, int]], cut: int) -> None:
    """Of each group and of all ranges of groups; rows of group −1 are left out."""
    found = twice(rows, cut)
    shown = found.percentiles(RANGES, PERCENTS)
    every = found.percentiles(RANGES, PERCENTS, however_few=True)
    for row, groups in enumerate(RANGES):
        own = sorted(duration for duration, group in rows if group in groups)
        assert found.total(groups) == len(own)
        middle = float(own[len(own) // 2]) if own else math.nan
        assert found.middles([groups])[0] == pytest.approx(middle, nan_ok=True, rel=0)
        for column, percent in enumerate(PERCENTS):
            exact = statistics.percentile(np.array(own), percent)
            assert shown[row, column] == pytest.approx(exact, nan_ok=True, rel=0)
            if own:
                of_numpy = float(np.percentile(own, percent))
                assert every[row, column] == pytest.approx(of_numpy, rel=1e-12, abs=1e-6)
            else:
                assert math.isnan(every[row, column])


def test_few_of_many_durations_are_kept() -> None:
    """Of 100,000 durations that scatter, less than one in 200 is held for three percentiles."""
    taken = (4e7 * np.random.default_rng(1).lognormal(0, 0.5, 100_000)).astype(np.int64)
    groups = np.arange(len(taken)) % GROUPS
    found = DurationRanks(GROUPS)
    found.count(taken, groups)
    found.want([range(GROUPS)], (50.0, 90.0, 99.0))
    found.gather(taken, groups)
    assert sum(len(part) for part in found._kept) < 500
    assert found.percentiles([range(GROUPS)], (99.0,)) == pytest.approx(np.percentile(taken, 99), rel=1e-12)


def test_durations_of_nothing_are_not_kept() -> None:
    """The generator of a load may be on time for each of a hundred million requests."""
    found = DurationRanks(GROUPS)
    nothing = np.zeros(1000, dtype=np.int64)
    found.count(nothing, nothing)
    found.want([range(1)], PERCENTS)
    found.gather(nothing, nothing)
    assert sum(len(part) for part in found._kept) == 0
    assert found.percentiles([range(1)], (50.0, 100.0)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("duration", [-1, 2**44])
def test_a_duration_that_no_request_has_is_refused(duration: int) -> None:
    """It never counts as one of another group."""
    with pytest.raises(ValueError, match="longer"):
        DurationRanks(1).count(np.array([duration]), np.array([0]))


def test_more_groups_than_fit_are_refused() -> None:
    """Group and duration share an integer."""
    with pytest.raises(ValueError, match="more than"):
        DurationRanks(2**19 + 1)
