"""Counting requests beyond the limits of objectives, and ending a load by them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import objective_test
from calorimeter.core.statistics import LEAST_BATCHES
from calorimeter.load.recording.recorder import _ROW_TYPE
from calorimeter.load.run import objective_watch
from calorimeter.load.run.objective_watch import BLOCK_S, ERROR, ObjectiveCounts, ObjectiveWatch
from calorimeter.workload.scenario import Scenario
from tests.load.any_scenario import scenario

MS = 10**6
CODES = {
    "api": {"rest": 0, "cfn": 1},
    "operation": {"list": 0, "show": 1},
    "error": {"": 0, "timeout": 1, "dropped": 2},
}
OBJECTIVES = [
    {"operation": "rest.list", "p95_ms": 100, "p99_ms": 500},
    {"operation": "*", "max_error_ratio": 0.1, "min_per_s": 1},
]


def rows(*given: tuple[int, int, int, int, int]) -> Any:
    """Rows of a recorder: due in ms, taken in ms, api, operation, error."""
    found = np.zeros(len(given), dtype=_ROW_TYPE)
    for row, (due, took, api, operation, error) in zip(found, given, strict=True):
        row["scheduled_ns"], row["done_ns"] = due * MS, (due + took) * MS
        row["api"], row["operation"], row["error"] = api, operation, error
    return found


def load(objectives: list[dict[str, Any]] = OBJECTIVES, **more: Any) -> Scenario:
    """Ten minutes of ten users, the first minute of which is warm-up."""
    return scenario(objectives=objectives, **{"duration_s": 600, "warm_up_s": 60, "users": 10, **more})


def counts(*given: tuple[int, int, int, int, int]) -> list[tuple[int, int]]:
    """What is counted of rows, if the measured part is from 1 s to 100 s."""
    session: Any = SimpleNamespace(
        scenario=load(warm_up_s=0), load_from_ns=1000 * MS, clean_up_from_ns=100_000 * MS
    )
    counter = ObjectiveCounts(session)
    counter.add(rows(*given), CODES)
    found = counter.take()
    assert counter.take() == [(0, 0)] * 3
    return found


def test_successes_are_timed_and_all_requests_counted() -> None:
    """p95 and p99 are of successes of the operation, the error ratio of all requests, drops included."""
    given = (
        (2000, 100, 0, 0, 0),  # just within
        (2000, 101, 0, 0, 0),
        (2000, 501, 0, 0, 0),
        (2000, 9000, 0, 0, 1),  # a timeout is a failure, not a slow answer
        (2000, 9000, 0, 1, 0),  # another operation
        (2000, 9000, 1, 0, 0),  # another API
        (2000, 0, 0, 0, 2),
    )
    assert counts(*given) == [(3, 2), (3, 1), (7, 2)]


def test_warm_up_and_clean_up_do_not_count() -> None:
    """A request counts if it was due in the measured part, whenever it was answered."""
    given = ((999, 5000, 0, 0, 0), (1000, 1, 0, 0, 0), (99_999, 5000, 0, 0, 0), (100_000, 1, 0, 0, 0))
    assert counts(*given) == [(2, 1), (2, 1), (2, 0)]


def test_the_warm_up_is_counted_from_the_first_request() -> None:
    """As gate T1 does: users begin a little after their process."""
    session: Any = SimpleNamespace(scenario=load(), load_from_ns=60_000 * MS, clean_up_from_ns=2**62)
    counter = ObjectiveCounts(session)
    counter.add(rows((700, 1, 0, 0, 0), (60_699, 1, 0, 0, 0), (60_700, 1, 0, 0, 0)), CODES)
    counter.add(rows((60_000, 1, 0, 0, 0), (60_701, 1, 0, 0, 0)), CODES)
    assert counter.take()[2] == (2, 0)


def test_names_that_were_not_met_are_no_requests() -> None:
    """Codes are given out in order of first use: before that, nothing is of an operation."""
    session: Any = SimpleNamespace(scenario=load(warm_up_s=0), load_from_ns=0, clean_up_from_ns=2**62)
    counter = ObjectiveCounts(session)
    counter.add(rows((1, 1, 0, 0, 0)), {"api": {"cfn": 0}, "operation": {"x": 0}, "error": {"timeout": 0}})
    assert counter.take() == [(0, 0), (0, 0), (1, 1)]


def ended_at(watch: ObjectiveWatch, *blocks: list[tuple[int, int]], begin: int = 0) -> float | None:
    """When a watch ends a load that has these blocks from `begin` on; None if it does not."""
    for number, block in enumerate(blocks, begin + 1):
        watch.add(block)
        if watch.close_block(number * BLOCK_S) is not None:
            return number * BLOCK_S
    return None


GOOD, SLOW = [(100, 1), (100, 0), (100, 0)], [(100, 60), (100, 1), (100, 0)]


def test_a_missed_objective_ends_the_load_after_sixteen_blocks() -> None:
    """Those of the warm-up are not among them. The note has all figures, and says so in a sentence."""
    watch = ObjectiveWatch(load())
    assert ended_at(watch, *[SLOW] * 90) == 60 + LEAST_BATCHES * BLOCK_S
    assert watch.ended is not None
    assert watch.ended.objective == "p95 of rest.list at most 100 ms"
    assert (watch.ended.requests, watch.ended.beyond) == (2600, 1560)
    assert watch.ended.sentence.startswith(
        "p95 of rest.list at most 100 ms: 1,560 of 2,600 requests (60.00%) were beyond it after 156 s, "
        "5 % may be (p = "
    )
    noted = objective_test.of({objective_test.KEY: watch.about()})
    assert noted is not None and noted.ended == watch.ended
    assert noted.error == ERROR
    assert noted.tested[2] == "max_error_ratio of * at most 0.1"
    assert noted.untested == ("min_per_s of *",)


def test_a_load_that_holds_is_not_ended_and_says_so() -> None:
    """All blocks good; the share of time that a spike takes is too small."""
    watch = ObjectiveWatch(load())
    spike = [(100, 100), (100, 100), (100, 100)]
    assert ended_at(watch, *[GOOD] * 30, *[spike] * 4, *[GOOD] * 56) is None
    noted = objective_test.of({objective_test.KEY: watch.about()})
    assert noted is not None and noted.ended is None
    assert noted.sentence == "no: none of 3 tested objectives was proven to be missed (error 1%)"


def test_blocks_of_a_ramp_are_not_tested() -> None:
    """Between 100 s and 300 s the level rises: what is slow then ends nothing."""
    stages = [
        {"duration_s": 100, "rate_per_s": 5},
        {"duration_s": 200, "rate_per_s": 50, "ramp": True},
        {"duration_s": 300, "rate_per_s": 50},
    ]
    watch = ObjectiveWatch(load(stages=stages, duration_s=None, warm_up_s=0))
    assert ended_at(watch, *[GOOD] * 16, *[SLOW] * 34, *[GOOD] * 50) is None


def test_an_objective_that_t1_would_not_call_missed_ends_nothing() -> None:
    """p99 needs a thousand successes, however plain the excess is."""
    few = [(0, 0), (5, 5), (5, 0)]
    assert ended_at(ObjectiveWatch(load()), *[few] * 90) is None


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=12))
def test_a_report_of_another_shape_is_ignored(message: object) -> None:
    """Workers send lists of pairs: how many, and how many of them beyond."""
    watch = ObjectiveWatch(load())
    watch.add_message(message)
    watch.add_message([[1, 2], [1, 1], [1, 1]])
    watch.add_message([[True, 1], [1, 1], [1, 1]])
    watch.add_message([[2**50, 1], [1, 1], [1, 1]])
    assert watch._block.sum() == 0
    watch.add_message([[5, 1], (4, 1), [3, 0]])
    assert watch._block.tolist() == [[5, 1], [4, 1], [3, 0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (load([]), "has no objective to test"),
        (load([{"min_per_s": 1.0}]), "has no objective to test"),
        (load([{"max_error_ratio": 1.0}]), "has no objective to test"),
        (load(duration_s=155), "loads for 95 s after its warm-up; valid: for 96 s or more"),
        (load(duration_s=200, spawn_per_s=0.05), "loads for 0 s after its warm-up"),
    ],
)
def test_what_cannot_be_tested_is_refused(given: Scenario, message: str) -> None:
    """One line, before anything starts."""
    with pytest.raises(InputError) as refused:
        objective_watch.check(given)
    assert message in str(refused.value)
    objective_watch.check(load(duration_s=156))


@pytest.mark.parametrize("noted", [None, [], {}, {"error": 2}, {"error": 0.01, "tested": "x", "looks": 1}])
def test_a_damaged_note_is_none(noted: object) -> None:
    """run.json may come from anybody."""
    assert objective_test.of({objective_test.KEY: noted}) is None
