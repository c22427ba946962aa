"""JSON from anybody: values that the suite can use without doubts, or one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Amount, Count, Time
from calorimeter.core.toml import Model


class Small(Model):
    """A record with one number of each kind."""

    t_ns: Time
    n: Count
    rate: Amount


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1e999", "1e999 is too large for a number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("18446744073709551616", "has more than 64 bits"),
        ("1" * 1_000_000, "has more than 64 bits"),
        ("[" * 101 + "]" * 101, "nested too deeply"),
        ('{"a":' * 200 + "1" + "}" * 200, "nested too deeply"),
        (r'"\ud800"', "surrogates not allowed"),
        (r'{"\udfff": 1}', "surrogates not allowed"),
    ],
)
def test_values_that_no_file_of_the_suite_has(text: str, problem: str) -> None:
    """Numbers that do not fit, depth that exhausts the stack, half characters that cannot be written."""
    with pytest.raises(InputError, match=problem) as refused:
        files.parse_json(text, "x.json")
    assert len(str(refused.value)) < 200


def test_honest_values_are_what_they_were() -> None:
    """64 bits, whole characters written as two halves, a hundred levels, and a backslash before ud800."""
    assert files.parse_json(r'["\ud83d\ude00", "\\ud800"]', "x") == ["😀", r"\ud800"]
    assert files.parse_json("[18446744073709551615, -1e-400]", "x") == [2**64 - 1, 0.0]
    assert files.parse_json("[" * 100 + "]" * 100, "x")


numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
trees = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40)
@given(trees)
def test_a_tree_is_read_as_python_reads_it_and_a_record_is_whole_or_one_line(tree: object) -> None:
    """Any value is read back; any value is a record of the model, or one line that names the file."""
    assert files.parse_json(json.dumps(tree), "x.json") == tree
    with pytest.raises(InputError, match=r"^x\.json: is damaged: ") as refused:
        recorded_json.validated(tree, Small, "x.json")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "changed",
    [{"t_ns": -1}, {"t_ns": 2**62}, {"n": 2**60}, {"n": 1.5}, {"rate": -1}, {"rate": "1"}, {"x": 1}],
)
def test_a_record_has_numbers_that_a_run_can_have(changed: dict[str, object], tmp_path: Path) -> None:
    """The message names the place."""
    whole = {"t_ns": 1, "n": 2, "rate": 3}
    file = tmp_path / "x.json"
    file.write_text(str({**whole, **changed}).replace("'", '"'))
    with pytest.raises(InputError, match=f"is damaged: {next(iter(changed))}: "):
        recorded_json.record(file, Small, within=tmp_path)
    file.write_text(str(whole).replace("'", '"'))
    assert recorded_json.record(file, Small, within=tmp_path) == Small(t_ns=1, n=2, rate=3)


def test_lines_that_are_damaged_are_none(tmp_path: Path) -> None:
    """One for each line, so that readers can count what they left out."""
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"a": 1}\n\n[]\n{"a": NaN}\n\xff\n{"a": 2}')
    assert list(recorded_json.lines(file, within=tmp_path)) == [{"a": 1}, None, None, None, None, {"a": 2}]
