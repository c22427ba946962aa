"""Cohorts: the requests, or stacks, near a rank of the time that they took, and their mean segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from calorimeter.core import statistics
from calorimeter.core.errors import shortened
from calorimeter.core.recorded.latency_budget import (
    LONGEST_TEXT,
    MOST_PLACES,
    MOST_STEPS,
    Cohort,
    OperationBudget,
    RequestSegment,
    SlowWay,
    StackBudget,
    StackCohort,
    Step,
)
from calorimeter.gates.request_path.segments import RequestWay, Stay
from calorimeter.gates.request_path.stack_hops import StackWay

T = TypeVar("T")
K = TypeVar("K", bound=str)

ALL = "all"
"""The name of all operations together."""

SLOWEST = "slowest tenth"

SLOWEST_SHOWN = 10


class Ranks(NamedTuple):
    """A cohort: the percentile that must be known, and its first and last rank, in thousandths of all."""

    name: str
    percent: float
    first: int
    last: int


RANKS = (
    Ranks("p50", 50.0, 450, 550),
    Ranks("p95", 95.0, 925, 975),
    Ranks("p99", 99.0, 985, 995),
)
"""A tenth of all requests around the median, 5 % around p95, 1 % around p99: never fewer than two."""


def cohorts(ordered: Sequence[T]) -> Iterator[tuple[str, Sequence[T]]]:
    """The cohorts of some things in ascending order of time, by name.

    A percentile has one if it may be shown (`statistics.samples_needed`). If p95 has none, the slowest
    tenth is one, of at least two things.
    """
    n = len(ordered)
    known = [ranks for ranks in RANKS if n >= statistics.samples_needed(ranks.percent)]
    for ranks in known:
        yield ranks.name, ordered[n * ranks.first // 1000 : -(-n * ranks.last // 1000)]
    if known and known[-1].name == "p50":
        yield SLOWEST, ordered[n - n // 10 :]


def operation_budgets(ways: Iterable[RequestWay]) -> tuple[OperationBudget, ...]:
    """The budget of each operation in order of its name, and last of all of them.

    An operation that is too rare for a median has no cohorts.
    """
    by_kind: dict[str, list[RequestWay]] = {}
    every = sorted(ways, key=_order)
    for way in every:
        by_kind.setdefault(way.request.kind, []).append(way)
    named = [*sorted(by_kind.items()), *([(ALL, every)] if len(by_kind) > 1 else [])]
    return tuple(
        OperationBudget(
            operation=kind,
            n=len(own),
            cohorts=tuple(_cohort(*each) for each in cohorts(own)),
        )
        for kind, own in named
    )


def _order(way: RequestWay) -> tuple[int, int, str]:
    """Ascending time; the rest only makes the order the same each time."""
    return way.request.response_ns, way.request.scheduled_ns, way.request.request_id


def _cohort(name: str, ways: Sequence[RequestWay]) -> Cohort:
    taken = [way.request.response_ns for way in ways]
    return Cohort(
        name=name,
        n=len(ways),
        from_s=taken[0] / 1e9,
        to_s=taken[-1] / 1e9,
        mean_s=sum(taken) / len(taken) / 1e9,
        segments=_means([way.segments_ns() for way in ways]),
        engines=_most(_means([way.engines_ns() for way in ways])),
    )


def _means(each: Sequence[Mapping[K, int]]) -> dict[K, float]:
    """The mean of each key over all mappings, in s; a key that a mapping lacks counts as 0."""
    keys = dict.fromkeys(key for one in each for key in one)
    return {key: sum(one.get(key, 0) for one in each) / len(each) / 1e9 for key in keys}


def _most(means: dict[str, float]) -> dict[str, float]:
    """The engines by name, if they are too many those with most time."""
    most = sorted(means, key=lambda name: -means[name])[:MOST_PLACES]
    return {shortened(name, LONGEST_TEXT): means[name] for name in sorted(most)}


def stack_budgets(ways: Iterable[StackWay]) -> tuple[StackBudget, ...]:
    """The budget of the stacks of each operation, in order of its name."""
    by_kind: dict[str, list[StackWay]] = {}
    for way in sorted(ways, key=lambda way: way.took_ns):
        by_kind.setdefault(way.kind, []).append(way)
    return tuple(
        StackBudget(operation=kind, n=len(own), cohorts=tuple(_stacks(*each) for each in cohorts(own)))
        for kind, own in sorted(by_kind.items())
    )


def _stacks(name: str, ways: Sequence[StackWay]) -> StackCohort:
    taken, n = [way.took_ns for way in ways], len(ways)
    return StackCohort(
        name=name,
        n=n,
        from_s=taken[0] / 1e9,
        to_s=taken[-1] / 1e9,
        mean_s=sum(taken) / n / 1e9,
        segments=_means([way.segments_ns for way in ways]),
        engines=_most(_means([way.engines_ns for way in ways])),
        messages=sum(way.messages for way in ways) / n,
        hops=sum(way.hops for way in ways) / n,
        waits=sum(way.waits_ns for way in ways) / n / 1e9,
    )


def slowest(ways: Iterable[RequestWay]) -> tuple[SlowWay, ...]:
    """The requests that took longest, with their ways, the slowest first."""
    chosen = sorted(ways, key=_order)[::-1][:SLOWEST_SHOWN]
    return tuple(
        SlowWay(
            operation=way.request.kind,
            request_id=way.request.request_id,
            due_ns=way.request.scheduled_ns,
            took_s=way.request.response_ns / 1e9,
            adds_up=way.adds_up,
            steps=tuple(map(_step, _shortened(way.stays))),
        )
        for way in chosen
    )


def _shortened(stays: Sequence[Stay]) -> Sequence[Stay]:
    """The stays; if they are too many, those in the middle are one that nobody is said to have had."""
    if len(stays) <= MOST_STEPS:
        return stays
    kept = MOST_STEPS // 2
    between = stays[kept : 1 - kept]
    segment: RequestSegment = "unseen"
    hidden = Stay(segment, "", f"{len(between)} steps", sum(stay.took_ns for stay in between))
    return [*stays[:kept], hidden, *stays[1 - kept :]]


def _step(stay: Stay) -> Step:
    who, what = (shortened(text, LONGEST_TEXT) for text in (stay.who, stay.what))
    return Step(segment=stay.segment, who=who, what=what, took_s=stay.took_ns / 1e9)
