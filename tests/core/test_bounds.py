"""Numbers that people write: what is one, what is not, and the sentence that says so."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from calorimeter.core import bounds
from calorimeter.core.bounds import Bounds, is_digits
from calorimeter.core.shown_text import quoted

ALL = {name: each for name, each in vars(bounds).items() if isinstance(each, Bounds)}
NO_NUMBERS = [
    *("", " ", "²", "٣", "½", "1_000", "0x10", "1e999", "nan", "NaN", "inf", "-inf", "-1", "-0", "-0.0"),
    *("9" * 400, "9" * 5000, "+1", "1 2", "1,5", "e", ".", "1e", "１", "0b1"),
]


@pytest.mark.parametrize("name", ALL)
def test_each_kind_of_number_has_two_finite_bounds(name: str) -> None:
    """Both ends are finite, the least is below the most, and the sentence shows both."""
    within = ALL[name]
    assert math.isfinite(within.least) and math.isfinite(within.most) and within.least < within.most
    least, most = within.range.split("..")
    assert str(within).startswith("valid: a ") and f" from {least} to {most}" in str(within)
    assert within.parse(least) == within.least and within.parse(most) == within.most


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_refused_with_the_valid_range(text: str) -> None:
    """No kind of number accepts other digits, underscores, signs, infinity, or more than it can hold."""
    for within in ALL.values():
        if text != "-1" or within.least >= 0:
            with pytest.raises(ValueError, match="^valid: "):
                within.parse(text)
        with pytest.raises(ValueError, match="^valid: "):
            within.parse_time(text)


@given(
    text=st.text(max_size=30) | st.from_regex(r"\d{1,30}(\.\d*)?(e-?\d{1,4})?(ms|s|m|h)?", fullmatch=True)
)
@settings(max_examples=50)
def test_a_text_is_a_number_within_the_bounds_or_refused(text: str) -> None:
    """Whatever the text, there is a finite number within the bounds or a ValueError with the range."""
    for within in (bounds.SECONDS, bounds.COUNT, bounds.RATE, bounds.MOMENT):
        for read in (within.parse, within.parse_time) if not within.whole else (within.parse,):
            try:
                number = read(text)
            except ValueError as problem:
                assert str(problem).startswith("valid: "), text
            else:
                assert within.least <= number <= within.most and text.isascii()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("60s", 60), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400), ("1e-05", 1e-5), (".5s", 0.5)],
)
def test_a_time_is_in_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    """Also as Python writes a float: a series passes durations on to its runs."""
    assert bounds.SECONDS.parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    ["NaN", "Infinity", "-0.0", "1e999", "9" * 400, '"1"', "true", "null", "[1]", "-1", "2147484", "[]"],
)
def test_a_field_of_a_file_refuses_with_the_same_sentence(written: str) -> None:
    """A type, a sign and a size that are wrong are one kind of mistake in a file: one sentence."""
    with pytest.raises(ValidationError, match="valid: a number of seconds from 0 to 2147483.647"):
        TypeAdapter(Annotated[float, bounds.MOMENT]).validate_json(written, strict=True)


def test_the_sentence_says_where_a_limit_comes_from() -> None:
    """What is not plain is explained."""
    assert str(bounds.HAPROXY_WEIGHT) == "valid: a whole number from 0 to 256 (HAProxy's weights)"
    with pytest.raises(ValueError, match=r"from 0 to 256 \(HAProxy's weights\)"):
        bounds.HAPROXY_WEIGHT.check(257)


@pytest.mark.parametrize(
    ("text", "digits"), [("12", True), ("²", False), ("٣", False), ("", False), ("-1", False)]
)
def test_digits_are_ascii(text: str, digits: bool) -> None:
    """`int` does not read `²`, and reads `٣` as 3."""
    assert is_digits(text) is digits


@pytest.mark.parametrize("given_", ["x" * 5000, 9])
def test_what_was_given_is_shown_in_part(given_: Any) -> None:
    """A message of 5,000 characters would hide the valid range."""
    assert len(quoted(given_)) < 80
