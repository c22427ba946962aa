"""Literal trials: what the checks of E6 to E9 have in common."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.engines.freeze import freeze_costs_its_share
from calorimeter.gates.engines.service_return import errors_are_clear_and_service_returns
from calorimeter.gates.engines.stop import (
    clean_stop_loses_nothing,
    crash_is_survived,
)
from tests.gates.engines.trials import (
    BROKEN,
    NAMES,
    call,
    cut,
    frozen,
    gone,
    trial,
)

ALL = (
    clean_stop_loses_nothing,
    crash_is_survived,
    freeze_costs_its_share,
    errors_are_clear_and_service_returns,
)


def test_unattributed_call_proves_nothing_against_other_engines() -> None:
    """It may have been at the broken engine; an attributed failure still proves something."""
    for check, given, other in (
        (crash_is_survived, trial(cut(15)), call(16, NAMES[1], 500)),
        (crash_is_survived, trial(cut(9.8)), call(16, NAMES[1], 500)),
        (crash_is_survived, trial(cut(15, 504)), call(16, NAMES[1], 500)),
        (freeze_costs_its_share, frozen(calls=(*frozen().calls, cut(15))), call(16, NAMES[1], 500)),
        (freeze_costs_its_share, frozen(calls=(*frozen().calls, cut(31, 504))), call(16, NAMES[1], 500)),
    ):
        judgement = check(given)
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.figures["unattributed"] == 1
        assert "1 failed calls could not be attributed to an engine" in judgement.why
        proven = check(given.model_copy(update={"calls": (*given.calls, other)}))
        assert proven.outcome is Outcome.FAIL
        assert "req-16" in proven.counter_examples[0]


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize(
    "changes", [{"incomplete": "tracing is off"}, {"engines": ()}, {"calls": (call(1), call(50))}]
)
def test_a_trial_without_proof_is_inconclusive(check: object, changes: dict[str, object]) -> None:
    """An incomplete trace, an engine that did not consume, and too few calls prove nothing."""
    assert callable(check)
    judgement: Judgement = check(trial(**changes))
    assert judgement.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("changes", [{"most_deliveries": 3}, {"unmarked": 1}, {"healed_ns": 0}])
def test_what_no_fault_excuses_fails(check: object, changes: dict[str, object]) -> None:
    """A message delivered three times, an unmarked redelivery, an engine that does not return."""
    assert callable(check)
    judgement: Judgement = check(trial(**changes))
    assert judgement.outcome is Outcome.FAIL


def test_calls_that_failed_before_the_fault_are_inconclusive() -> None:
    """On an overloaded deployment a fault shows nothing. The last second before it does not count."""
    early = trial(call(8.5, status=500, took_s=8.0))
    for check in ALL[:3]:
        judgement = check(early)
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert "1 of 10 calls sent before the fault" in judgement.why
    assert crash_is_survived(trial(call(9.5, status=500, took_s=8.0))).outcome is Outcome.FAIL
    assert crash_is_survived(trial(call(8.5, NAMES[2], status=500, took_s=8.0))).outcome is Outcome.PASS


def test_answer_as_late_as_the_suite_itself_is_inconclusive() -> None:
    """The machine itself stood still; an answer later than that, or without a stall, is late."""
    late = call(BROKEN + 1, NAMES[2], 500, 10.0)
    stuck = frozen()
    for check, given in (
        (errors_are_clear_and_service_returns, gone(late)),
        (freeze_costs_its_share, stuck.model_copy(update={"calls": (*stuck.calls, late)})),
    ):
        assert "an answer later than 9.1 s" in check(given).counter_examples[0]
        judgement = check(given.model_copy(update={"late_s": 1.0}))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.why.startswith(
            "1 answers came later than 9.1 s, but the suite itself was late by 1.0 s"
        )
        assert check(given.model_copy(update={"late_s": 0.5})).outcome is Outcome.FAIL
