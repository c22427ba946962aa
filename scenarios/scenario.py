"""A scenario: what users do, how many, for how long, and what is promised about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, model_validator

from calorimeter.deployment import Count, Seconds
from calorimeter.faults.schedule import Fault
from calorimeter.toml import Model

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Load(Model):
    """What the users of one API do.

    `users` is their share among all users. `mix` gives each operation its weight; an operation that is not
    possible at the moment (show without a stack, create with `stacks_per_user` there) is left out of the
    draw. `template` is a file beside the scenario, or one of `scenarios/templates/`.
    """

    users: Weight = 1.0
    mix: dict[str, Weight] = Field(min_length=1)
    template: str
    stacks_per_user: Count = 2

    _template: str = PrivateAttr(default="")

    @property
    def template_text(self) -> str:
        """The template's text, once the scenario is loaded."""
        return self._template


class Timeouts(Model):
    """How long a request may take: to connect, to the answer's first byte, and as a whole."""

    connect_s: Seconds = 5.0
    first_byte_s: Seconds = 70.0
    whole_s: Seconds = 90.0


class Objective(Model):
    """A promise about one operation (`rest.list`), or about everything (`*`), judged from the raw samples.

    Latencies are response times in milliseconds; `max_error_ratio` is of all requests; `min_per_s` is of
    successful ones.
    """

    operation: str = "*"
    p50_ms: Seconds | None = None
    p95_ms: Seconds | None = None
    p99_ms: Seconds | None = None
    max_error_ratio: Ratio | None = None
    min_per_s: Seconds | None = None


class Scenario(Model):
    """One workload. Times are seconds.

    `think_s` is the shortest and the longest pause of a user between two operations. After a create the
    user looks every `poll_s` until the stack is complete, for at most `complete_within_s`; after a delete
    likewise until it is gone. Requests of the first `warm_up_s` are recorded as phase `warm_up`, and what
    users do to remove their stacks at the end, for at most `clean_up_s`, as `clean_up`; all others are
    `load`. `fault` are what `calorimeter run` breaks meanwhile: part and fault, `at_s` after the begin of
    the command, for `for_s`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    about: str
    seed: int = 1
    users: Count
    spawn_per_s: Seconds = 10.0
    duration_s: Seconds
    warm_up_s: Pause = 0.0
    think_s: tuple[Pause, Pause] = (0.0, 0.0)
    poll_s: Seconds = 0.5
    complete_within_s: Seconds = 120.0
    clean_up_s: Seconds = 60.0
    timeouts: Timeouts = Timeouts()
    rest: Load | None = None
    cfn: Load | None = None
    objectives: tuple[Objective, ...] = ()
    fault: tuple[Fault, ...] = ()

    _path: Path = PrivateAttr(default=Path("scenario.toml"))

    @model_validator(mode="after")
    def _makes_sense(self) -> Scenario:
        if self.rest is None and self.cfn is None:
            raise ValueError("a scenario needs a [rest] or a [cfn] table, or both")
        if self.think_s[0] > self.think_s[1]:
            raise ValueError("think_s is [shortest, longest]")
        if self.warm_up_s >= self.duration_s:
            raise ValueError(
                f"warm_up_s ({self.warm_up_s:g}) must be shorter than duration_s ({self.duration_s:g})"
            )
        return self

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._path

    def load(self, api: str) -> Load | None:
        """What users of `rest` or `cfn` do, where there are any."""
        return self.rest if api == "rest" else self.cfn
