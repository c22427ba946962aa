"""Procedures of an upgrade: step files in TOML, those of the suite and an owner's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from calorimeter.core import bounds, toml
from calorimeter.core.errors import InputError, nearest
from calorimeter.core.toml import Model, Name

Action = Literal[
    "install", "sync-database", "add-vhost", "remove-vhost",
    "drain", "stop", "start", "undrain", "start-beside", "remove-engine",
    "reload", "reload-alone", "start-again", "await-quiet", "cross", "burst", "run",
]  # fmt: skip
"""What a step does to each of its parts, or once if it has none."""

OF_PARTS: frozenset[Action] = frozenset(
    (
        *("drain", "stop", "start", "undrain", "start-beside", "remove-engine"),
        *("reload", "reload-alone", "start-again"),
    )
)
"""Actions that need parts."""

Parts = Literal[
    "engines", "engines but the last", "last engine",
    "apis", "first apis", "other apis", "other apis but the last", "last api", "proxies", "brokers",
]  # fmt: skip
"""Which parts of a deployment; `first apis` are the first REST API and the first CFN API."""

SHIPPED = Path(__file__).parent / "procedures"


class ProcedureStep(Model):
    """Actions on each of some parts in turn: on the first part all actions in order, then on the next.

    A step waits for each action's effect, `within_s` (s) at most. `may_fail_s` is for how long (s) from its
    begin requests may fail, as the procedure promises. `command` is that of the action `run`. `reversible`:
    `--take-back` takes the step back, and does it again. `times` is how often all of it is done. `why` is
    the procedure's own sentence, or the reason for the step.
    """

    title: Name
    do: tuple[Action, ...] = Field(min_length=1)
    parts: Parts | None = None
    within_s: Annotated[float, bounds.SECONDS] = 120.0
    may_fail_s: Annotated[float, bounds.SECONDS] | Literal[0] = 0
    command: str | None = None
    reversible: bool = False
    times: Annotated[int, bounds.REPEATS] = 1
    why: str = ""

    @model_validator(mode="after")
    def _parts_fit(self) -> ProcedureStep:
        needing = [action for action in self.do if action in OF_PARTS]
        if needing and self.parts is None:
            raise ValueError(f"{needing[0]!r} needs parts; valid: {', '.join(get_args(Parts))}")
        if ("run" in self.do) != (self.command is not None):
            raise ValueError("a command and the action 'run' need one another")
        return self


class Procedure(Model):
    """The steps of an upgrade, in order. `source` says where they are from, `about` what they promise.

    `of` is what is upgraded: only Heat changes its release, and may have a virtual host of its own.
    """

    name: Name
    about: str
    source: str = ""
    of: Literal["heat", "haproxy", "rabbitmq"] = "heat"
    steps: tuple[ProcedureStep, ...] = Field(min_length=1)

    @property
    def own_vhost(self) -> bool:
        """Whether the new release gets a virtual host of its own."""
        return any("add-vhost" in step.do for step in self.steps)


def shipped() -> tuple[str, ...]:
    """The names of the suite's own procedures."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def find(name: str) -> Procedure:
    """The procedure of this name, or in this file. Raises InputError."""
    known = shipped()
    if name in known:
        return toml.read(SHIPPED / f"{name}.toml", Procedure)
    path = Path(name)
    if path.suffix != ".toml":
        valid = f"valid: {', '.join(known)}, or a file that ends in .toml"
        raise InputError("--procedure", f"unknown procedure {name!r}", valid, nearest(name, known))
    return toml.read(path, Procedure)
