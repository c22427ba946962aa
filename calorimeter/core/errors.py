"""Input that cannot be used, said in one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Something given to the suite cannot be used; commands print it and exit with status 2.

    The message is one line that says where, what was given, what is valid and, where there is one,
    the nearest valid name.
    """

    def __init__(
        self,
        where: str,
        given: str,
        valid: str = "",
        nearest: str | None = None,
    ) -> None:
        self.where = where
        self.given = given
        self.valid = valid
        self.nearest = nearest
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.given}"
        if self.valid:
            line += f"; {self.valid}"
        if self.nearest:
            line += f"; did you mean {self.nearest!r}?"
        return " ".join(line.split())


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name closest to `name`, or None where none is close."""
    matches = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(where: str, kind: str, name: str, valid: Iterable[str]) -> InputError:
    """An `InputError` for a name that is not among the valid ones."""
    names = sorted(valid)
    return InputError(where, f"unknown {kind} {name!r}", f"valid: {', '.join(names)}", nearest(name, names))
