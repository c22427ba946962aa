"""Comparisons of two sides with a known truth, and the agreement of the test with SciPy's."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import statistics
from calorimeter.core.statistics import Floats

SMALL = st.lists(st.integers(1, 1000), min_size=1, max_size=8)
APART = st.lists(st.integers(1, 10_000), min_size=4, max_size=16, unique=True)


def floats(values: list[int]) -> Floats:
    """Whole numbers as an array of floats."""
    return np.array(values, dtype=np.float64)


@pytest.mark.slow
@settings(max_examples=40)
@given(values=APART, cut=st.integers(1, 15))
def test_without_ties_p_is_scipys_exact_one(scipy_stats: ModuleType, values: list[int], cut: int) -> None:
    """If no value occurs twice, p is that of scipy's exact test."""
    left, right = floats(values[:cut]), floats(values[cut:])
    if len(right):
        expected = scipy_stats.mannwhitneyu(left, right, alternative="two-sided", method="exact").pvalue
        assert statistics.mann_whitney(left, right) == pytest.approx(expected)


@pytest.mark.slow
@settings(max_examples=40)
@given(left=SMALL, right=SMALL)
def test_with_ties_p_is_scipys_approximate_one(
    scipy_stats: ModuleType, left: list[int], right: list[int]
) -> None:
    """If a value occurs twice, p is that of scipy's normal approximation with its corrections."""
    tied = [*left, left[0]]
    if len({*tied, *right}) == 1:
        assert statistics.mann_whitney(floats(tied), floats(right)) == 1.0
        return
    expected = scipy_stats.mannwhitneyu(tied, right, alternative="two-sided", method="asymptotic").pvalue
    assert statistics.mann_whitney(floats(tied), floats(right)) == pytest.approx(expected)


@settings(max_examples=40)
@given(left=SMALL, right=SMALL)
def test_effect_size_is_a_count_of_pairs(left: list[int], right: list[int]) -> None:
    """Cliff's delta is the share of pairs with a larger right value, less that with a smaller one."""
    won = sum((b > a) - (b < a) for a in left for b in right) / (len(left) * len(right))
    assert statistics.cliffs_delta(floats(left), floats(right)) == pytest.approx(won)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    left=st.lists(st.integers(1, 10_000), min_size=5, max_size=8),
    right=st.lists(st.integers(1, 10_000), min_size=5, max_size=8),
)
def test_an_interval_contains_what_the_test_does_not_reject(
    scipy_stats: ModuleType, left: list[int], right: list[int]
) -> None:
    """If one side is scaled by a ratio just inside the bounds, p is above 1 %; just outside, it is not."""
    a, b = floats(left) * 1.000_000_7, floats(right)  # makes equal ratios unlikely
    found = statistics.relative_shift(a, b)
    ratios = (b[None, :] / a[:, None]).ravel()
    if len(np.unique(ratios)) < len(ratios):
        return
    for bound, outwards in ((found.low, -1), (found.high, 1)):
        for way, rejected in ((outwards, True), (-outwards, False)):
            shifted = a * (1 + bound) * (1 + way * 1e-12)
            exact = scipy_stats.mannwhitneyu(shifted, b, alternative="two-sided", method="exact").pvalue
            assert (exact <= statistics.ALPHA) == rejected


@pytest.mark.parametrize("units", [5, 8, 60])
def test_equal_sides_are_called_different_as_rarely_as_stated(units: int) -> None:
    """Of 400 pairs of equal sides at most 1 % are called different, within sampling error."""
    pairs = np.random.default_rng(11).lognormal(0, 0.02, (400, 2, units))
    alarms = sum(statistics.difference(*pair).detected for pair in pairs)
    assert alarms <= 9  # the 99 % quantile of a binomial of 400 at 1 %


@pytest.mark.parametrize(("units", "noise"), [(5, 0.01), (8, 0.015), (60, 0.05)])
def test_a_step_of_five_percent_is_found(units: int, noise: float) -> None:
    """Of 100 pairs of sides 5 % apart at least 90 are detected, and 95 intervals contain 5 %."""
    rng = np.random.default_rng(12)
    pairs = [(rng.lognormal(0, noise, units), 1.05 * rng.lognormal(0, noise, units)) for _ in range(100)]
    found = [statistics.difference(*pair) for pair in pairs]
    assert sum(each.larger for each in found) >= 90
    assert sum(each.relative.low <= 0.05 <= each.relative.high for each in found) >= 95


def test_too_few_values_have_no_bounds_and_no_finding() -> None:
    """Four values per side never differ detectably: their rarest order is not rare enough."""
    found = statistics.difference([1, 2, 3, 4], [11, 12, 13, 14])
    assert not found.detected
    assert not found.relative.known
    assert found.relative.estimate > 0


@pytest.mark.parametrize("side", [[], [float("nan")]])
def test_a_side_without_numbers_is_refused(side: list[float]) -> None:
    """An empty side, or one with a value that is not a number, is an error."""
    with pytest.raises(ValueError, match="a side of a comparison"):
        statistics.difference(side, [1.0])
