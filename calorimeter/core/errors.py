"""Errors in the input, each reported as one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_GIVEN = 500
"""Characters of what was given in a message: the rest would hide what is valid."""


class InputError(Exception):
    """The suite cannot use its input. Commands print the message and exit with status 2.

    The message is one line: where, what was given, what is valid, and the nearest valid name if there is
    one.
    """

    def __init__(self, where: str, given: str, valid: str = "", nearest: str | None = None) -> None:
        self.where = where
        self.given = given
        self.valid = valid
        self.nearest = nearest
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{_short(self.where)}: {_short(self.given)}"
        if self.valid:
            line += f"; {_short(self.valid)}"
        if self.nearest:
            line += f"; did you mean {self.nearest!r}?"
        return " ".join(line.split())


def _short(text: str, longest: int = 1500) -> str:
    """Text with its middle left out if it is too long to be read."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name closest to `name`, or None if none is close."""
    matches = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(where: str, kind: str, name: str, valid: Iterable[str]) -> InputError:
    """An InputError for a name that is not among the valid ones."""
    names = sorted(valid)
    return InputError(where, f"unknown {kind} {name!r}", f"valid: {', '.join(names)}", nearest(name, names))
