"""One load at one level: made, and judged by its objectives, its backlogs and its generator."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from calorimeter.core.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import (
    Service,
    not_the_bottleneck,
    objectives_hold,
    telling_s,
)
from calorimeter.gates.service_level.recorded_load import generator_of, service_of
from calorimeter.studies.backlog import Backlog, backlog, present

Unit = Literal["arrivals/s", "users"]

LOOKS = 60
"""Times within the measured part at which what is in progress is counted."""

LEFT_MS = ("p50", "p95", "p99")


class Level(Model):
    """What one load at one level showed.

    `offered_per_s` and `achieved_per_s` are requests due and successes in the measured part, `response_ms`
    percentiles of the response times of successes where there are enough of them, `error_ratio` the share
    of requests not answered as expected. `objectives` and `generator` are what gates T1 and T3 say;
    `telling_s` is how long the measured part must be for every promise to be told (None: not known).
    """

    level: float
    run: str
    kind: Literal["probe", "hold", "sweep"]
    window_s: float
    telling_s: float | None
    offered_per_s: float
    achieved_per_s: float
    error_ratio: float
    dropped: int
    response_ms: dict[str, float]
    objectives: Judgement
    generator: Judgement
    backlogs: tuple[Backlog, ...]

    @property
    def growing(self) -> tuple[Backlog, ...]:
        """The backlogs that grew."""
        return tuple(each for each in self.backlogs if each.grows)

    @property
    def generated(self) -> bool:
        """Whether the load was generated as asked, as far as it was seen."""
        return self.generator.outcome is not Outcome.FAIL

    @property
    def told(self) -> bool:
        """Whether it says something of the deployment: what a late generator broke may be its own doing.

        A short look may leave promises open for want of samples; what is held for longer may not, unless it
        broke otherwise.
        """
        if not self.generated:
            return False
        open_ = self.kind == "hold" and self.objectives.outcome is Outcome.INCONCLUSIVE
        return bool(self.growing) or not open_

    @property
    def holds(self) -> bool:
        """Whether the level holds: no promise broken, no backlog that grows, nothing left ungenerated."""
        return self.told and self.objectives.outcome is not Outcome.FAIL and not self.growing

    @property
    def said(self) -> str:
        """Why it holds or does not, in words."""
        if not self.generated:
            return self.generator.why
        if self.objectives.outcome is Outcome.FAIL:
            return self.objectives.why
        if self.growing:
            grown = self.growing[0]
            return f"{grown.name} grew from {grown.first:.1f} to {grown.last:.1f}"
        return "holds" if self.holds else self.objectives.why


def level_of(run: RunDir, level: float, kind: Literal["probe", "hold", "sweep"]) -> Level:
    """Judge a recorded load; raises `EvidenceUnavailable` where it holds no samples."""
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
        telling_s=round(telling, 3) if math.isfinite(telling := telling_s(service)) else None,
        offered_per_s=_a_second(everything.requests, service),
        achieved_per_s=_a_second(everything.ok, service),
        error_ratio=round((everything.requests - everything.ok) / requests, 6),
        dropped=everything.dropped,
        response_ms={name: float(value) for name, value in shown.items() if value is not None},
        objectives=judged,
        generator=not_the_bottleneck(generator_of(run)),
        backlogs=tuple(_backlogs(run)),
    )


def _a_second(count: int, service: Service) -> float:
    return round(count / service.window_s, 3) if service.window_s > 0 else 0.0


def _backlogs(run: RunDir) -> Iterator[Backlog]:
    table = counted_samples.read(run)
    first, last = counted_samples.window(table, run.about)
    if last <= first:
        return
    times = [first + (last - first) * n // LOOKS for n in range(LOOKS)]
    sent = table.filter(pc.not_equal(table["error"], "dropped"))
    flying = present(sent["sent_ns"].to_pylist(), sent["done_ns"].to_pylist(), times)
    yield backlog("requests in flight", flying)
    begins: list[int] = []
    ends: list[int] = []
    for path in run.parquet("ledger"):
        rows = pq.read_table(path, columns=["accepted_ns", "final_ns"])
        begins += rows["accepted_ns"].to_pylist()
        ends += rows["final_ns"].to_pylist()
    if begins:
        yield backlog("stacks in progress", present(begins, ends, times))
    for name, depths in sorted(_depths(run.path / "watch" / "broker.jsonl", first, last).items()):
        yield backlog(f"messages waiting in {name}", depths)


def _depths(file: Path, first: int, last: int) -> dict[str, list[float]]:
    """Messages ready in each queue at each look of the watch within the measured part."""
    found: dict[str, list[float]] = {}
    if not file.exists():
        return found
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            look = json.loads(line)
            if first <= look["t_ns"] <= last:
                for queue in look["queues"]:
                    found.setdefault(str(queue["name"]), []).append(float(queue["messages_ready"]))
        except (ValueError, KeyError, TypeError):
            continue  # a look that saw nothing, or was cut off
    return found
