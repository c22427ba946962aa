"""When work begins: stages of users, or of arrivals per second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import model_validator

from calorimeter.core import bounds
from calorimeter.core.toml import Model, Seconds

Rate = Annotated[float, bounds.RATE]
PositiveRate = Annotated[float, bounds.POSITIVE_RATE]
Users = Annotated[int, bounds.COUNT_OR_NONE]


class Arrivals(Model):
    """Open arrivals: an operation begins when it is due, whether or not earlier ones have ended.

    `rate_per_s` holds for the whole run; without it, the stages set the rate. `spacing` is `poisson`
    (independent clients: exponentially distributed intervals) or `constant` (equal intervals).
    """

    rate_per_s: PositiveRate | None = None
    spacing: Literal["poisson", "constant"] = "poisson"


class Stage(Model):
    """A part of a run: for `duration_s`, either `users` or arrivals at `rate_per_s`.

    With `ramp` the level changes linearly from that of the stage before (0 for the first stage) and is
    reached at the end of the stage. Without, it holds from the beginning of the stage.
    """

    duration_s: Seconds
    users: Users | None = None
    rate_per_s: Rate | None = None
    ramp: bool = False

    @model_validator(mode="after")
    def _one_level(self) -> Stage:
        if (self.users is None) == (self.rate_per_s is None):
            raise ValueError("a stage has either users or rate_per_s")
        return self

    @property
    def level(self) -> float:
        """The number of users, or of arrivals per second."""
        return float(self.users if self.users is not None else self.rate_per_s or 0)


def check(stages: Sequence[Stage], arrivals: Arrivals | None) -> None:
    """Raise ValueError for stages that contradict one another or `arrivals`."""
    if arrivals is not None and arrivals.rate_per_s is None and not stages:
        raise ValueError("arrivals need a rate_per_s, or stages that have one")
    if not stages:
        return
    of_rate = sum(stage.rate_per_s is not None for stage in stages)
    if of_rate not in (0, len(stages)):
        raise ValueError("stages have either all users or all rate_per_s")
    if arrivals is not None and not of_rate:
        raise ValueError("[arrivals] contradicts stages of users; give the stages rate_per_s")
    if arrivals is not None and arrivals.rate_per_s is not None:
        raise ValueError("rate_per_s is given in the stages or in [arrivals], not in both")
    if not any(stage.level for stage in stages):
        raise ValueError("no stage has a user or an arrival")


def cut(stages: Sequence[Stage], duration_s: float) -> tuple[Stage, ...]:
    """The same stages with this total duration: the last ones cut, or the last level held for longer."""
    left, before, fitting = duration_s, 0.0, []
    for stage in stages:
        if stage.duration_s >= left:
            share = left / stage.duration_s
            level = before + (stage.level - before) * share if stage.ramp else stage.level
            fitting.append(_with(stage, left, level))
            return tuple(fitting)
        fitting.append(stage)
        left, before = left - stage.duration_s, stage.level
    last = stages[-1]
    return (*fitting, _with(last.model_copy(update={"ramp": False}), left, last.level))


def level_at(stages: Sequence[Stage], at_s: float) -> float | None:
    """The level at a moment of the run, None after its end."""
    before = 0.0
    for stage in stages:
        if at_s < stage.duration_s:
            return before + (stage.level - before) * at_s / stage.duration_s if stage.ramp else stage.level
        at_s, before = at_s - stage.duration_s, stage.level
    return None


def ramps(stages: Sequence[Stage]) -> list[tuple[float, float]]:
    """When the level changes linearly: begin and end of each ramp, in seconds of the run."""
    found, at_s = [], 0.0
    for stage in stages:
        if stage.ramp:
            found.append((at_s, at_s + stage.duration_s))
        at_s += stage.duration_s
    return found


def _with(stage: Stage, duration_s: float, level: float) -> Stage:
    kind: dict[str, float] = {"users": round(level)} if stage.users is not None else {"rate_per_s": level}
    return stage.model_copy(update={"duration_s": duration_s, **kind})
