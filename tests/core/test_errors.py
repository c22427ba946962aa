"""Messages about bad input: one line, bounded, without characters that act on a terminal."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core import shown_text
from calorimeter.core.errors import InputError, nearest, unknown

_PIECES = st.text(st.sampled_from("ab\x1b\n\r\0\u202e\u2066\x9b\udcff é…")).map(lambda text: text * 40)


@given(_PIECES, _PIECES, _PIECES, _PIECES)
def test_a_message_is_one_printable_line(where: str, given: str, valid: str, close: str) -> None:
    """Whatever a file or a command line holds: no escape sequence, no change of direction, no end."""
    message = str(InputError(where, given, valid, close or None))
    assert shown_text.one_line(message) == message
    assert len(InputError("a" * 10**6, "b" * 10**6, "c" * 10**6, "d" * 10**6).args[0]) < 500
    assert len(str(InputError("f", "g" * 10**6, "valid: a"))) < 420


def test_characters_that_do_not_print_are_shown_escaped() -> None:
    """The reader sees what is there."""
    assert str(InputError("f", "\x1b[31m \u202ex\n\0 é", "valid: a")) == (
        "f: \\u001b[31m \\u202ex \\u0000 é; valid: a"
    )


def test_the_begin_and_the_end_of_a_long_name_are_shown() -> None:
    """And what is valid is still said."""
    message = str(unknown("f", "gate", "G" * 5000 + "end", ["A1", "B2"]))
    assert message.startswith("f: unknown gate 'GGG")
    assert message.endswith("GGGend'; valid: A1, B2")


def test_the_nearest_name_of_a_megabyte_is_not_searched() -> None:
    """The comparison takes the square of the length: for a megabyte it took minutes."""
    started = time.process_time()
    assert nearest("a" * 10**6, ["a" * 10**6, "a"]) is None
    nearest("b" * 100, ["a" * 99 + str(number) for number in range(10**5)])
    assert time.process_time() - started < 0.5
    assert nearest("defualt", ["other", "default"]) == "default"
