"""The sequential test: false alarms on healthy loads, breaches that are found, spikes that are not."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.statistics import LEAST_BATCHES, ProvenExcess, SequentialRatio, looks_within
from tests.core.statistics.test_trends import wandering

ERROR = 0.01
BLOCKS = 360
"""Thirty-six minutes of blocks of six seconds."""

P_ALLOWED = ERROR / looks_within(BLOCKS)
LOADS = 400


def first(blocks: Iterable[tuple[int, int]], allowed: float = 0.01) -> tuple[int, ProvenExcess] | None:
    """The number of the block at which a load is ended, and why; None if it is not."""
    test = SequentialRatio(allowed, P_ALLOWED)
    for number, (requests, beyond) in enumerate(blocks, 1):
        if (proven := test.add(requests, beyond)) is not None:
            return number, proven
    return None


def load(rng: np.random.Generator, ratio: float, rho: float, spread: float) -> list[tuple[int, int]]:
    """Blocks of 300 requests whose ratio beyond the limit wanders (log-normal, AR(1)) around its mean."""
    level = spread * wandering(rng, rho, BLOCKS) - spread**2 / 2
    shares = np.clip(ratio * np.exp(level), 0, 1)
    return [(300, int(beyond)) for beyond in rng.binomial(300, shares)]


@pytest.mark.parametrize(
    ("allowed", "rho", "spread"),
    [(0.01, 0.0, 0.0), (0.05, 0.0, 0.5), (0.01, 0.5, 1.0), (0.05, 0.8, 0.5), (0.5, 0.8, 0.2)],
)
def test_loads_that_just_hold_are_hardly_ever_ended(allowed: float, rho: float, spread: float) -> None:
    """The ratio is exactly what is allowed, the worst case that still holds: at most the error is ended.

    Of 400 loads 4 are expected at most; 10 or more have a probability of 0.8 % then.
    """
    rng = np.random.default_rng(int(1000 * allowed + 10 * rho))
    ended = sum(first(load(rng, allowed, rho, spread), allowed) is not None for _ in range(LOADS))
    assert ended < 10


def test_excursions_of_minutes_end_more_loads_than_is_stated() -> None:
    """Neighbouring blocks that correlate by 0.95 break the assumption: up to one in ten at the limit."""
    rng = np.random.default_rng(9)
    ended = sum(first(load(rng, 0.5, 0.95, 0.2), 0.5) is not None for _ in range(LOADS))
    assert 4 < ended <= LOADS / 10


@pytest.mark.parametrize(("rho", "spread"), [(0.0, 0.0), (0.5, 0.5), (0.8, 0.5)])
def test_healthy_loads_are_never_ended(rho: float, spread: float) -> None:
    """Half of what is allowed."""
    rng = np.random.default_rng(7)
    assert all(first(load(rng, 0.005, rho, spread)) is None for _ in range(LOADS))


@pytest.mark.parametrize(("ratio", "within"), [(0.02, 120), (0.05, 64), (0.3, 64)])
def test_a_breach_is_found(ratio: float, within: int) -> None:
    """Fifty requests a second: twice what is allowed within 12 minutes, five times within 6.4."""
    rng = np.random.default_rng(8)
    for rho in (0.0, 0.5):
        found = [first(load(rng, ratio, rho, 0.3)) for _ in range(50)]
        assert sum(each is not None and each[0] <= within for each in found) >= 45


@given(st.integers(0, BLOCKS), st.integers(1, 5), st.integers(1, 1000), st.floats(0, 0.005))
def test_a_short_spike_ends_nothing(at: int, length: int, requests: int, ratio: float) -> None:
    """Up to 30 s in which every request fails, anywhere, also at the very beginning."""
    healthy = (requests, int(requests * ratio))
    blocks = [(requests, requests) if at <= k < at + length else healthy for k in range(BLOCKS)]
    assert first(blocks) is None


def test_a_deployment_that_is_too_slow_throughout_ends_a_load_at_the_first_look() -> None:
    """All requests, or nearly all, beyond the limit for 80 s."""
    found = first((100, 100 - k % 3) for k in range(BLOCKS))
    assert found is not None
    assert (found[0], found[1].batches, found[1].batch) == (LEAST_BATCHES, LEAST_BATCHES, 1)


def test_half_of_the_time_ends_a_load() -> None:
    """A deployment that fails every other minute is found once batches are longer than its rhythm."""
    found = first((100, 100 if k // 10 % 2 else 0) for k in range(BLOCKS))
    assert found is not None
    number, proven = found
    assert number * 6 <= 1200
    assert proven.p <= proven.p_allowed == P_ALLOWED


@given(st.integers(1, 400_000))
def test_looks_are_counted(blocks: int) -> None:
    """As many as the test takes: 0 below sixteen blocks, four more for each doubling."""
    looks = looks_within(blocks)
    assert looks == 0 if blocks < LEAST_BATCHES else looks >= 1
    assert looks <= 4 * (1 + max(0.0, math.log2(blocks / LEAST_BATCHES)))
    assert looks_within(blocks + 1) - looks in (0, 1)


def test_a_load_is_looked_at_as_often_as_was_counted() -> None:
    """The error of a load is shared by exactly these looks."""

    class Counting(SequentialRatio):
        looks = 0

        def _look(self) -> ProvenExcess | None:
            self.looks += 1
            return super()._look()

    for blocks in (15, 16, 31, 32, 40, 64, 100, 360, 1440):
        test = Counting(0.01, P_ALLOWED)
        for _ in range(blocks):
            test.add(100, 0)
        assert test.looks == looks_within(blocks), blocks


def test_nothing_at_all_decides_nothing() -> None:
    """Blocks without requests, and blocks that are all alike and good."""
    assert first((0, 0) for _ in range(BLOCKS)) is None
    assert first((10, 0) for _ in range(BLOCKS)) is None
