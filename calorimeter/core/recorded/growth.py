"""What grew during a soak: the evidence of gate T5, and its judgement.

The gate judges it, and the page of the run shows the slopes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from calorimeter.core import statistics
from calorimeter.core.recorded.recorded_json import LONGEST_S, Amount, Count
from calorimeter.core.statistics import Interval
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed

GATE = "T5"

ERROR = 0.01
"""The chance that a run in which nothing grows faster than it may is red."""

WINDOWS = 60
"""Parts of equal length that the measured part is divided into."""

LEAST_WINDOWS = WINDOWS // 2
"""Windows in which a series must have values."""

LEAST_S = 600.0
"""Shorter runs are not judged: caches and pools of connections still fill up."""

MOST_H = 24 * 14
"""A longer run is not proposed."""

LEAST_RECORD_S = 1.0
"""A shorter part gives no series."""

Kind = Literal["memory", "connections", "queue", "rows", "latency", "load"]

KINDS: dict[Kind, str] = {
    "memory": "memory of parts",
    "connections": "connections",
    "queue": "queues",
    "rows": "table rows",
    "latency": "latency",
}
"""What is judged, in words."""

UNITS: dict[Kind, str] = {"memory": "MB", "latency": "ms", "rows": "rows"}

FLOORS: dict[Kind, float] = {"memory": 16.0, "latency": 10.0, "rows": 1000.0}
"""Least levels in the unit of the kind; of connections, queues and the load it is the scenario's users."""

Value = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


class WatchedSeries(Model):
    """One quantity over the measured part: a mean for each window (latency: the median), None if unknown.

    Memory is in MB, latency in ms. `restarted` is whether the part was restarted: values are of the time
    since then.
    """

    name: Annotated[str, Field(max_length=5000)]
    kind: Kind
    values: Annotated[tuple[Value | None, ...], Field(max_length=WINDOWS)]
    restarted: bool = False

    def __str__(self) -> str:
        return f"{self.kind} of {self.name}" if self.kind in ("memory", "latency") else self.name


class GrowthRecord(Model):
    """Evidence of T5. `users` are the scenario's; `per_day` is the growth allowed, as a share of a level.

    `load` is how the load itself changed: requests per second, stacks that existed. `stacks` were accepted.
    `missing` are sentences about what was not recorded.
    """

    run: str
    length_s: Annotated[float, Field(ge=LEAST_RECORD_S, le=LONGEST_S)]
    users: Count
    per_day: Amount
    series: Annotated[tuple[WatchedSeries, ...], Field(max_length=2000)]
    load: Annotated[tuple[WatchedSeries, ...], Field(max_length=10)] = ()
    stacks: Count = 0
    missing: Annotated[tuple[str, ...], Field(max_length=100)] = ()


@dataclass(frozen=True, slots=True)
class FoundSlope:
    """The growth of a series per hour: `shown` is 99 %, `surely` such that all series together err with
    `ERROR`; `later` is that of the second half.

    `bound` is what it may grow, `level` its median. `grows` is None if the record cannot tell.
    """

    series: WatchedSeries
    level: float
    shown: Interval
    surely: Interval
    later: float
    bound: float

    @property
    def grows(self) -> bool | None:
        """Whether it grows faster than it may: then it does so in the second half, too."""
        if self.surely.low > self.bound and self.later > self.bound:
            return True
        return False if self.shown.high <= self.bound else None

    @property
    def longer(self) -> float:
        """How many times as long a run would tell, about: bounds narrow with the 1.5th power of its length.

        1 if this one tells, infinite if that is not known. A slope that may be none is taken for none.
        """
        if self.grows is not None:
            return 1.0
        room = self.bound if self.shown.low <= 0 else abs(self.bound - self.shown.estimate)
        reach = self.shown.high - self.shown.estimate
        return max(1.0, (reach / room) ** (2 / 3)) if room > 0 and math.isfinite(reach) else math.inf

    def __str__(self) -> str:
        unit = UNITS.get(self.series.kind, "")
        low, middle, high = (
            _text(value) for value in (self.shown.low, self.shown.estimate, self.shown.high)
        )
        named = f"{self.series}: {middle} {unit}".rstrip()
        return f"{named}/h ({low} to {high}), at most {_text(self.bound).lstrip('+')} is allowed"


def _text(value: float) -> str:
    return "unknown" if not math.isfinite(value) else f"{value:+.3g}".replace("-", "−")


def is_soak(about: Mapping[str, Any]) -> bool:
    """Whether a run is long enough to be judged, by what run.json notes; yes if it notes no length."""
    noted = about.get("load")
    if not isinstance(noted, dict):
        return True
    length_s, warm_up_s = noted.get("duration_s"), noted.get("warm_up_s")
    if not isinstance(length_s, int | float) or not isinstance(warm_up_s, int | float):
        return True
    return length_s - warm_up_s >= LEAST_S


def slopes(evidence: GrowthRecord) -> list[FoundSlope]:
    """The slopes of all series that have enough windows."""
    judged = [each for each in evidence.series if _known(each) >= LEAST_WINDOWS]
    return [_slope(each, evidence, len(judged)) for each in judged]


def _known(series: WatchedSeries) -> int:
    return sum(value is not None for value in series.values)


def _slope(series: WatchedSeries, evidence: GrowthRecord, of: int) -> FoundSlope:
    values = np.array([math.nan if value is None else value for value in series.values])
    hours = (np.arange(len(values)) + 0.5) * evidence.length_s / 3600 / len(values)
    level = float(np.nanmedian(values))
    known = np.flatnonzero(np.isfinite(values))
    late = hours >= hours[known[len(known) // 2]]
    return FoundSlope(
        series,
        level,
        shown=statistics.slope(hours, values, 1 - ERROR),
        surely=statistics.slope(hours, values, 1 - ERROR / of),
        later=statistics.slope(hours[late], values[late], 1 - ERROR).estimate,
        bound=evidence.per_day * max(level, FLOORS.get(series.kind, float(evidence.users))) / 24,
    )


def nothing_grows(evidence: GrowthRecord) -> Judgement:
    """Gate T5: no part's memory, no connections, queues, tables or latencies grow faster than they may.

    FAIL if growth beyond the bound is proven, over the whole run and in its second half. INCONCLUSIVE if a
    series may grow faster, for all that the run shows; if the run is too short; or if the load itself grew,
    which explains the rest. Rows are explained by stacks that were created: Heat keeps deleted ones.
    """
    found, grown = slopes(evidence), list(_growing_load(evidence))
    rows = [
        each for each in found if each.series.kind == "rows" and evidence.stacks and each.grows is not False
    ]
    growing = [each for each in found if each.grows and each not in rows]
    open_ = [each for each in found if each.grows is None and each not in rows]
    figures = _figures(evidence, found) | {"growing": len(growing), "undecided": len(open_)}
    said = "; ".join(_said(evidence, found, rows, grown))
    if evidence.length_s < LEAST_S:
        short = f"{evidence.length_s:.0f} s were measured, growth is judged from {LEAST_S:.0f} s on"
        return inconclusive(short, **figures)
    if not found:
        few = f"no series has values in {LEAST_WINDOWS} of {WINDOWS} windows"
        return inconclusive(f"{few}; {said}", **figures)
    if growing:
        many = f"{len(growing)} of {len(found)} series grow faster than they may"
        if grown:
            return inconclusive(f"{many}, but so does the load itself: {growing[0]}; {said}", **figures)
        return failed(f"{many}: {growing[0]}; {said}", [str(each) for each in growing], **figures)
    if open_:
        many = f"{len(open_)} of {len(found)} series may grow faster than is allowed"
        longer = f"the run is too short to tell{_longer(open_, evidence)}"
        return inconclusive(f"{many}, {longer}: {open_[0]}; {said}", **figures)
    return passed(f"none of {len(found)} series grows faster than it may; {said}", **figures)


def _longer(open_: list[FoundSlope], evidence: GrowthRecord) -> str:
    """How long a run would tell, if that can be said."""
    needed_h = max(each.longer for each in open_) * evidence.length_s / 3600
    return f" (about {needed_h:.2g} h would)" if needed_h < MOST_H else ""


def _growing_load(evidence: GrowthRecord) -> Iterator[FoundSlope]:
    """What of the load itself grew faster than a deployment may."""
    for each in evidence.load:
        if _known(each) >= LEAST_WINDOWS:
            found = _slope(each, evidence, len(evidence.load))
            if found.shown.low > 0 and found.shown.estimate > found.bound:
                yield found


def _said(
    evidence: GrowthRecord, found: list[FoundSlope], rows: list[FoundSlope], grown: list[FoundSlope]
) -> Iterator[str]:
    """What was judged and what was not, as clauses."""
    kinds = {each.series.kind for each in found}
    yield f"judged: {', '.join(text for kind, text in KINDS.items() if kind in kinds) or 'nothing'}"
    if missing := [text for kind, text in KINDS.items() if kind not in kinds]:
        yield f"not recorded: {', '.join(missing)}"
    for each in grown:
        yield f"the load itself grew: {each}"
    if rows:
        yield f"rows grew with the {evidence.stacks:,} stacks of this load, which Heat keeps after a delete"
    if restarted := [str(each.series) for each in found if each.series.restarted]:
        yield f"restarted in between, judged since then: {', '.join(restarted)}"


def _figures(evidence: GrowthRecord, found: list[FoundSlope]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"length_s": round(evidence.length_s, 3), "series": len(found)}
    names: dict[Kind, str] = {"memory": "memory_mb", "latency": "latency_ms"}
    for each in found:
        kind = each.series.kind
        figures[f"{each.series.name} {names.get(kind, kind)}_per_h"] = float(f"{each.shown.estimate:.4g}")
    return figures
