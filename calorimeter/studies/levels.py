"""One load at one level, judged by its objectives, its backlogs and its generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from calorimeter.core.recorded import stack_tables
from calorimeter.core.recorded.recorded_json import Amount, Count, Duration
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_stream import TAKEN
from calorimeter.core.recorded.stack_tables import ns
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import (
    ServiceLevel,
    deciding_s,
    not_the_bottleneck,
    objectives_hold,
)
from calorimeter.gates.service_level.recorded_load import generator_of, service_of
from calorimeter.report.tables import watch_files
from calorimeter.studies.backlog_growth import Backlog, backlog, present

Unit = Literal["arrivals/s", "users"]

SAMPLED = 60
"""How many times within the measured part requests in flight and stacks in progress are counted."""

LEFT_MS = ("p50", "p95", "p99")


class Level(Model):
    """One load at one level.

    `offered_per_s` and `achieved_per_s` are requests due and successes in the measured part, `response_ms`
    percentiles of the response times of successes, if there are enough of them, `error_ratio` the share of
    requests not answered as expected. `objectives` and `generator` are the judgements of gates T1 and T3;
    `telling_s` is the length of the measured part that decides every objective (None: not known).
    """

    level: Amount
    run: str
    kind: Literal["probe", "hold", "sweep"]
    window_s: Duration
    telling_s: Amount | None
    offered_per_s: Amount
    achieved_per_s: Amount
    error_ratio: Amount
    dropped: Count
    response_ms: dict[str, Amount]
    objectives: Judgement
    generator: Judgement
    backlogs: tuple[Backlog, ...]

    @property
    def growing(self) -> tuple[Backlog, ...]:
        """The backlogs that grew."""
        return tuple(each for each in self.backlogs if each.grows)

    @property
    def generated(self) -> bool:
        """Whether nothing shows that the generator was the bottleneck."""
        return self.generator.outcome is not Outcome.FAIL

    @property
    def conclusive(self) -> bool:
        """Whether it shows something of the deployment: a late generator may itself cause a failure.

        A probe may leave objectives undecided for lack of samples; a hold may not, unless a backlog grew.
        """
        if not self.generated:
            return False
        open_ = self.kind == "hold" and self.objectives.outcome is Outcome.INCONCLUSIVE
        return bool(self.growing) or not open_

    @property
    def holds(self) -> bool:
        """Whether the level holds: no objective missed, no backlog that grows, the load fully generated."""
        return self.conclusive and self.objectives.outcome is not Outcome.FAIL and not self.growing

    @property
    def why(self) -> str:
        """Why it holds or does not hold, in words."""
        if not self.generated:
            return self.generator.why
        if self.objectives.outcome is Outcome.FAIL:
            return self.objectives.why
        if self.growing:
            grown = self.growing[0]
            return f"{grown.name} grew from {grown.first:.1f} to {grown.last:.1f}"
        return "holds" if self.holds else self.objectives.why


def level_of(run: RunDir, level: float, kind: Literal["probe", "hold", "sweep"]) -> Level:
    """Judge a recorded load; raises `EvidenceUnavailable` if it holds no samples."""
    service = service_of(run)
    everything = service.of("*")
    judged = objectives_hold(service)
    shown = {name: judged.figures.get(f"all_{name}_ms") for name in LEFT_MS}
    requests = max(1, everything.requests)
    return Level(
        level=level,
        run=run.path.name,
        kind=kind,
        window_s=round(service.window_s, 3),
        telling_s=round(telling, 3) if math.isfinite(telling := deciding_s(service)) else None,
        offered_per_s=_a_second(everything.requests, service),
        achieved_per_s=_a_second(everything.ok, service),
        error_ratio=round((everything.requests - everything.ok) / requests, 6),
        dropped=everything.dropped,
        response_ms={name: float(value) for name, value in shown.items() if value is not None},
        objectives=judged,
        generator=not_the_bottleneck(generator_of(run)),
        backlogs=tuple(_backlogs(run)),
    )


def _a_second(count: int, service: ServiceLevel) -> float:
    return round(count / service.window_s, 3) if service.window_s > 0 else 0.0


def _backlogs(run: RunDir) -> Iterator[Backlog]:
    counted = counted_samples.read(run)
    part = counted.part
    if part is None or part.last_ns <= part.first_ns:
        return
    steps = range(SAMPLED)
    times = np.array([part.first_ns + (part.last_ns - part.first_ns) * n // SAMPLED for n in steps])
    in_flight = np.zeros(SAMPLED)
    for block in counted.samples.blocks(TAKEN):
        sent = block.rows(~block.dropped)
        done_ns = sent.due_ns + sent.response_ns
        in_flight += present(done_ns - sent.service_ns, done_ns, times)
    yield backlog("requests in flight", in_flight.tolist())
    ledger = stack_tables.ledger(run)
    if ledger is not None:
        in_progress = present(ns(ledger, "accepted_ns"), ns(ledger, "final_ns"), times)
        yield backlog("stacks in progress", in_progress.tolist())
    queues = watch_files.read(run).queues
    for name, polls in queues[part.holds(ns(queues, "t_ns"))].groupby("name"):
        yield backlog(f"messages waiting in {name}", polls["messages_ready"].astype(float).tolist())
