"""Errors in the input, each reported as one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from calorimeter.core import shown_text

LONGEST = 400
"""Characters of a message, about: what is given may be a megabyte."""
_PART = 160
_LONGEST_NAME = 100
_MOST_NAMES = 2000


class InputError(Exception):
    """The suite cannot use its input. Commands print the message and exit with status 2.

    The message is one line: where, what was given, what is valid, and the nearest valid name if there is
    one. It is bounded, and what does not print (escape sequences, a change of direction) is shown escaped.
    """

    def __init__(self, where: str, given: str, valid: str = "", nearest: str | None = None) -> None:
        self.where = where
        self.given = given
        self.valid = valid
        self.nearest = nearest
        super().__init__(str(self))

    def __str__(self) -> str:
        where, given, valid = self.where, self.given, f"; {self.valid}" if self.valid else ""
        close = f"; did you mean {shortened(self.nearest, _LONGEST_NAME)!r}?" if self.nearest else ""
        if len(where) + len(given) + len(valid) + len(close) > LONGEST:
            where, given = shortened(where, _PART), shortened(given, _PART)
            valid = shortened(valid, max(60, LONGEST - len(where) - len(given) - len(close)))
        return shown_text.one_line(" ".join(f"{where}: {given}{valid}{close}".split()))


def shortened(text: str, length: int) -> str:
    """The text, or its begin and its end if it is longer."""
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]}…{text[len(text) - length // 3 + 1 :]}"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name closest to `name`, or None if none is close.

    A name that is long has none: the comparison takes the square of the length.
    """
    if len(name) > _LONGEST_NAME:
        return None
    names = [each for each in islice(valid, _MOST_NAMES) if len(each) <= _LONGEST_NAME]
    matches = get_close_matches(name, names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(where: str, kind: str, name: str, valid: Iterable[str]) -> InputError:
    """An InputError for a name that is not among the valid ones."""
    names = sorted(valid)
    return InputError(where, f"unknown {kind} {name!r}", f"valid: {', '.join(names)}", nearest(name, names))
