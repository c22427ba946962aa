"""What a scale-out study leaves behind: scale.json, and what follows from it without measuring again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.studies import usl
from calorimeter.studies.study_circumstances import Result
from calorimeter.studies.usl import Bounded, Law

SCHEMA = 1
"""Version of scale.json."""

MACHINE = "(this machine)"
"""The row of everything that runs on the machine, the load generator included."""

Measure = Literal["stacks/s", "requests/s"]
Kind = Literal["rest", "cfn", "engines"]


class Used(Model):
    """What one kind of component used over the measured part: seconds of processor, of all processes."""

    kind: str
    processes: int
    cpu_s: float


class Size(Model):
    """One load at one size. `throughput` is in the study's measure, over `window_s` seconds.

    `done` is how many stacks or requests that are. `check` marks the size that a prediction is held
    against, which no law was fitted to. `tries` is how many loads were made, of which this is the better.
    """

    rest: int
    cfn: int
    engines: int
    users: int
    run: str
    window_s: float
    done: int
    throughput: float
    failed: int
    requests: int
    used: tuple[Used, ...]
    generator: Judgement
    check: bool = False
    tries: int = 1

    def others(self, cpus: int) -> float | None:
        """The share of the machine that was used by none of the components: the generator, and strangers.

        None where the machine as a whole was not looked at, as on a cloud.
        """
        used = {each.kind: each.cpu_s for each in self.used}
        whole = used.pop(MACHINE, None)
        if whole is None or self.window_s <= 0:
            return None
        return max(0.0, whole - sum(used.values())) / (self.window_s * cpus)

    def of(self, kind: Kind) -> int:
        """How many of a kind there are."""
        return {"rest": self.rest, "cfn": self.cfn, "engines": self.engines}[kind]


class Saturation(Model):
    """One kind of component at the largest throughput: its processor per unit, and where that ends.

    `share` is the part of a core that the busiest kind of process used, each of its processes; at
    `saturates_at` (the utilisation law, throughput / share) each would use a whole one.
    """

    kind: str
    processes: int
    cpu_s_per_unit: float
    share: float
    saturates_at: float


class Prediction(Model):
    """What a law says of a size that it was not fitted to, and what was measured there."""

    rest: int
    engines: int
    predicted: Bounded
    measured: float

    @property
    def error(self) -> float:
        """Measured against predicted, relative."""
        return self.measured / self.predicted.value - 1

    @property
    def inside(self) -> bool | None:
        """Whether it lies in the interval; None where there is none."""
        low, high = self.predicted.low, self.predicted.high
        return None if low is None or high is None else low <= self.measured <= high


class Scale(Result):
    """The whole of scale.json: the loads; laws and predictions follow from them."""

    schema_version: int = SCHEMA
    scenario: str
    deployment: str
    measure: Measure
    users_per_engine: int
    duration_s: float
    repeat: int
    took_s: float
    cpus: int
    sizes: tuple[Size, ...]

    @property
    def fitted(self) -> tuple[Size, ...]:
        """The loads that laws are fitted to."""
        return tuple(size for size in self.sizes if not size.check)

    @property
    def told(self) -> tuple[Size, ...]:
        """The loads that findings rest on: those that laws are fitted to, all of them where no law is."""
        laws = (self.law("engines"), self.law("rest"))
        return self.sizes if laws == (None, None) else self.fitted

    def judged(self, outcome: Outcome) -> int:
        """How many of the loads `told` gate T3 (the generator was not the bottleneck) judged so."""
        return sum(size.generator.outcome is outcome for size in self.told)

    def along(self, kind: Kind, sizes: Sequence[Size] | None = None) -> list[Size]:
        """The loads in which only one kind varies, the others being at their largest fitted number."""
        fixed: dict[Kind, int] = {
            other: max(size.of(other) for size in self.fitted)
            for other in ("rest", "cfn", "engines")
            if other != kind
        }
        chosen = self.fitted if sizes is None else sizes
        return [size for size in chosen if all(size.of(o) == n for o, n in fixed.items())]

    def different(self, kind: Kind) -> int:
        """How many different sizes a law along one kind would be fitted to."""
        return len({size.of(kind) for size in self.along(kind)})

    def law(self, kind: Kind) -> Law | None:
        """The law along one kind; None where too few sizes of it were measured."""
        loads = self.along(kind)
        if self.different(kind) < usl.FEWEST_FOR_LAW:
            return None
        return usl.fit([size.of(kind) for size in loads], [size.throughput for size in loads])

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """For each size that was measured to check: what the law of engines says of it.

        What is done is counted in whole units, so no interval is narrower than one more or less.
        """
        law = self.law("engines")
        checks = self.along("engines", [size for size in self.sizes if size.check])
        if law is None:
            return ()
        return tuple(
            Prediction(
                rest=size.rest,
                engines=size.engines,
                predicted=law.at(size.engines).wider(1 / size.window_s if size.window_s else 0.0),
                measured=size.throughput,
            )
            for size in checks
        )

    @property
    def strangers(self) -> float:
        """The largest share of the machine that generator and strangers used in any load; 0: unknown."""
        return max((size.others(self.cpus) or 0.0 for size in self.sizes), default=0.0)

    @property
    def largest(self) -> Size:
        """The load with the largest throughput."""
        return max(self.sizes, key=lambda size: size.throughput)

    @property
    def saturation(self) -> tuple[Saturation, ...]:
        """Each kind of component at the largest throughput; the one that saturates first comes first."""
        size = self.largest
        if not size.done or size.window_s <= 0:
            return ()
        found = []
        for used in size.used:
            cores = self.cpus if used.kind == MACHINE else used.processes
            share = used.cpu_s / size.window_s / cores
            if share > 0:
                found.append(
                    Saturation(
                        kind=used.kind,
                        processes=used.processes,
                        cpu_s_per_unit=used.cpu_s / size.done,
                        share=share,
                        saturates_at=size.throughput / share,
                    )
                )
        return tuple(sorted(found, key=lambda each: each.saturates_at))
