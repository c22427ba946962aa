"""A scenario: what users do, how many, for how long, and what is promised about it."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from calorimeter.core.deployment import Count, Seconds
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import Fault
from calorimeter.core.toml import Model
from calorimeter.workload import stages as open_arrivals
from calorimeter.workload.stages import Arrivals, Stage
from calorimeter.workload.template import Template

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Load(Model):
    """What the users of one API do.

    `users` is their share among all users. `mix` gives each operation its weight; an operation that is not
    possible at the moment (show without a stack, create with `stacks_per_user` there) is left out of the
    draw. `template` is a file beside the scenario, or one of `scenarios/templates/`; of several,
    each create takes one at random.
    """

    users: Weight = 1.0
    mix: dict[str, Weight] = Field(min_length=1)
    template: str | tuple[str, ...]
    stacks_per_user: Count = 2

    _templates: tuple[Template, ...] = PrivateAttr(default=())

    @property
    def template_names(self) -> tuple[str, ...]:
        """As the file gives them."""
        return (self.template,) if isinstance(self.template, str) else self.template

    @property
    def templates(self) -> tuple[Template, ...]:
        """What was read of them, once the scenario is loaded."""
        return self._templates


class Timeouts(Model):
    """How long a request may take: to connect, to the answer's first byte, and as a whole."""

    connect_s: Seconds = 5.0
    first_byte_s: Seconds = 70.0
    whole_s: Seconds = 90.0


class Tenants(Model):
    """Projects among which the users are split, each with a user and credentials of its own.

    They are those that the deployment gives as `[[tenants]]`; where it gives none, the run makes as many
    and removes them. `shares` are their weights among the users (a noisy neighbour has a large one);
    without them all are equal. No tenant has more than `stacks_max` stacks at a time, so that Heat's own
    quota (`max_stacks_per_tenant`) is respected.
    """

    count: Annotated[int, Field(ge=1, le=1000)]
    shares: tuple[Weight, ...] = ()
    stacks_max: Count | None = None

    @model_validator(mode="after")
    def _one_share_each(self) -> Tenants:
        if self.shares and len(self.shares) != self.count:
            raise ValueError(f"{self.count} tenants need as many shares, and there are {len(self.shares)}")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """The share of each."""
        return self.shares or (1.0,) * self.count


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

    @property
    def percentiles_ms(self) -> tuple[float | None, float | None, float | None]:
        """The bounds on the 50th, 95th and 99th percentile."""
        return self.p50_ms, self.p95_ms, self.p99_ms


class Scenario(Model):
    """One workload. Times are seconds.

    `think_s` is the shortest and the longest pause of a user between two operations. After a create the
    user looks every `poll_s` until the stack is complete, for at most `complete_within_s`; after a delete
    likewise until it is gone. Requests of the first `warm_up_s` are recorded as phase `warm_up`, and what
    users do to remove their stacks at the end, for at most `clean_up_s`, as `clean_up`; all others are
    `load`; a request belongs to the phase in which it was due.

    With `arrivals`, or stages of `rate_per_s`, arrivals are open: `users` is then how many operations may
    be under way at once, and an arrival that finds all of them busy is dropped and counted as a failure.
    Stages of `users` change how many there are. `duration_s` is left out where there are stages, and so is
    `users` where they are of users.

    `fault` are what `calorimeter run` breaks meanwhile: part and fault, `at_s` after the begin of the
    command, for `for_s`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    about: str
    seed: int = 1
    users: Count = 0
    spawn_per_s: Seconds = 10.0
    duration_s: Seconds = 0.0
    arrivals: Arrivals | None = None
    stages: tuple[Stage, ...] = ()
    warm_up_s: Pause = 0.0
    think_s: tuple[Pause, Pause] = (0.0, 0.0)
    poll_s: Seconds = 0.5
    complete_within_s: Seconds = 120.0
    clean_up_s: Seconds = 60.0
    timeouts: Timeouts = Timeouts()
    tenants: Tenants | None = None
    rest: Load | None = None
    cfn: Load | None = None
    objectives: tuple[Objective, ...] = ()
    fault: tuple[Fault, ...] = ()

    _path: Path = PrivateAttr(default=Path("scenario.toml"))

    @model_validator(mode="after")
    def _told_by_stages(self) -> Scenario:
        """Fill in the length, and the most users, where the stages say them."""
        told: dict[str, float] = {}
        if self.stages:
            told["duration_s"] = sum(stage.duration_s for stage in self.stages)
            if all(stage.users is not None for stage in self.stages):
                told["users"] = max(stage.users or 0 for stage in self.stages)
        for key in ("duration_s", "users"):
            if key in told and key in self.model_fields_set:
                raise ValueError(f"{key} and stages that say it exclude one another; leave out {key}")
            if key not in told and key not in self.model_fields_set:
                raise ValueError(f"{key} is missing")
        self.__dict__.update(told)  # the one moment in which a frozen record may still change
        return self

    @model_validator(mode="after")
    def _makes_sense(self) -> Scenario:
        if self.rest is None and self.cfn is None:
            raise ValueError("a scenario needs a [rest] or a [cfn] table, or both")
        if self.think_s[0] > self.think_s[1]:
            raise ValueError("think_s is [shortest, longest]")
        open_arrivals.check(self.stages, self.arrivals)
        if self.warm_up_s >= self.duration_s:
            raise ValueError(
                f"warm_up_s ({self.warm_up_s:g}) must be shorter than duration_s ({self.duration_s:g})"
            )
        return self

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._path

    @property
    def rates(self) -> tuple[Stage, ...]:
        """The stages of open arrivals; none where users are closed."""
        if self.arrivals is not None and self.arrivals.rate_per_s is not None:
            return (Stage(duration_s=self.duration_s, rate_per_s=self.arrivals.rate_per_s),)
        return self.stages if self.stages and self.stages[0].rate_per_s is not None else ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each template as it was read, by its name; of files it needs, as `template: file`."""
        return {
            f"{name}: {file}" if file else name: digest
            for load in (self.rest, self.cfn)
            if load is not None
            for name, template in zip(load.template_names, load.templates, strict=False)
            for file, digest in template.digests.items()
        }

    def with_overrides(
        self, *, users: int | None = None, rate_per_s: float | None = None, duration_s: float | None = None
    ) -> Scenario:
        """This scenario with what a command line says differently.

        A rate replaces arrivals and stages; without `users`, two seconds of it may then be under way at
        once, where that is more than the scenario's users. A duration cuts the stages, or keeps the last,
        and a shorter one leaves at most a fifth of itself to the warm-up.
        Raises `InputError` where that cannot be.
        """
        new: dict[str, Any] = {}
        if rate_per_s is not None:
            spacing = self.arrivals.spacing if self.arrivals else "poisson"
            new["arrivals"] = Arrivals(rate_per_s=rate_per_s, spacing=spacing)
            new["stages"] = ()
            new["users"] = max(self.users, ceil(2 * rate_per_s))
        if users is not None:
            if self.stages and not self.rates and rate_per_s is None:
                raise InputError("--users", "this scenario's stages say how many users there are")
            new["users"] = users
        if duration_s is not None:
            new["duration_s"] = duration_s
            if duration_s < self.duration_s:
                new["warm_up_s"] = min(self.warm_up_s, duration_s / 5)
            if self.stages and rate_per_s is None:
                new["stages"] = open_arrivals.cut(self.stages, duration_s)
        return self.model_copy(update=new)

    def load(self, api: str) -> Load | None:
        """What users of `rest` or `cfn` do, where there are any."""
        return self.rest if api == "rest" else self.cfn
