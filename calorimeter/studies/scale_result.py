"""scale.json, the result of a scale-out study, and all that is derived from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core.host.machine import WHOLE_MACHINE
from calorimeter.core.recorded.recorded_json import Amount, Count, Duration
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.studies import usl
from calorimeter.studies.study_circumstances import Result
from calorimeter.studies.usl import Bounded, Law

SCHEMA = 1
"""Version of scale.json."""

MACHINE = WHOLE_MACHINE
"""The row of everything that runs on the machine, with the load generator."""

MOST_SIZES = 1000

Part = Annotated[int, Field(ge=0, le=100_000)]
"""A number of components or of processors."""

Measure = Literal["stacks/s", "requests/s"]
Kind = Literal["rest", "cfn", "engines"]


class ProcessorUse(Model):
    """Processor time of one kind of component in the measured part, of all its processes."""

    kind: str
    processes: Part
    cpu_s: Amount


class Size(Model):
    """One load at one size. `throughput` is in the study's measure, over `window_s` seconds.

    `done` is how many stacks or requests that are. `check` marks the size that a prediction is compared
    with, which no law was fitted to. `tries` is the number of loads, of which this is the better.
    """

    rest: Part
    cfn: Part
    engines: Annotated[Part, Field(ge=1)]
    users: Count
    run: str
    window_s: Duration
    done: Count
    throughput: Amount
    failed: Count
    requests: Count
    used: Annotated[tuple[ProcessorUse, ...], Field(max_length=1000)]
    generator: Judgement
    check: bool = False
    tries: Count = 1

    def others(self, cpus: int) -> float | None:
        """The share of the machine that none of the components used, but the generator and other programs.

        None if the use of the whole machine was not recorded, as on a cloud.
        """
        used = {each.kind: each.cpu_s for each in self.used}
        whole = used.pop(MACHINE, None)
        if whole is None or self.window_s <= 0:
            return None
        return max(0.0, whole - sum(used.values())) / (self.window_s * cpus)

    def of(self, kind: Kind) -> int:
        """The number of components of a kind."""
        return {"rest": self.rest, "cfn": self.cfn, "engines": self.engines}[kind]


class ComponentSaturation(Model):
    """One kind of component at the largest throughput: its processor time per unit, and its limit.

    `share` is the share of a core that each of its processes used; at the throughput `saturates_at` (the
    utilisation law, throughput / share) each would use a whole core.
    """

    kind: str
    processes: int
    cpu_s_per_unit: float
    share: float
    saturates_at: float


class Prediction(Model):
    """The prediction of a law for a size that it was not fitted to, and the measurement there."""

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
        """Whether it lies in the interval; None without an interval."""
        low, high = self.predicted.low, self.predicted.high
        return None if low is None or high is None else low <= self.measured <= high


class ScaleResult(Result):
    """The whole of scale.json: the loads; laws and predictions follow from them."""

    schema_version: int = SCHEMA
    scenario: str
    deployment: str
    measure: Measure
    users_per_engine: Count
    duration_s: Duration
    repeat: Count
    took_s: Duration
    cpus: Annotated[Part, Field(ge=1)]
    sizes: Annotated[tuple[Size, ...], Field(max_length=MOST_SIZES)]

    @property
    def fitted(self) -> tuple[Size, ...]:
        """The loads that laws are fitted to."""
        return tuple(size for size in self.sizes if not size.check)

    @property
    def conclusive(self) -> tuple[Size, ...]:
        """The loads that the findings use: those that laws are fitted to, or all if there is no law."""
        laws = (self.law("engines"), self.law("rest"))
        return self.sizes if laws == (None, None) else self.fitted

    def judged(self, outcome: Outcome) -> int:
        """How many of the conclusive loads gate T3 (the generator was not the bottleneck) judged so."""
        return sum(size.generator.outcome is outcome for size in self.conclusive)

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
        """The number of different sizes that a law along one kind is fitted to."""
        return len({size.of(kind) for size in self.along(kind)})

    def law(self, kind: Kind) -> Law | None:
        """The law along one kind; None if too few sizes were measured."""
        loads = self.along(kind)
        if self.different(kind) < usl.FEWEST_FOR_LAW or not any(size.throughput for size in loads):
            return None
        return usl.fit([size.of(kind) for size in loads], [size.throughput for size in loads])

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The prediction of the law of engines for each size that was measured to check it.

        Units are counted as whole numbers, so every interval reaches one unit further on both sides.
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
        """The largest share of the machine that none of the components used in a load; 0 if unknown."""
        return max((size.others(self.cpus) or 0.0 for size in self.sizes), default=0.0)

    @property
    def largest(self) -> Size:
        """The load with the largest throughput."""
        return max(self.sizes, key=lambda size: size.throughput)

    @property
    def saturation(self) -> tuple[ComponentSaturation, ...]:
        """Each kind of component at the largest throughput, in the order in which they saturate."""
        size = self.largest
        if not size.done or size.window_s <= 0:
            return ()
        found = []
        for used in size.used:
            cores = self.cpus if used.kind == MACHINE else used.processes
            share = used.cpu_s / size.window_s / max(cores, 1)
            if share > 0:
                found.append(
                    ComponentSaturation(
                        kind=used.kind,
                        processes=used.processes,
                        cpu_s_per_unit=used.cpu_s / size.done,
                        share=share,
                        saturates_at=size.throughput / share,
                    )
                )
        return tuple(sorted(found, key=lambda each: each.saturates_at))
