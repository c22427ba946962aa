"""Percentiles, intervals and steady state, against numpy and against series with a known truth."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import statistics
from calorimeter.core.statistics import Ints

DURATIONS = st.lists(st.integers(0, 10**12), min_size=1, max_size=300)


@given(values=DURATIONS, percent=st.sampled_from([0, 100]) | st.floats(0.01, 99.99))
def test_percentiles_agree_with_numpy(values: list[int], percent: float) -> None:
    """Every percentile that is shown is numpy's default percentile of the same values."""
    found = statistics.percentile(np.sort(np.array(values, dtype=np.int64)), percent)
    if len(values) < statistics.samples_needed(percent):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(float(np.percentile(values, percent)), rel=1e-12, abs=1e-6)


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 20), (90, 100), (99, 1000), (99.9, 10_000), (99.99, 100_000), (10, 100)]
)
def test_a_percentile_needs_ten_samples_beyond_it(percent: float, needed: int) -> None:
    """The smallest n at which a percentile is shown leaves ten samples on its rarer side."""
    assert statistics.samples_needed(percent) == needed


def test_few_windows_have_no_interval() -> None:
    """Seven windows give an estimate without bounds."""
    found = statistics.bootstrap([1, 2, 3, 4, 5, 6, 7], statistics.mean, seed=1)
    assert found.estimate == 4
    assert not found.known


def test_an_interval_contains_the_truth_as_often_as_stated() -> None:
    """Of the intervals of 200 series with a known mean, about 95 % contain it."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        found = statistics.bootstrap(rng.normal(10, 2, 60), statistics.mean, seed=3, rounds=400)
        covered += found.low <= 10 <= found.high
    assert 180 <= covered <= 199


def test_a_warm_up_is_found_where_it_ends() -> None:
    """A series that is high for 12 windows and flat afterwards is steady after the 12th."""
    rng = np.random.default_rng(7)
    series = np.concatenate([rng.normal(40, 1, 12), rng.normal(10, 1, 88)])
    assert statistics.steady(series) == statistics.Steady(12, True, "")


def test_a_flat_series_has_nothing_worth_excluding() -> None:
    """A flat series is steady, and little of it is excluded as warm-up."""
    found = statistics.steady(np.random.default_rng(8).normal(100, 3, 200))
    assert found.settled
    assert found.first < 50


def test_a_series_that_climbs_to_its_end_is_not_steady() -> None:
    """A series that rises all the time has no steady part, and has a reason."""
    found = statistics.steady(np.linspace(1, 10, 100))
    assert not found.settled
    assert found.reason


def test_a_short_series_is_not_judged() -> None:
    """Nineteen windows are too few to detect a warm-up."""
    assert statistics.steady([1.0] * 19) == statistics.Steady(
        0, False, "has 19 windows, too few to detect a warm-up"
    )


def test_theil_sen_is_not_moved_by_an_outlier() -> None:
    """A line with one outlier has the slope of the line."""
    series = np.arange(50, dtype=float) * 3
    series[20] = 1e6
    assert statistics.theil_sen(series) == pytest.approx(3, rel=0.01)


@pytest.mark.slow
@settings(max_examples=40)
@given(values=st.lists(st.integers(-1000, 1000), min_size=3, max_size=40))
def test_trends_agree_with_scipy(scipy_stats: ModuleType, values: list[int]) -> None:
    """The slope is scipy's Theil–Sen slope, and the test's score is that of scipy's Kendall's tau."""
    series = np.array(values, dtype=float)
    steps = np.arange(len(series))
    assert statistics.theil_sen(series) == pytest.approx(
        scipy_stats.theilslopes(series, steps)[0], abs=1e-9
    )
    if len(set(values)) == len(values):
        # scipy gives p without the correction for continuity, so never below it by more than that.
        assert (
            statistics.kendall(series)
            >= scipy_stats.kendalltau(steps, series, method="asymptotic").pvalue - 1e-9
        )


def test_noise_is_not_taken_for_a_drift() -> None:
    """Of 200 short series of counts that only fluctuate, about 2 % are called unsteady."""
    rng = np.random.default_rng(9)
    found = [statistics.steady(rng.poisson(rate, 30)) for rate in (5, 20) for _ in range(100)]
    assert sum(not each.settled for each in found) <= 8


def test_a_doubling_is_found() -> None:
    """A series that doubles from beginning to end is not steady."""
    rng = np.random.default_rng(10)
    found = [statistics.steady(np.linspace(100, 200, 60) + rng.normal(0, 5, 60)) for _ in range(50)]
    assert not any(each.settled for each in found)


def histograms(durations: Ints, windows: Ints, count: int) -> Ints:
    """The histograms of each window, of durations that are added one half after the other."""
    found = statistics.WindowHistograms(count)
    for part in (slice(0, len(durations) // 2), slice(len(durations) // 2, None)):
        found.add(durations[part], np.full(len(durations[part]), 2), windows[part])
    assert not found.of(1).any()
    return found.of(2)


@given(values=DURATIONS, data=st.data())
@settings(max_examples=20)
def test_merged_histograms_are_the_histogram_of_all(values: list[int], data: st.DataObject) -> None:
    """The sum of the windows' histograms is the histogram of all values; cells are half a percent wide."""
    windows = data.draw(st.lists(st.integers(-1, 2), min_size=len(values), max_size=len(values)))
    durations = np.array(values, dtype=np.int64)
    apart = histograms(durations, np.array(windows, dtype=np.int64), 3)
    kept = durations[np.array(windows) >= 0]
    together = histograms(kept, np.zeros(len(kept), dtype=np.int64), 1)
    assert (apart.sum(axis=0) == together[0]).all()
    for value in kept:
        (cell,) = np.flatnonzero(histograms(np.array([value]), np.array([0]), 1)[0])
        low = 1.005 ** float(cell)
        assert low * (1 - 1e-9) <= max(value, 1) <= low * 1.005 * (1 + 1e-9)


@pytest.mark.slow
def test_bounds_of_a_percentile_contain_the_truth_as_often_as_stated() -> None:
    """Of the bounds of 60 runs with known median and p90, about 95 % contain them."""
    rng = np.random.default_rng(6)
    windows = np.repeat(np.arange(40), 50)
    truth = {50: 1e7, 90: 1e7 * float(np.exp(1.2815515655 / 2))}  # the normal distribution's 90 %
    held = dict.fromkeys(truth, 0)
    for run in range(60):
        taken = (1e7 * rng.lognormal(0, 0.5, len(windows))).astype(np.int64)
        bounds = statistics.pooled_bounds(histograms(taken, windows, 40), list(truth), seed=run, rounds=200)
        for percent, value in truth.items():
            held[percent] += bounds[percent][0] <= value <= bounds[percent][1]
    assert all(52 <= times <= 60 for times in held.values())


@pytest.mark.slow
def test_the_bootstrap_agrees_with_scipys(scipy_stats: ModuleType) -> None:
    """The bounds of a mean equal those of scipy's percentile bootstrap, within the noise of 4000 rounds."""
    values = np.random.default_rng(3).normal(100, 10, 40)
    ours = statistics.bootstrap(values, statistics.mean, seed=1, rounds=4000)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.3)
    assert ours.high == pytest.approx(theirs.high, abs=0.3)
