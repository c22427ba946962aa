"""The search for capacity, against systems whose capacity is known."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.studies.backlog_growth import backlog, present
from calorimeter.studies.level_search import MOST_PROBES, SearchPlan, search, sweep

CAPACITY = st.floats(0.5, 5000)
START = st.floats(0.5, 500)


@given(capacity=CAPACITY, start=START, precision=st.sampled_from([0.05, 0.1, 0.25]))
def test_a_known_capacity_is_found_to_the_precision(
    capacity: float, start: float, precision: float
) -> None:
    """From above or below: what is given holds, and what is not much higher breaks."""
    found = search(
        SearchPlan(start, 0.01, 1e6, precision), lambda x: x <= capacity, lambda x: x <= capacity
    )
    assert found.capacity is not None
    assert found.broken is not None
    assert found.capacity <= capacity < found.broken
    assert found.broken / found.capacity <= (1 + precision) * 1.01
    assert found.confirmed


@given(capacity=st.integers(1, 3000), start=st.integers(1, 400))
def test_whole_levels_stay_whole(capacity: int, start: int) -> None:
    """Users are counted, and few of them exactly."""
    plan = SearchPlan(start, 1, 100_000, 0.1, whole=True)
    found = search(plan, lambda x: x <= capacity, lambda x: x <= capacity)
    assert found.capacity is not None
    assert found.broken is not None
    assert all(level == int(level) for level, _ in found.probed)
    assert found.capacity <= capacity < found.broken
    assert found.broken - found.capacity <= max(1, 0.11 * found.capacity + 1)


def noisy(capacity: float, spread: float, random: Random) -> tuple[list[float], object]:
    """A system that breaks the likelier the nearer a level is to its capacity."""
    held: list[float] = []

    def probe(level: float) -> bool:
        held.append(level)
        x = (capacity - level) / (spread * capacity)
        return random.random() < 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))

    return held, probe


@settings(max_examples=50)
@given(capacity=st.floats(2, 1000), seed=st.integers(0, 10**9))
def test_noise_near_the_limit_moves_the_answer_little(capacity: float, seed: int) -> None:
    """With a limit blurred by 2 %, the answer is within 30 % below and 15 % above it, and ends."""
    _, probe = noisy(capacity, 0.02, Random(seed))
    found = search(SearchPlan(1, 0.01, 1e6), probe, probe)  # type: ignore[arg-type]
    assert found.capacity is not None
    assert 0.7 * capacity <= found.capacity <= 1.15 * capacity
    assert len(found.probed) <= MOST_PROBES + 1


def test_one_hiccup_does_not_halve_the_answer() -> None:
    """A level that broke once and holds when it is probed again is passed."""
    seen: list[float] = []

    def probe(level: float) -> bool:
        seen.append(level)
        return level <= 100 and not (level == 8 and seen.count(8.0) == 1)

    found = search(SearchPlan(1, 0.1, 1e6), probe, lambda level: level <= 100)
    assert found.capacity is not None
    assert 90 <= found.capacity <= 100


def test_a_level_that_does_not_hold_for_long_is_left() -> None:
    """Probes that flatter are corrected by the hold."""
    found = search(SearchPlan(1, 0.1, 1e6), lambda level: level <= 120, lambda level: level <= 100)
    assert found.capacity is not None
    assert 85 <= found.capacity <= 100
    assert found.confirmed


def test_nothing_holds_and_everything_holds() -> None:
    """No capacity where the least level breaks; no broken level where the most holds."""
    nothing = search(SearchPlan(8, 1, 100), lambda _: False, lambda _: False)
    assert (nothing.capacity, nothing.broken) == (None, 1)
    everything = search(SearchPlan(8, 1, 100), lambda _: True, lambda _: True)
    assert (everything.capacity, everything.broken) == (100, None)


@given(st.floats(1, 1000))
def test_the_sweep_goes_around_the_capacity(capacity: float) -> None:
    """From half of it to half more, without what was tried."""
    plan = SearchPlan(1, 0.1, 1e6)
    levels = sweep(capacity, [capacity, capacity * 1.26], plan)
    assert len(levels) == 3
    assert min(levels) < 0.52 * capacity
    assert max(levels) > 1.48 * capacity


@settings(max_examples=20)
@given(mean=st.floats(0.5, 50), seed=st.integers(0, 10**6))
def test_a_steady_queue_seldom_grows(mean: float, seed: int) -> None:
    """A series of 30 independent Poisson numbers does not grow by the rule in any of these."""
    random = Random(seed)
    values = [float(sum(random.random() < mean / 1000 for _ in range(1000))) for _ in range(30)]
    assert not backlog("q", values).grows


@given(slope=st.floats(0.5, 20))
def test_a_queue_that_grows_by_one_every_two_looks_is_found(slope: float) -> None:
    """Thirty values suffice."""
    assert backlog("q", [slope * n for n in range(30)]).grows


def test_a_queue_that_empties_and_one_hardly_seen_do_not_grow() -> None:
    """Falling is no growth; five values are too few to decide."""
    assert not backlog("q", [30.0 - n for n in range(30)]).grows
    assert not backlog("q", [0, 50, 100, 150, 200]).grows
    assert not backlog("q", []).grows


INTERVAL = st.tuples(st.integers(1, 100), st.integers(0, 50)).map(
    lambda t: (t[0], t[0] + t[1] if t[1] else 0)
)


@given(st.lists(INTERVAL, max_size=20))
def test_how_many_are_present_is_counted(intervals: list[tuple[int, int]]) -> None:
    """As by looking at each interval at each time."""
    times = list(range(0, 160, 7))
    counted = present(*np.array(intervals, dtype=np.int64).reshape(-1, 2).T, np.array(times)).tolist()
    assert counted == [sum(a <= t and (not b or t < b) for a, b in intervals) for t in times]
