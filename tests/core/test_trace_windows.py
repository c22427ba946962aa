"""`--trace-windows 5x2s`: what it means, and where in a load the windows are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.trace_windows import TraceWindows

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "count", "length_s"),
    [("5x2s", 5, 2.0), ("5×2s", 5, 2.0), ("1x500ms", 1, 0.5), ("3x1", 3, 1.0), ("10x1m", 10, 60.0)],
)
def test_a_number_and_a_length(text: str, count: int, length_s: float) -> None:
    """The length is written as other durations are."""
    assert TraceWindows.parse(text) == TraceWindows(count, length_s)
    assert TraceWindows.parse(str(TraceWindows(count, length_s))) == TraceWindows(count, length_s)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "x2s",
        "5x",
        "0x2s",
        "1001x2s",
        "5x0.1s",
        "5x61s",
        "-1x2s",
        "5x2sx",
        "5 x 2s",
        "²x2s",
        "5xnan",
    ],
)
def test_anything_else_is_refused_with_what_is_valid(text: str) -> None:
    """One line that names a range."""
    with pytest.raises(ValueError, match=r"^valid: a.* from "):
        TraceWindows.parse(text)


def test_windows_are_in_the_middle_of_equal_parts() -> None:
    """Of a load of 60 s with 10 s of warm-up."""
    plan = TraceWindows(5, 2.0).within(10.0, 60.0)
    assert plan.windows(1000 * S) == [(1000 + at) * S for at in (14, 24, 34, 44, 54)]


def test_windows_that_do_not_fit_are_refused() -> None:
    """Before the load begins."""
    with pytest.raises(InputError, match="5x10s are 50 s, and the load after its warm-up lasts 40 s"):
        TraceWindows(5, 10.0).within(20.0, 60.0)


@given(st.integers(1, 50), st.floats(0.5, 60), st.floats(0, 100), st.floats(0, 1000))
def test_windows_do_not_overlap_and_lie_after_the_warm_up(
    count: int, length_s: float, warm_up_s: float, more_s: float
) -> None:
    """Whatever their number and length."""
    duration_s = warm_up_s + count * length_s + more_s
    try:
        begins = TraceWindows(count, length_s).within(warm_up_s, duration_s).windows(0)
    except InputError:  # the sum of floats was rounded down
        return
    slack = 1000
    assert begins[0] >= warm_up_s * S - slack
    assert begins[-1] + length_s * S <= duration_s * S + slack
    for one, next_one in itertools.pairwise(begins):
        assert one + length_s * S <= next_one + slack
