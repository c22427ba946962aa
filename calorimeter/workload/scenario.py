"""A scenario: what users do, how many users there are, for how long, and the objectives."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from calorimeter.core import bounds
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import Fault
from calorimeter.core.toml import Count, Model, Seconds
from calorimeter.workload import stages as open_arrivals
from calorimeter.workload.stages import Arrivals, PositiveRate, Stage
from calorimeter.workload.template import Template

Weight = Annotated[float, bounds.SHARE]
Ratio = Annotated[float, bounds.RATIO]
Pause = Annotated[float, bounds.MOMENT]
Milliseconds = Annotated[float, bounds.MILLISECONDS]
Interval = Annotated[float, bounds.POLL]


class Load(Model):
    """What the users of one API do.

    `users` is the weight of these users among all users. `mix` maps operations to weights; an operation
    that is not possible at the moment (show without a stack, create with `stacks_per_user` stacks) is not
    drawn. `template` names a file in the scenario's folder or in `scenarios/templates/`, or several, of
    which each create takes one at random.
    """

    users: Weight = 1.0
    mix: dict[str, Weight] = Field(min_length=1)
    template: str | tuple[str, ...]
    stacks_per_user: Count = 2

    _templates: tuple[Template, ...] = PrivateAttr(default=())

    @property
    def template_names(self) -> tuple[str, ...]:
        """The names of the templates, as the file gives them."""
        return (self.template,) if isinstance(self.template, str) else self.template

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates; empty until `catalogue.read` has read them."""
        return self._templates


class Timeouts(Model):
    """Time limits of a request: to connect, to the answer's first byte, and in total."""

    connect_s: Seconds = 5.0
    first_byte_s: Seconds = 70.0
    whole_s: Seconds = 90.0


class Tenants(Model):
    """Projects over which the users are distributed, each with a user and credentials of its own.

    They are the first of the deployment's `[[tenants]]`. If it has none, the run creates them and removes
    them at its end. `shares` are their weights among the users (default: equal; a noisy neighbour has a
    large one). `stacks_max` limits the stacks of each tenant at a time, to stay below Heat's quota
    (`max_stacks_per_tenant`).
    """

    count: Annotated[int, bounds.PROCESSES]
    shares: tuple[Weight, ...] = ()
    stacks_max: Count | None = None

    @model_validator(mode="after")
    def _one_share_each(self) -> Tenants:
        if self.shares and len(self.shares) != self.count:
            raise ValueError(f"{self.count} tenants need as many shares, {len(self.shares)} given")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each tenant."""
        return self.shares or (1.0,) * self.count


class Objective(Model):
    """A service level objective for one operation (`rest.list`), or for all (`*`), judged from the raw
    samples.

    `p50_ms`, `p95_ms` and `p99_ms` limit response times in milliseconds, `max_error_ratio` the share of
    failed requests. `min_per_s` is the least number of successes per second.
    """

    operation: str = "*"
    p50_ms: Milliseconds | None = None
    p95_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None
    max_error_ratio: Ratio | None = None
    min_per_s: PositiveRate | None = None

    @property
    def percentiles_ms(self) -> tuple[float | None, float | None, float | None]:
        """The limits of the 50th, 95th and 99th percentile, None where there is no limit."""
        return self.p50_ms, self.p95_ms, self.p99_ms


class Scenario(Model):
    """One workload. Times are seconds.

    `think_s` is the shortest and the longest pause of a user between two operations. After a create the
    user polls every `poll_s` until the stack is complete, for at most `complete_within_s`; after a delete,
    until it is gone. Requests due in the first `warm_up_s` belong to the phase `warm_up`. When users remove
    their stacks at the end, for at most `clean_up_s`, their requests belong to the phase `clean_up`. All
    others belong to the phase `load`.

    With `arrivals`, or with stages of `rate_per_s`, arrivals are open: `users` is the largest number of
    operations in flight, and an arrival that finds all users busy is dropped and counted as a failure.
    Stages of `users` change the number of users. `duration_s` must be left out if there are stages, and
    `users` if there are stages of users.

    `fault` lists the faults that `calorimeter run` injects during the load.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    about: str
    seed: Annotated[int, bounds.SEED] = 1
    users: Count = 0
    spawn_per_s: PositiveRate = 10.0
    duration_s: Seconds = 0.0
    arrivals: Arrivals | None = None
    stages: tuple[Stage, ...] = ()
    warm_up_s: Pause = 0.0
    think_s: tuple[Pause, Pause] = (0.0, 0.0)
    poll_s: Interval = 0.5
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
    def _complete_from_stages(self) -> Scenario:
        """Set the duration, and the largest number of users, from the stages."""
        implied: dict[str, float] = {}
        if self.stages:
            implied["duration_s"] = bounds.SECONDS.check(sum(stage.duration_s for stage in self.stages))
            if all(stage.users is not None for stage in self.stages):
                implied["users"] = max(stage.users or 0 for stage in self.stages)
        for key in ("duration_s", "users"):
            if key in implied and key in self.model_fields_set:
                raise ValueError(f"{key} follows from the stages; leave out {key}")
            if key not in implied and key not in self.model_fields_set:
                raise ValueError(f"{key} is missing")
        self.__dict__.update(implied)  # only a validator may still change a frozen record
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
        """The file that this was read from."""
        return self._path

    @property
    def rates(self) -> tuple[Stage, ...]:
        """The stages of open arrivals; empty for closed users."""
        if self.arrivals is not None and self.arrivals.rate_per_s is not None:
            return (Stage(duration_s=self.duration_s, rate_per_s=self.arrivals.rate_per_s),)
        return self.stages if self.stages and self.stages[0].rate_per_s is not None else ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each template by name, and of each file that it needs by `template: file`."""
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
        """This scenario with the changes of a command line.

        `rate_per_s` replaces arrivals and stages. Unless `users` is given, it also raises the number of
        users to the arrivals of two seconds. `duration_s` cuts the stages, or extends the last one; if it
        is shorter than before, the warm-up is at most a fifth of it. Raises InputError for `users` if the
        stages set the number of users.
        """
        new: dict[str, Any] = {}
        if rate_per_s is not None:
            spacing = self.arrivals.spacing if self.arrivals else "poisson"
            new["arrivals"] = Arrivals(rate_per_s=rate_per_s, spacing=spacing)
            new["stages"] = ()
            new["users"] = max(self.users, ceil(2 * rate_per_s))
        if users is not None:
            if self.stages and not self.rates and rate_per_s is None:
                raise InputError("--users", "the stages of this scenario set the number of users")
            new["users"] = users
        if duration_s is not None:
            new["duration_s"] = duration_s
            if duration_s < self.duration_s:
                new["warm_up_s"] = min(self.warm_up_s, duration_s / 5)
            if self.stages and rate_per_s is None:
                new["stages"] = open_arrivals.cut(self.stages, duration_s)
        return self.model_copy(update=new)

    def load(self, api: str) -> Load | None:
        """The load of the API `rest` or `cfn`, None if it has no users."""
        return self.rest if api == "rest" else self.cfn
