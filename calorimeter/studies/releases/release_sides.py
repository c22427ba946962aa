"""The sides of the comparison of releases: the lab of each, and the loads of a round."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from calorimeter.core import files
from calorimeter.core.errors import InputError, unknown

LOADS = Path(__file__).parent / "loads"

SHAPE = ("--rest", "1", "--cfn", "1", "--engines", "3")
"""The same for every side. One REST API: its processor time and memory are those of one process tree."""


@dataclass(frozen=True, slots=True)
class ReleaseSide:
    """A release of Heat, and the server of its APIs. `name` is that of its files and of tables."""

    name: str
    heat: str
    serve: str

    @property
    def words(self) -> tuple[str, ...]:
        """The options of `calorimeter lab up`."""
        return (*SHAPE, "--heat", self.heat, "--serve", self.serve)


SIDES = (
    ReleaseSide("24-eventlet", "24", "eventlet"),
    ReleaseSide("24-wsgi", "24", "gunicorn"),
    ReleaseSide("25", "25", "gunicorn"),
    ReleaseSide("26", "26", "gunicorn"),
    ReleaseSide("27", "27", "gunicorn"),
)

PAIRS = (
    ("24-eventlet", "24-wsgi"),
    ("24-wsgi", "25"),
    ("25", "26"),
    ("26", "27"),
    ("24-eventlet", "27"),
)
"""What is compared: each step by itself, and the whole way."""


class RoundLoad(NamedTuple):
    """A load of a round: its scenario, what one unit of its work is called, and how long it is expected."""

    name: str
    unit: str
    expected_s: float

    @property
    def scenario(self) -> Path:
        """The scenario file."""
        return LOADS / f"{self.name}.toml"


EQUAL, LISTS, SHOWS, STACKS = (
    RoundLoad("equal-load", "request", 88.0),
    RoundLoad("closed-list", "list", 18.0),
    RoundLoad("closed-show", "show", 20.0),
    RoundLoad("closed-stacks", "stack", 38.0),
)
ROUND_LOADS = (EQUAL, LISTS, SHOWS, STACKS)

OUTSIDE_LOADS_S = 50.0
"""What a round is expected to take beside its loads: lab up and down, start-up, memory, the trace."""

EXPECTED_S = OUTSIDE_LOADS_S + sum(load.expected_s for load in ROUND_LOADS)

ACTIONS = ("check", "snapshot", "suspend")
"""Actions on one stack whose engines are counted, in this order: a suspended stack takes no snapshot."""


def digests() -> dict[str, str]:
    """Name of each load → a digest of its file: rounds of other loads cannot be compared."""
    contents = ((load.name, files.read(load.scenario)) for load in ROUND_LOADS)
    return {name: hashlib.sha256(content).hexdigest()[:16] for name, content in contents}


def chosen(names: Sequence[str]) -> list[ReleaseSide]:
    """The sides of these names, in the order of the releases (none named: all).

    Raises `InputError` for a name that is no side's.
    """
    known = {side.name: side for side in SIDES}
    for name in names:
        if name not in known:
            raise unknown("--side", "side", name, known)
    found = [side for side in SIDES if not names or side.name in names]
    if len(found) < 2:
        valid = f"valid: two or more of {', '.join(known)}"
        raise InputError("--side", f"only {found[0].name} given", valid)
    return found
