"""Cohorts of requests and stacks near a rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.recorded.latency_budget import MOST_STEPS
from calorimeter.gates.request_path import cohorts
from calorimeter.gates.request_path.segments import RequestWay, Stay, TimedRequest
from calorimeter.gates.request_path.stack_hops import StackWay

MS = 1_000_000
T0 = 1_700_000_000_000 * MS


def way(took_ms: int, operation: str = "list", engine: str = "engine-1", number: int = 0) -> RequestWay:
    """A request that spent 1 ms in the API and the rest in an engine."""
    request = TimedRequest(
        api="rest", operation=operation, source="127.0.0.10", source_port=40000, request_id=f"req-{number}",
        scheduled_ns=T0, sent_ns=T0, done_ns=T0 + took_ms * MS, first_byte_ns=T0 + took_ms * MS, status=200,
        error="",
    )  # fmt: skip
    stays = (
        Stay("api_before", "api", "", 1 * MS),
        Stay("engine", engine, "list_stacks", (took_ms - 1) * MS),
    )
    return RequestWay(request, stays, 0)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, {}),
        (19, {}),
        (20, {"p50": [9, 10], "slowest tenth": [18, 19]}),
        (199, {"p50": [*range(89, 110)], "slowest tenth": [*range(180, 199)]}),
        (200, {"p50": [*range(90, 110)], "p95": [*range(185, 195)]}),
        (1000, {"p50": [*range(450, 550)], "p95": [*range(925, 975)], "p99": [*range(985, 995)]}),
    ],
)
def test_which_ranks_are_a_cohort(n: int, expected: dict[str, list[int]]) -> None:
    """Around a percentile that may be shown; the slowest tenth if only the median may."""
    assert {name: list(own) for name, own in cohorts.cohorts(range(n))} == expected


@given(st.integers(0, 3000))
def test_a_cohort_holds_its_percentile(n: int) -> None:
    """The rank of the percentile is in its cohort, which holds two things at least."""
    for name, own in cohorts.cohorts(range(n)):
        assert len(own) >= 2
        if name.startswith("p"):
            assert own[0] <= (n - 1) * int(name[1:]) / 100 <= own[-1] + 1


def test_the_budget_of_operations() -> None:
    """Means of each cohort, by engine; operations in the order of their names, then all."""
    ways = [way(10 * n, number=n) for n in range(1, 20)]
    ways += [way(1000, engine="engine-2", number=20), way(5, "show")]
    listed, shown, every = cohorts.operation_budgets(ways)
    assert [(each.operation, each.n) for each in (listed, shown, every)] == [
        ("rest list", 20), ("rest show", 1), ("all", 21),
    ]  # fmt: skip
    assert shown.cohorts == ()
    median, slow = listed.cohorts
    assert (median.name, median.n, median.from_s, median.to_s) == ("p50", 2, 0.1, 0.11)
    assert median.mean_s == pytest.approx(0.105)
    assert median.segments == {"api_before": 0.001, "engine": pytest.approx(0.104)}
    assert (slow.name, slow.n) == ("slowest tenth", 2)
    assert slow.engines == {"engine-1": pytest.approx(0.0945), "engine-2": pytest.approx(0.4995)}


def test_the_slowest_come_first_with_their_steps() -> None:
    """Ten of them."""
    found = cohorts.slowest([way(10 * n, number=n) for n in range(1, 31)])
    assert [one.request_id for one in found] == [f"req-{n}" for n in range(30, 20, -1)]
    assert [(step.segment, step.who, step.what) for step in found[0].steps] == [
        ("api_before", "api", ""), ("engine", "engine-1", "list_stacks"),
    ]  # fmt: skip
    assert sum(step.took_s for step in found[0].steps) == pytest.approx(found[0].took_s) == 0.3


def test_a_way_of_very_many_steps_is_shortened_and_still_adds_up() -> None:
    """The middle is one step."""
    stays = tuple(Stay("engine", f"e{n}", "", 1 * MS) for n in range(1000))
    (found,) = cohorts.slowest([RequestWay(way(1000).request, stays, 0)])
    assert len(found.steps) == MOST_STEPS
    assert sum(step.took_s for step in found.steps) == pytest.approx(1.0)
    assert [step.what for step in found.steps if step.segment == "unseen"] == ["801 steps"]


def test_the_budget_of_stacks() -> None:
    """Means, with messages, hops and waits."""
    ways = [
        StackWay(
            "rest create",
            n * 100 * MS,
            {"start": 40 * MS, "end": n * 100 * MS - 40 * MS},
            {"e": n * MS},
            messages=3,
            hops=2,
            waits_ns=n * MS,
            mismatch_ns=0,
        )
        for n in range(1, 21)
    ]
    (found,) = cohorts.stack_budgets(ways)
    assert (found.operation, found.n, [one.name for one in found.cohorts]) == (
        "rest create", 20, ["p50", "slowest tenth"],
    )  # fmt: skip
    median = found.cohorts[0]
    assert median.segments == {"start": pytest.approx(0.04), "end": pytest.approx(1.01)}
    assert (median.messages, median.hops, median.waits) == (3.0, 2.0, pytest.approx(0.0105))
