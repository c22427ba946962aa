"""Growth of counters within a window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.live.windowed_counts import KEPT_NS, WindowedCounts

S = 10**9


def test_the_first_poll_is_where_counting_begins() -> None:
    """What was counted before anybody watched is no growth."""
    counts: WindowedCounts[str] = WindowedCounts()
    counts.add("p", 10 * S, {"a": 500})
    assert counts.grown(11 * S) == {}
    counts.add("p", 11 * S, {"a": 507, "b": 3})  # b is new: it began at 0
    assert counts.grown(12 * S) == {"a": 7, "b": 3}
    assert counts.first_ns == 10 * S


def test_a_counter_that_fell_counts_from_0() -> None:
    """A restart resets counters."""
    counts: WindowedCounts[str] = WindowedCounts()
    for second, value in enumerate((100, 110, 4, 6)):
        counts.add("p", second * S, {"a": value})
    assert counts.grown(4 * S) == {"a": 10 + 4 + 2}


def test_each_scope_begins_by_itself() -> None:
    """A second proxy that answers later brings no burst."""
    counts: WindowedCounts[str] = WindowedCounts()
    counts.add("p", 0, {"a": 1})
    counts.add("q", 5 * S, {"b": 1_000_000})
    counts.add("q", 6 * S, {"b": 1_000_001})
    assert counts.grown(7 * S) == {"b": 1}


def test_growth_leaves_the_window() -> None:
    """After the window's length, a step is over."""
    counts: WindowedCounts[str] = WindowedCounts(window_s=10)
    counts.add("p", 0, {"a": 0})
    counts.add("p", 5 * S, {"a": 3})
    assert counts.grown(14 * S) == {"a": 3}
    assert counts.grown(15 * S) == {}


def test_a_counter_that_is_missing_for_a_poll_goes_on() -> None:
    """The management API leaves a channel out now and then; only after ten minutes it is forgotten."""
    counts: WindowedCounts[str] = WindowedCounts(window_s=3600)
    counts.add("b", 0, {"a": 100, "b": 0})
    counts.add("b", S, {"b": 0})
    counts.add("b", 2 * S, {"a": 101, "b": 0})
    assert counts.grown(3 * S) == {"a": 1}
    counts.add("b", 3 * S + KEPT_NS, {})
    counts.add("b", 4 * S + KEPT_NS, {"a": 102})
    assert counts.grown(5 * S + KEPT_NS) == {"a": 1 + 102}


@given(st.lists(st.integers(0, 1000), max_size=200), st.integers(1, 60))
def test_growth_is_the_sum_of_the_steps_in_the_window(steps: list[int], window_s: int) -> None:
    """For any steps, one a second: those of the last `window_s` seconds."""
    counts: WindowedCounts[str] = WindowedCounts(window_s)
    value = 77
    counts.add("p", 0, {"a": value})
    for second, step in enumerate(steps, 1):
        value += step
        counts.add("p", second * S, {"a": value})
    assert counts.grown(len(steps) * S)["a"] == sum(steps[-window_s:])
