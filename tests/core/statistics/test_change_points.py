"""Changes of level: series with a known truth, chance that is called a change, and properties."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import statistics
from calorimeter.core.statistics import Floats, change_points

NOISE = [0.3, -0.8, 0.5, 1.1, -0.2, -1.3, 0.7, 0.1, -0.6, 0.9, -0.4, 0.2]


def stepped(levels: list[tuple[int, float]], seed: int = 1) -> Floats:
    """A series of noise (standard deviation 1) around levels, each with its number of values."""
    levels_of = np.concatenate([np.full(count, level) for count, level in levels])
    return np.asarray(levels_of + np.random.default_rng(seed).normal(size=len(levels_of)))


def places(series: Floats) -> list[int]:
    """The place of the first value after each change."""
    return [each.first for each in change_points(series)]


def test_literal_series() -> None:
    """A step in ten values is found where it is; the levels around it are compared."""
    (found,) = change_points([1.0, 1.2, 0.9, 1.1, 1.05, 2.0, 2.2, 1.9, 2.1, 2.05])
    assert found.first == 5
    assert found.p <= 0.01
    assert (found.found.left, found.found.right) == (1.05, 2.05)
    assert found.found.larger
    assert found.found.units == (5, 5)


@pytest.mark.parametrize(
    "series",
    [
        [],
        [1.0],
        [1.0] * 40,
        [1.0, 1.2, 0.9, 1.1, 1.05, 2.0, 2.2, 1.9, 2.1],
        NOISE,
        [*NOISE[:6], 1000.0, *NOISE[6:]],
        [0.0] * 30 + [0.01] + [0.0] * 30,
    ],
    ids=["empty", "one", "constant", "nine values", "noise", "one outlier", "one error among none"],
)
def test_nothing_to_find(series: list[float]) -> None:
    """Too few values, equal ones, noise, and single values that are out of line are no change."""
    assert change_points(series) == ()


def test_a_change_for_a_while_is_two_changes() -> None:
    """Also if both levels around it are the same, which hides it from a single split of the whole."""
    assert places(stepped([(20, 0), (20, 4), (20, 0)])) == [20, 40]


def test_several_levels() -> None:
    """Each of them is found, and compared with its neighbours only."""
    found = change_points(stepped([(30, 0), (12, 5), (25, 10), (8, 3)], seed=4))
    assert [each.first for each in found] == [30, 42, 67]
    assert [each.found.units for each in found] == [(30, 12), (12, 25), (25, 8)]
    assert [each.found.larger for each in found] == [True, True, False]


def test_the_same_series_gives_the_same_changes() -> None:
    """The random orders have a fixed seed."""
    series = stepped([(15, 0), (15, 1)], seed=2)
    assert change_points(series) == change_points(series)


def test_of_a_long_series_the_end_is_looked_at() -> None:
    """Places count from the begin of the series all the same."""
    assert places(np.concatenate([np.zeros(900), np.ones(60)])) == [900]
    assert places(np.concatenate([np.zeros(100), np.ones(500)])) == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad: float) -> None:
    """The caller has left it out, or made a mistake."""
    with pytest.raises(ValueError, match="finite"):
        change_points([1.0, bad])


def alarms(length: int, count: int, kind: str) -> int:
    """How many of so many series in random order show a change."""
    rng = np.random.default_rng(length)
    draw = {
        "normal": lambda: rng.normal(size=length),
        "lognormal": lambda: rng.lognormal(0, 2, size=length),
        "few values": lambda: rng.integers(0, 3, size=length).astype(float),
    }[kind]
    return sum(bool(change_points(draw())) for _ in range(count))


@pytest.mark.parametrize("length", [10, 30])
def test_chance_is_seldom_called_a_change(length: int) -> None:
    """Of 300 series in random order at most 1 % show a change, within sampling error."""
    assert alarms(length, 300, "normal") <= 8  # the 99.5 % quantile of a binomial of 300 at 1 %


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "length"),
    [("normal", 10), ("normal", 60), ("lognormal", 25), ("lognormal", 60), ("few values", 25)],
)
def test_chance_is_called_a_change_as_rarely_as_stated(length: int, kind: str) -> None:
    """Of 1,000 series in random order about 1 % show a change, however they are distributed."""
    assert alarms(length, 1000, kind) <= 20  # the 99.8 % quantile of a binomial of 1,000 at 1 %


@pytest.mark.parametrize(("length", "after"), [(30, 5), (100, 5), (300, 6)])
def test_a_large_step_is_found_as_soon_as_stated(length: int, after: int) -> None:
    """A step of six standard deviations, so many runs before the end, in each of ten series."""
    found = [places(stepped([(length - after, 0), (after, 6)], seed=seed)) for seed in range(10)]
    assert all(any(abs(place - (length - after)) <= 1 for place in each) for each in found)


@pytest.mark.parametrize(("step", "each", "near"), [(1.5, 20, 20), (2.0, 20, 5), (3.0, 8, 2)])
def test_a_step_of_a_stated_size_is_found(step: float, each: int, near: int) -> None:
    """In standard deviations, with so many runs on each side: 9 times of 10, and not far from its place."""
    found = [places(stepped([(each, 0), (each, step)], seed=seed)) for seed in range(40)]
    assert sum(any(abs(place - each) <= near for place in places_) for places_ in found) >= 36


SERIES = st.lists(st.integers(-50, 50), max_size=40)


@settings(max_examples=60)
@given(values=SERIES)
def test_every_change_has_two_levels_that_differ(values: list[int]) -> None:
    """With enough runs on each side, both tests passed; mirrored values change at the same places."""
    series = np.array(values, dtype=np.float64)
    found = change_points(series)
    edges = [0, *(each.first for each in found), len(series)]
    assert all(b - a >= statistics.MINIMUM_SIDE for a, b in pairwise(edges)) or not found
    assert all(each.p <= statistics.ALPHA and each.found.detected for each in found)
    assert [each.first for each in change_points(-series)] == [each.first for each in found]


@settings(max_examples=40)
@given(values=SERIES)
def test_the_unit_of_values_does_not_count(values: list[int]) -> None:
    """Nor whether there is a change, if values are shown as powers of two: their order does."""
    series = np.array(values, dtype=np.float64)
    assert places(series * 8 + 4) == places(series)
    assert bool(places(series)) == bool(places(2.0**series))
