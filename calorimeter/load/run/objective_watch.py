"""Ends a load when one of its objectives can no longer be believed: `--abort-on-objective`.

Each process with users counts, with each second's rows, how many requests were beyond each limit; nothing
is done for a single request. The process that the user started adds the counts up in blocks of `BLOCK_S`
and tests each bound (`calorimeter.core.statistics.SEQUENTIAL_RULE`). Workers hand over differences with
the reports that they send to their master anyway, so no clock of theirs matters. A request counts in the
block in which its end was reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import numpy as np

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.objective_test import MissedObjective, ObjectiveTest
from calorimeter.core.statistics import LEAST_BATCHES, SequentialRatio, looks_within, samples_needed
from calorimeter.load.run.session import LoadSession
from calorimeter.workload.scenario import Objective, Scenario
from calorimeter.workload.stages import ramps

BLOCK_S = 6.0
"""Twice the three seconds between two reports of a worker: a block holds two of each."""

ERROR = 0.01
"""The chance that the test ends a load all of whose objectives hold."""

PERCENTS = (50.0, 95.0, 99.0)
MOST_COUNT = 2**40

Counts = list[tuple[int, int]]
"""For each bound: how many requests it is about, and how many of them were beyond it."""


@dataclass(frozen=True, slots=True)
class TestedBound:
    """A bound of an objective as a share of requests: `percent` is None for the error ratio."""

    operation: str
    percent: float | None
    limit: float

    def __str__(self) -> str:
        if self.percent is None:
            return f"max_error_ratio of {self.operation} at most {self.limit:g}"
        return f"p{self.percent:g} of {self.operation} at most {self.limit:g} ms"

    @property
    def allowed(self) -> float:
        """The share of requests that may be beyond the limit."""
        return self.limit if self.percent is None else (100 - self.percent) / 100

    def missed(self, requests: int, beyond: int) -> bool:
        """Whether gate T1 would call it missed at these counts, however the percentile is interpolated."""
        if self.percent is None:
            return beyond > self.allowed * requests
        return requests >= samples_needed(self.percent) and beyond >= self.allowed * requests + 1


def bounds_of(objectives: Sequence[Objective]) -> list[TestedBound]:
    """The bounds that are tested: percentiles and error ratios. `min_per_s` is no ratio of requests."""
    return [bound for each in objectives for bound in _bounds(each)]


def _bounds(objective: Objective) -> Iterator[TestedBound]:
    for percent, limit in zip(PERCENTS, objective.percentiles_ms, strict=True):
        if limit is not None:
            yield TestedBound(objective.operation, percent, limit)
    if objective.max_error_ratio is not None and objective.max_error_ratio < 1:
        yield TestedBound(objective.operation, None, objective.max_error_ratio)


def settled_after_s(scenario: Scenario) -> float:
    """When the warm-up is over and all users have started, in seconds after the load began."""
    starting = 0.0 if scenario.rates or scenario.stages else scenario.users / scenario.spawn_per_s
    return max(scenario.warm_up_s, starting)


def check(scenario: Scenario) -> None:
    """Raise InputError if no objective of a scenario can be tested, or its load is too short."""
    if not bounds_of(scenario.objectives):
        valid = "valid: a scenario with [[objectives]] that limit a percentile or the error ratio"
        raise InputError("--abort-on-objective", f"{scenario.name} has no objective to test", valid)
    least_s = LEAST_BATCHES * BLOCK_S
    if (measured_s := scenario.duration_s - settled_after_s(scenario)) < least_s:
        given = f"{scenario.name} loads for {measured_s:g} s after its warm-up"
        raise InputError("--abort-on-objective", given, f"valid: for {least_s:g} s or more")


class ObjectiveCounts:
    """Counts of one process with users, of requests that are due in the measured part of the load.

    As for gate T1, it begins when the warm-up after the first request is over; here, of this process.
    """

    def __init__(self, session: LoadSession) -> None:
        self._session = session
        self._bounds = bounds_of(session.scenario.objectives)
        self._counts = np.zeros((len(self._bounds), 2), dtype=np.int64)
        self._begin_ns = 0

    def add(self, rows: np.ndarray[Any, Any], codes: Mapping[str, Mapping[str, int]]) -> None:
        """Count rows of a recorder; `codes` are those of its columns `api`, `operation` and `error`."""
        due, session = rows["scheduled_ns"], self._session
        if not self._begin_ns:
            self._begin_ns = int(due.min()) + int(session.scenario.warm_up_s * 1e9)
        begin_ns = max(self._begin_ns, session.load_from_ns)
        measured = (due >= begin_ns) & (due < session.clean_up_from_ns)
        good = rows["error"] == codes["error"].get("", -1)
        taken_ms = (rows["done_ns"] - due) / 1e6
        chosen: dict[str, Any] = {}
        for place, bound in enumerate(self._bounds):
            if bound.operation not in chosen:
                chosen[bound.operation] = measured & _of(bound.operation, rows, codes)
            own = chosen[bound.operation]
            if bound.percent is None:
                counted = own.sum(), (own & ~good).sum()
            else:
                counted = (own & good).sum(), (own & good & (taken_ms > bound.limit)).sum()
            self._counts[place] += counted

    def take(self) -> Counts:
        """The counts since the last call."""
        taken, self._counts = self._counts, np.zeros_like(self._counts)
        return [(int(requests), int(beyond)) for requests, beyond in taken]


def _of(operation: str, rows: np.ndarray[Any, Any], codes: Mapping[str, Mapping[str, int]]) -> Any:
    """Which rows are of an operation, as in `rest.list`; `*`: all."""
    if operation == "*":
        return np.ones(len(rows), dtype=np.bool_)
    api, _, name = operation.partition(".")
    return (rows["api"] == codes["api"].get(api, -1)) & (
        rows["operation"] == codes["operation"].get(name, -1)
    )


class ObjectiveWatch:
    """The test of one run, in the process that the user started."""

    def __init__(self, scenario: Scenario) -> None:
        self.bounds = bounds_of(scenario.objectives)
        self._begin_s = settled_after_s(scenario)
        self._ramps = ramps(scenario.stages)
        self.looks = looks_within(int((scenario.duration_s - self._begin_s) / BLOCK_S))
        self._untested = tuple(
            f"min_per_s of {each.operation}" for each in scenario.objectives if each.min_per_s is not None
        )
        p_allowed = ERROR / max(1, self.looks * len(self.bounds))
        self._tests = [SequentialRatio(bound.allowed, p_allowed) for bound in self.bounds]
        self._block = np.zeros((len(self.bounds), 2), dtype=np.int64)
        self._total = np.zeros_like(self._block)
        self.ended: MissedObjective | None = None

    def add(self, counts: Counts) -> None:
        """Add counts to the current block."""
        self._block += np.array(counts, dtype=np.int64)

    def add_message(self, message: object) -> None:
        """Add the counts in a worker's report, unless it is none."""
        if not isinstance(message, list) or len(message) != len(self.bounds):
            return
        pairs = [pair for pair in message if isinstance(pair, list | tuple) and len(pair) == 2]
        if len(pairs) == len(message) and all(_is_count(*pair) for pair in pairs):
            self.add([(pair[0], pair[1]) for pair in pairs])

    def close_block(self, at_s: float) -> MissedObjective | None:
        """End a block, `at_s` after the load began. Returns the objective that is missed, if one is.

        Blocks of the warm-up, and those in which the load itself changes, are not tested.
        """
        block, self._block = self._block, np.zeros_like(self._block)
        self._total += block
        middle_s = at_s - BLOCK_S / 2
        if middle_s < self._begin_s or any(begin <= middle_s < end for begin, end in self._ramps):
            return None
        for place, (bound, test) in enumerate(zip(self.bounds, self._tests, strict=True)):
            proven = test.add(int(block[place, 0]), int(block[place, 1]))
            requests, beyond = map(int, self._total[place])
            if proven is not None and self.ended is None and bound.missed(requests, beyond):
                self.ended = MissedObjective(
                    objective=str(bound),
                    at_s=round(at_s, 3),
                    requests=requests,
                    beyond=beyond,
                    allowed=bound.allowed,
                    t=round(min(proven.t, 1e6), 3),
                    p=proven.p,
                    p_allowed=proven.p_allowed,
                    batches=proven.batches,
                    batch_s=proven.batch * BLOCK_S,
                )
        return self.ended

    def about(self) -> dict[str, Any]:
        """The note in run.json."""
        return ObjectiveTest(
            error=ERROR,
            tested=tuple(map(str, self.bounds)),
            untested=self._untested,
            looks=self.looks,
            ended=self.ended,
        ).model_dump(mode="json")

    def until_missed(self, counts: ObjectiveCounts | None, ended: Callable[[], None]) -> None:
        """Close a block every `BLOCK_S` from the beginning of the load on; call `ended` if one is missed.

        `counts` are those of this process; None if workers report theirs.
        """
        begun = time.monotonic()
        for number in range(1, 2**31):
            at_s = number * BLOCK_S
            gevent.sleep(max(0.0, begun + at_s - time.monotonic()))
            if counts is not None:
                self.add(counts.take())
            if self.close_block(at_s) is not None:
                ended()
                return


def _is_count(requests: object, beyond: object) -> bool:
    return type(requests) is int and type(beyond) is int and 0 <= beyond <= requests <= MOST_COUNT
