"""Golden evidence of T1 and T3: objectives met, missed and undecided; generators with and without time."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.service_level.objectives import (
    GeneratorRecord,
    ServedOperation,
    ServiceLevel,
    not_the_bottleneck,
    objectives_hold,
)
from calorimeter.workload.scenario import Objective

QUICK = {"p50": 20.0, "p95": 80.0, "p99": 200.0}


def judged(
    *objectives: Objective, ok: int = 5000, requests: int = 5000, whole: bool = True, window_s: float = 100
) -> Judgement:
    """T1 on a run of `list` requests that took 20, 80 and 200 ms at p50, p95 and p99."""
    names = dict.fromkeys(("*", *(objective.operation for objective in objectives)))
    served = tuple(
        ServedOperation(operation=n, requests=requests, ok=ok, dropped=0, response_ms=QUICK if ok else {})
        for n in names
    )
    return objectives_hold(
        ServiceLevel(run="r", whole=whole, window_s=window_s, objectives=objectives, served=served)
    )


EVERYTHING = Objective(
    operation="rest.list", p50_ms=20, p95_ms=80, p99_ms=200, max_error_ratio=0.01, min_per_s=50
)


def test_objectives_that_are_met_pass() -> None:
    """A value at its bound meets it; each of the five bounds counts."""
    found = judged(EVERYTHING)
    assert found.outcome is Outcome.PASS
    assert found.why == "all objectives were met over the 100 s window"
    assert found.figures["kept"] == 5
    assert found.figures["rest.list_per_s"] == 50.0


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Objective(p99_ms=199), "*: p99 200.0 ms, the objective is at most 199 ms"),
        (Objective(p50_ms=19.9), "*: p50 20.0 ms"),
        (
            Objective(max_error_ratio=0.05),
            "*: 500 of 5000 requests failed, the objective is at most 5.0000%",
        ),
        (Objective(min_per_s=50), "*: 45.00 successes/s, the objective is at least 50"),
    ],
)
def test_each_objective_that_is_missed_fails_and_is_quoted(objective: Objective, message: str) -> None:
    """The counter-example names the objective and what was measured."""
    found = judged(objective, ok=4500)
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples[0].startswith(message)


def test_a_run_in_which_everything_failed_never_passes() -> None:
    """Not with an objective that errors cannot miss, nor without any objective."""
    for objectives in ((Objective(max_error_ratio=1.0),), (Objective(p99_ms=1e9),), ()):
        assert judged(*objectives, ok=0).outcome is Outcome.FAIL


def test_an_operation_that_always_failed_fails_its_latency_objective() -> None:
    """Successes of other operations do not hide it."""
    served = (
        ServedOperation(operation="*", requests=5000, ok=4000, dropped=0, response_ms=QUICK),
        ServedOperation(operation="rest.create", requests=1000, ok=0, dropped=0, response_ms={}),
    )
    objective = (Objective(operation="rest.create", p50_ms=100),)
    evidence = ServiceLevel(run="r", whole=True, window_s=9, objectives=objective, served=served)
    assert objectives_hold(evidence).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("objective", "requests"),
    [
        (Objective(p50_ms=30), 19),
        (Objective(p95_ms=90), 199),
        (Objective(p99_ms=300), 999),
        (Objective(max_error_ratio=0.001), 999),
        (Objective(max_error_ratio=0.0), 19),
        (Objective(min_per_s=0.1), 19),
    ],
)
def test_too_few_samples_decide_no_objective(objective: Objective, requests: int) -> None:
    """One sample fewer than are needed is INCONCLUSIVE, just enough is PASS."""
    assert judged(objective, ok=requests, requests=requests).outcome is Outcome.INCONCLUSIVE
    assert judged(objective, ok=requests + 1, requests=requests + 1).outcome is Outcome.PASS


def test_runs_that_are_empty_cut_short_or_without_objectives_are_inconclusive() -> None:
    """No request, an end before the time was up, no objective, an objective without a bound."""
    objective = Objective(p50_ms=30)
    assert judged(objective, ok=0, requests=0).outcome is Outcome.INCONCLUSIVE
    assert judged(objective, whole=False).why == "the run was cut short"
    assert judged().outcome is Outcome.INCONCLUSIVE
    assert judged(Objective()).outcome is Outcome.INCONCLUSIVE


def test_one_missed_objective_outweighs_undecided_ones() -> None:
    """A refuted objective stays refuted, also in a run that was cut short."""
    found = judged(Objective(p99_ms=300), Objective(p50_ms=1), ok=500, requests=500, whole=False)
    assert found.outcome is Outcome.FAIL


GENERATOR = GeneratorRecord(
    sent=5000,
    windows=100,
    busy=(),
    timed=5000,
    late=0,
    limited=(),
    percent=99,
    cpu_share=0.4,
    lag_p99_ms=1.0,
)


def generator(busy: int = 0, **changes: object) -> Judgement:
    """T3 where a process had no time left in so many seconds, with something else changed."""
    seconds = tuple(f"worker-00 after {n} s: the generator used 95% of its core" for n in range(busy))
    return not_the_bottleneck(GENERATOR.model_copy(update={"busy": seconds, **changes}))


@pytest.mark.parametrize(("percent", "allowed"), [(99.0, 1), (95.0, 5), (50.0, 50)])
def test_seconds_that_cannot_move_the_percentile_are_allowed(percent: float, allowed: int) -> None:
    """As many as lie beyond the highest percentile judged pass; one more fails and is quoted."""
    assert generator(allowed, percent=percent).outcome is Outcome.PASS
    found = generator(allowed + 1, percent=percent)
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples[0] == "worker-00 after 0 s: the generator used 95% of its core"


@pytest.mark.parametrize(("percent", "allowed"), [(99.0, 50), (95.0, 250), (50.0, 2500)])
def test_late_arrivals_that_cannot_move_the_percentile_are_allowed(percent: float, allowed: int) -> None:
    """One late arrival of few in a second does not spoil a median; more than a percent of all do a p99."""
    seconds = (
        "worker-00 after 7 s: 1 % of the generator's lags were 41.0 ms or more; 40.0 ms are allowed",
    )
    assert generator(late=allowed, percent=percent, limited=seconds).outcome is Outcome.PASS
    found = generator(late=allowed + 1, percent=percent, limited=seconds)
    assert found.outcome is Outcome.FAIL
    assert f"{allowed + 1:,} of 5,000 cases" in found.why
    assert found.counter_examples == seconds


@pytest.mark.parametrize("changes", [{"windows": 0}, {"timed": 0}, {"sent": 0}])
def test_a_generator_without_evidence_does_not_pass(changes: dict[str, object]) -> None:
    """No second recorded, nothing timed, nothing sent."""
    assert generator(**changes).outcome is Outcome.INCONCLUSIVE
