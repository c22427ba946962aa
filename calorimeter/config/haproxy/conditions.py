"""`.if` … `.endif` in HAProxy configuration: which lines are active."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from calorimeter.config.haproxy.variables import Variables
from calorimeter.core.bounds import is_digits

_DEFINED = re.compile(r"(!?)\s*defined\(\s*(\w+)\s*\)", re.ASCII)


def holds(condition: str, variables: Mapping[str, str]) -> bool | None:
    """Whether a condition holds; None if only HAProxy can decide (its version, its features)."""
    condition = condition.strip()
    if condition in ("", "0", "false"):
        return False
    if condition == "true" or is_digits(condition):
        return True
    if match := _DEFINED.fullmatch(condition):
        return (match[2] in variables) != bool(match[1])
    return None


@dataclass(slots=True)
class _Block:
    active: bool
    taken: bool
    outer: bool


@dataclass(slots=True)
class Conditions:
    """The open `.if` blocks while a file is read.

    A condition that only HAProxy can decide counts as true, so that an audit sees the larger configuration.
    """

    variables: Variables
    blocks: list[_Block] = field(default_factory=list)

    def step(self, words: tuple[str, ...]) -> bool:
        """Read the words of the next line; return whether the line is an active statement."""
        keyword = words[0] if words else ""
        if keyword == ".if":
            outer = self._active
            here = outer and holds(" ".join(words[1:]), self.variables) is not False
            self.blocks.append(_Block(here, here, outer))
        elif keyword in (".elif", ".else") and self.blocks:
            block = self.blocks[-1]
            met = keyword == ".else" or holds(" ".join(words[1:]), self.variables) is not False
            block.active = block.outer and not block.taken and met
            block.taken = block.taken or block.active
        elif keyword == ".endif" and self.blocks:
            self.blocks.pop()
        return self._active and not keyword.startswith(".")

    @property
    def _active(self) -> bool:
        return not self.blocks or self.blocks[-1].active
