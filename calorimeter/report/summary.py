"""`summary.json`: the figures of a report, for programs."""

from __future__ import annotations

import math
from typing import Annotated

import pandas as pd
from pydantic import BeforeValidator

from calorimeter.core.recorded.latency_budget import LatencyBudget
from calorimeter.core.statistics import Interval
from calorimeter.core.toml import Model
from calorimeter.report.capacity_result import CapacityResult
from calorimeter.report.circumstances import table
from calorimeter.report.page_content import PageContent, SharesTable
from calorimeter.report.tables.latency import PERCENTS, column
from calorimeter.report.tables.stack_durations import TAKEN

SCHEMA = 1
"""Version of summary.json."""


def _known(value: float | None) -> float | None:
    return value if value is not None and abs(value) < math.inf else None


Known = Annotated[float | None, BeforeValidator(_known)]
"""A figure; None if it is NaN: there were too few samples or windows for it."""


class Estimate(Model):
    """A figure with its bootstrap bounds, None if there were too few windows."""

    value: Known
    low: Known
    high: Known
    confidence: float


class OperationRow(Model):
    """One row of the operations table; percentiles in s, None if there were too few samples."""

    operation: str
    n: int
    ok: int
    failed: int
    dropped: int
    rate_per_s: float
    response_s: dict[str, Estimate]
    service_s: dict[str, Known]


class Share(Model):
    """The share of one server or engine; `n` is None if only the share is known."""

    group: str
    name: str
    n: int | None
    share: float
    expected: float


class SharesOf(Model):
    """Shares, and whether they were counted while the load ran."""

    under_load: bool
    shares: tuple[Share, ...]


class GateOutcome(Model):
    """The outcome of one gate."""

    gate: str
    outcome: str
    waived: bool
    why: str


class Ending(Model):
    """How many stacks an action brought to a state, and how long that took in s, None if too few."""

    operation: str
    ended: str
    n: int
    taken_s: dict[str, Known]


class LoadSummary(Model):
    """The load. `requests`, `duration_s` and `sources` are of the whole run, all else of the measured part.

    `window_from_s` and `window_to_s` are the measured part, since the first request; `steady` is whether a
    steady state was found in it.
    """

    requests: int
    duration_s: float
    sources: int
    window_from_s: float
    window_to_s: float
    steady: bool
    achieved_per_s: Estimate
    operations: tuple[OperationRow, ...]


class Summary(Model):
    """The whole file."""

    schema_version: int = SCHEMA
    run: str
    started: str | None
    deployment: str | None
    calorimeter: str | None
    verdicts: tuple[GateOutcome, ...]
    load: LoadSummary | None
    endings: tuple[Ending, ...]
    latency_budget: LatencyBudget | None
    capacity: CapacityResult | None
    backends: SharesOf | None
    engines: SharesOf | None
    gaps: tuple[str, ...]


def of(found: PageContent) -> Summary:
    """Summarise the page_content of a run."""
    about = found.about
    return Summary(
        run=str(about.get("id", "")),
        started=_text(about.get("started")),
        deployment=_text(about.get("deployment")),
        calorimeter=_text(table(about.get("environment")).get("calorimeter")),
        verdicts=tuple(
            GateOutcome(
                gate=verdict.gate,
                outcome=str(verdict.judgement.outcome),
                waived=verdict.waived is not None,
                why=verdict.judgement.why,
            )
            for verdict in found.verdicts.verdicts
        ),
        load=_load(found),
        endings=tuple(_ending(row) for _, row in found.endings.iterrows()),
        latency_budget=found.budget.record if found.budget else None,
        capacity=found.capacity,
        backends=_shares(found.backends),
        engines=_shares(found.engines),
        gaps=found.gaps,
    )


def _load(found: PageContent) -> LoadSummary | None:
    load = found.load
    if load is None:
        return None
    start = load.axis.start_ns
    return LoadSummary(
        requests=load.count,
        duration_s=load.duration_s,
        sources=load.sources,
        window_from_s=(load.measured.first_ns - start) / 1e9,
        window_to_s=(load.measured.last_ns - start) / 1e9,
        steady=load.steadiness.found,
        achieved_per_s=_estimate(load.rate),
        operations=tuple(_operation(row) for _, row in load.operations.iterrows()),
    )


def _ending(row: pd.Series) -> Ending:
    taken: dict[str, float | None] = {name: float(row[name]) for name in TAKEN}
    return Ending(operation=str(row["operation"]), ended=str(row["ended"]), n=int(row["n"]), taken_s=taken)


def _operation(row: pd.Series) -> OperationRow:
    response = {
        name: Interval(*(float(row[f"response_{name}{end}"]) for end in ("", "_low", "_high")))
        for name in map(column, PERCENTS)
    }
    return OperationRow(
        operation=str(row["operation"]),
        **{name: int(row[name]) for name in ("n", "ok", "failed", "dropped")},
        rate_per_s=float(row["rate"]),
        response_s={name: _estimate(interval) for name, interval in response.items()},
        service_s={name: float(row[f"service_{name}"]) for name in map(column, PERCENTS)},
    )


def _estimate(found: Interval) -> Estimate:
    return Estimate(value=found.estimate, low=found.low, high=found.high, confidence=found.confidence)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _shares(found: SharesTable | None) -> SharesOf | None:
    if found is None:
        return None
    shares = (
        Share(
            group=str(row["group"]),
            name=str(row["name"]),
            n=None if pd.isna(row["n"]) else int(row["n"]),
            share=float(row["share"]),
            expected=float(row["expected"]),
        )
        for _, row in found.table.iterrows()
    )
    return SharesOf(under_load=found.under_load, shares=tuple(shares))
