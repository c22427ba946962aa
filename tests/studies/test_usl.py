"""The Universal Scalability Law, against published fits, SciPy, and laws that are known."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.studies import usl

LOAD = (1, 18, 36, 72, 108, 144, 216)
THROUGHPUT = (64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2)
"""SPEC SDM 91 on a Sun SPARCcenter 2000, the data set `specsdm91` of R's package usl."""


def test_the_fit_is_that_of_r() -> None:
    """R's usl 3: α 0.0277285 ± 0.0091217, β 0.0001044 ± 0.0000199, γ 89.9952 ± 14.2135, residual 82.8."""
    law = usl.fit(LOAD, THROUGHPUT)
    assert law.alpha.value == pytest.approx(0.0277285, rel=1e-4)
    assert law.beta.value == pytest.approx(0.0001044, abs=5e-8)
    assert law.gamma.value == pytest.approx(89.9952, rel=1e-5)
    assert law.residual == pytest.approx(82.8, abs=0.05)
    quantile = 2.776445105  # of Student's t at 4 degrees of freedom, 97.5 %
    for found, error, digits in (
        (law.alpha, 0.0091217, 1e-3),
        (law.beta, 0.0000199, 5e-3),
        (law.gamma, 14.2134894, 1e-3),
    ):
        assert found.high is not None
        assert (found.high - found.value) / quantile == pytest.approx(error, rel=digits)
    assert law.peak == pytest.approx(96.5, abs=0.05)


def test_the_prediction_is_that_of_r() -> None:
    """The published optimum: about 1880 at 96.5."""
    assert usl.fit(LOAD, THROUGHPUT).at(96.5).value == pytest.approx(1880, abs=5)


LAWS = st.tuples(st.floats(0.5, 500), st.floats(0, 0.5), st.floats(0, 0.02))


@settings(max_examples=20)
@given(LAWS)
def test_a_law_without_noise_is_found_again(law: tuple[float, float, float]) -> None:
    """Whatever it is, its curve is met at sizes measured and not measured."""
    sizes = np.array([1.0, 2, 3, 4, 6, 8, 12])
    values = usl.throughput(np.array(law), sizes)
    found = usl.fit(list(sizes), list(values))
    for size in (1, 5, 10, 16):
        expected = usl.throughput(np.array(law), np.array([float(size)]))[0]
        assert found.at(size).value == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow  # imports SciPy
def test_with_noise_it_is_the_least_squares_of_scipy() -> None:
    """Eight noisy laws: no worse a sum of squares than SciPy's bounded least squares finds."""
    from scipy import optimize

    rng = np.random.default_rng(5)
    sizes = np.array([1.0, 2, 3, 4, 5, 6, 8, 10])
    for _ in range(8):
        theta = np.array([rng.uniform(1, 50), rng.uniform(0, 0.3), rng.uniform(0, 0.01)])
        values = usl.throughput(theta, sizes) * rng.normal(1, 0.05, len(sizes))
        law = usl.fit(list(sizes), list(values))
        ours = np.array([law.gamma.value, law.alpha.value, law.beta.value])
        theirs = optimize.least_squares(
            lambda t, v=values: usl.throughput(t, sizes) - v,
            [values[0], 0.01, 0.001],
            bounds=([0, 0, 0], np.inf),
            x_scale=[values[0], 0.1, 0.01],
            xtol=1e-14,
            ftol=1e-14,
        )
        assert ((usl.throughput(ours, sizes) - values) ** 2).sum() <= 2 * theirs.cost * (1 + 1e-6)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 80 predictions for a size not measured, 95 % intervals hold at least 70 new measurements."""
    rng = np.random.default_rng(3)
    sizes = np.repeat([1.0, 2, 3, 4, 5, 6], 2)
    theta = np.array([10.0, 0.08, 0.004])
    held = 0
    for _ in range(80):
        law = usl.fit(list(sizes), list(usl.throughput(theta, sizes) + rng.normal(0, 0.6, len(sizes))))
        new = usl.throughput(theta, np.array([8.0]))[0] + rng.normal(0, 0.6)
        predicted = law.at(8)
        assert predicted.low is not None
        assert predicted.high is not None
        held += predicted.low <= new <= predicted.high
    assert held >= 70


def test_fewer_than_six_sizes_get_no_intervals() -> None:
    """Repeats at five sizes are still five sizes; many laws go through two, so they are none."""
    law = usl.fit([1, 2, 3, 4, 6] * 3, [10, 19, 27, 34, 45] * 3)
    assert (law.alpha.low, law.at(8).low) == (None, None)
    for few in ([2, 2], [1, 2], [1, 2, 2, 1]):
        with pytest.raises(ValueError, match="at least 3 sizes"):
            usl.fit(few, [1.0] * len(few))


def test_perfect_scaling_has_no_peak() -> None:
    """α and β are 0, and the efficiency is one."""
    law = usl.fit([1, 2, 3, 4, 5, 6], [5, 10, 15, 20, 25, 30])
    assert law.peak is None or law.peak > 1e4
    assert law.efficiency(12) == pytest.approx(1, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 101])
def test_students_quantile_is_that_of_scipy(scipy_stats: ModuleType, freedom: int) -> None:
    """For few and many degrees of freedom."""
    assert usl.student(freedom, 0.95) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), rel=1e-9)
