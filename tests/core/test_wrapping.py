"""Sentences and commands on lines of a terminal's width."""

from __future__ import annotations

import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import wrapping


def test_a_sentence_breaks_between_words() -> None:
    """No line is longer than the width, hyphens do not break, and a long word stays whole."""
    lines = wrapping.sentence(f"note: {'--rest-url ' * 20}{'x' * 120}")
    assert all(len(line) <= wrapping.WIDTH for line in lines[:-1])
    assert lines[-1] == f"    {'x' * 120}"
    assert not any(line.endswith("-") for line in lines)


def test_a_command_breaks_before_options() -> None:
    """An option stays on one line with its value."""
    lines = wrapping.command(
        ["describe", "--proxy", "p" * 60, "--heat-conf", "{host}=a b"], ["--log URL -x Y"]
    )
    assert lines == [
        f"describe --proxy {'p' * 60} \\",
        "    --heat-conf '{host}=a b' --log URL -x Y",
    ]


@settings(max_examples=50)
@given(
    st.lists(st.text(st.sampled_from("ab-={}*' \\$\n"), min_size=1, max_size=60), min_size=1, max_size=12)
)
def test_a_pasted_command_has_the_same_words(words: list[str]) -> None:
    """A shell that reads the lines gets the words that were given."""
    assert shlex.split("\n".join(wrapping.command(words)).replace(" \\\n    ", " ")) == words
