"""The schedule of open arrivals against theory."""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.load.arrivals.due_times import RateProfile, schedule
from calorimeter.workload.stages import Stage

STAGE = st.builds(
    Stage,
    duration_s=st.floats(0.5, 30),
    rate_per_s=st.one_of(st.just(0.0), st.floats(0.5, 300)),
    ramp=st.booleans(),
)
STAGES = st.lists(STAGE, min_size=1, max_size=5).filter(lambda stages: any(s.level for s in stages))


def times_s(stages: list[Stage], spacing: str, seed: int = 1, workers: int = 1) -> list[np.ndarray]:
    """All arrivals of each worker, in seconds after the start."""
    rates = RateProfile(stages)
    parts = (
        schedule(rates, spacing=spacing, seed=seed, worker=worker, workers=workers)
        for worker in range(workers)
    )
    return [np.array([at for due in part for at in due.at_ns]) / 1e9 for part in parts]


def expected_until(stages: list[Stage], at_s: float) -> float:
    """Λ(at_s), summed stage by stage."""
    total = before = 0.0
    for stage in stages:
        begin = before if stage.ramp else stage.level
        into = min(max(at_s, 0.0), stage.duration_s)
        total += begin * into + (stage.level - begin) * into**2 / (2 * stage.duration_s)
        at_s, before = at_s - stage.duration_s, stage.level
    return total


@settings(max_examples=30)
@given(stages=STAGES)
def test_even_spacing_is_one_arrival_for_each_that_is_expected(stages: list[Stage]) -> None:
    """Evenly spaced, the k-th arrival is due exactly when k are to be expected, in steps and ramps."""
    (found,) = times_s(stages, "constant")
    assert len(found) == ceil(RateProfile(stages).expected)
    for number in range(0, len(found), max(1, len(found) // 50)):
        assert expected_until(stages, found[number]) == pytest.approx(number, abs=1e-4)


@settings(max_examples=12)
@given(stages=STAGES, spacing=st.sampled_from(["poisson", "constant"]), workers=st.integers(2, 4))
def test_workers_share_the_schedule_of_one(stages: list[Stage], spacing: str, workers: int) -> None:
    """Any number of workers have, together, the arrivals of one alone, in order, each within the run."""
    (alone,) = times_s(stages, spacing)
    parts = times_s(stages, spacing, workers=workers)
    np.testing.assert_allclose(np.sort(np.concatenate(parts)), alone, atol=1e-6)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part in (alone, *parts):
        assert all(a <= b for a, b in pairwise(part))
        assert not len(part) or part[-1] <= sum(stage.duration_s for stage in stages)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_poisson_arrivals_are_exponentially_spaced(scipy_stats: ModuleType, seed: int) -> None:
    """At a constant rate the times between arrivals are exponential and independent of one another."""
    (found,) = times_s([Stage(duration_s=100, rate_per_s=200)], "poisson", seed)
    gaps = np.diff(found, prepend=0.0)
    assert scipy_stats.kstest(gaps, scipy_stats.expon(scale=1 / 200).cdf).pvalue > 1e-4
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))


@pytest.mark.slow
def test_poisson_counts_vary_as_poisson_counts_do(scipy_stats: ModuleType) -> None:
    """Over many seeds, counts of a run with steps and a ramp have its expectation as mean and variance."""
    stages = [
        Stage(duration_s=5, rate_per_s=20),
        Stage(duration_s=10, rate_per_s=60, ramp=True),
        Stage(duration_s=5, rate_per_s=0),
        Stage(duration_s=5, rate_per_s=10),
    ]
    assert RateProfile(stages).expected == 100 + 400 + 50
    counts = [len(times_s(stages, "poisson", seed)[0]) for seed in range(200)]
    assert scipy_stats.ttest_1samp(counts, 550).pvalue > 1e-4
    # The sum of squares over its expectation is chi-square with 199 degrees of freedom.
    dispersion = np.var(counts, ddof=1) * 199 / 550
    assert 1e-4 < scipy_stats.chi2(199).cdf(dispersion) < 1 - 1e-4


@pytest.mark.slow
def test_poisson_arrivals_follow_a_ramp(scipy_stats: ModuleType) -> None:
    """In a ramp from nothing, the arrivals are distributed as the parabola of the expected count."""
    found = np.concatenate(
        [
            times_s([Stage(duration_s=10, rate_per_s=100, ramp=True)], "poisson", seed)[0]
            for seed in range(8)
        ]
    )
    assert scipy_stats.kstest(found, lambda at: (at / 10) ** 2).pvalue > 1e-4


def test_nothing_is_due_while_the_rate_is_zero() -> None:
    """A stage without arrivals has none, and the next stage begins at its time."""
    stages = [Stage(duration_s=2, rate_per_s=50), Stage(duration_s=3, rate_per_s=0)]
    stages.append(Stage(duration_s=2, rate_per_s=50))
    for spacing in ("poisson", "constant"):
        (found,) = times_s(stages, spacing)
        assert not ((found > 2) & (found < 5)).any()
        assert (found >= 5).sum() > 60


def test_same_seed_same_schedule_and_kinds_by_weight() -> None:
    """A seed gives its times again, another one others; kinds come by their weights."""
    rates = RateProfile([Stage(duration_s=100, rate_per_s=100)])
    runs = [list(schedule(rates, spacing="poisson", seed=seed, shares=(2, 1))) for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]
    kinds = np.array([kind for due in runs[0] for kind in due.kinds])
    assert abs((kinds == 0).mean() - 2 / 3) < 3.9 * np.sqrt(2 / 9 / len(kinds))  # p > 1e-4
