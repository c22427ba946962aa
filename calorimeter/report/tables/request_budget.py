"""Where the time of traced requests and stacks went, as tables, from the budget in a run's evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from calorimeter.core.recorded.latency_budget import (
    Cohort,
    LatencyBudget,
    OperationBudget,
    RequestSegment,
    StackBudget,
    StackCohort,
    StackSegment,
)
from calorimeter.core.shown_text import plain

REQUEST_LABELS: Mapping[str, str] = {
    "generator": "generator",
    "proxy": "proxy's queue",
    "api_before": "API before RPC, with Keystone",
    "broker": "broker",
    "redelivery": "redelivery",
    "engine": "engine",
    "api_between": "API between RPCs",
    "api_after": "API after RPC",
    "way_back": "way back",
    "unseen": "not seen",
}
"""The name of each segment of a request on a page."""

STACK_LABELS: Mapping[str, str] = {
    "start": "until the first message",
    "broker": "broker",
    "engine": "engine",
    "between": "between messages",
    "end": "last engine, until the poll",
}
"""The name of each segment of a stack on a page."""

REQUEST_SEGMENTS: tuple[str, ...] = get_args(RequestSegment)
STACK_SEGMENTS: tuple[str, ...] = get_args(StackSegment)

_COHORT = ("operation", "requests", "cohort", "n", "from_s", "to_s", "mean_s")


@dataclass(frozen=True, slots=True)
class BudgetTables:
    """A budget, and its tables; all times are s.

    `requests` has a row for each cohort of an operation: `operation`, `requests` (how many its budget is
    of), `cohort`, `n`, `from_s`, `to_s`, `mean_s` and the mean of each segment. `engines` has the mean of
    each engine (`operation`, `cohort`, `engine`, `mean_s`). `stacks` is like `requests`, of stacks, with
    `messages`, `hops` and `waits`; `stack_engines` is like `engines`. `slowest` has a row for each step of
    the slowest requests: `rank`, `operation`, `request_id`, `at_s` (when it was due, after the first
    request of the run), `response_s`, `adds_up`, `segment`, `who`, `what`, `took_s`. `rare` names what is
    too rare for a cohort.
    """

    record: LatencyBudget
    requests: pd.DataFrame
    engines: pd.DataFrame
    stacks: pd.DataFrame
    stack_engines: pd.DataFrame
    slowest: pd.DataFrame
    rare: tuple[str, ...]


def budget_tables(budget: LatencyBudget) -> BudgetTables:
    """The tables of a budget."""
    every: tuple[OperationBudget | StackBudget, ...] = (*budget.operations, *budget.stacks)
    return BudgetTables(
        record=budget,
        requests=_cohorts(budget.operations, REQUEST_SEGMENTS, ()),
        engines=_engines(budget.operations),
        stacks=_cohorts(budget.stacks, STACK_SEGMENTS, ("messages", "hops", "waits")),
        stack_engines=_engines(budget.stacks),
        slowest=_slowest(budget),
        rare=tuple(dict.fromkeys(plain(each.operation) for each in every if not each.cohorts)),
    )


def _cohorts(
    budgets: Iterable[OperationBudget | StackBudget], segments: tuple[str, ...], more: tuple[str, ...]
) -> pd.DataFrame:
    rows = [
        (
            *(plain(each.operation), each.n, plain(cohort.name), cohort.n),
            *(cohort.from_s, cohort.to_s, cohort.mean_s),
            *_segments(cohort, segments),
            *(getattr(cohort, name) for name in more),
        )
        for each in budgets
        for cohort in each.cohorts
    ]
    return pd.DataFrame(rows, columns=[*_COHORT, *segments, *more])


def _segments(cohort: Cohort | StackCohort, segments: tuple[str, ...]) -> list[float]:
    found: Mapping[Any, float] = cohort.segments
    return [found.get(name, 0.0) for name in segments]


def _engines(budgets: Iterable[OperationBudget | StackBudget]) -> pd.DataFrame:
    rows = [
        (plain(each.operation), plain(cohort.name), plain(engine), mean_s)
        for each in budgets
        for cohort in each.cohorts
        for engine, mean_s in cohort.engines.items()
    ]
    return pd.DataFrame(rows, columns=["operation", "cohort", "engine", "mean_s"])


def _slowest(budget: LatencyBudget) -> pd.DataFrame:
    rows = [
        (
            *(rank, plain(one.operation), plain(one.request_id), (one.due_ns - budget.start_ns) / 1e9),
            *(one.took_s, one.adds_up, step.segment, plain(step.who), plain(step.what), step.took_s),
        )
        for rank, one in enumerate(budget.slowest, start=1)
        for step in one.steps
    ]
    columns = ["rank", "operation", "request_id", "at_s", "response_s", "adds_up"]
    return pd.DataFrame(rows, columns=[*columns, "segment", "who", "what", "took_s"])
