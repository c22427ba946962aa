"""Golden evidence of what a return may cost: engines that consume again and do not answer yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.freeze import freeze_costs_its_share
from calorimeter.gates.engines.service_return import errors_are_clear_and_service_returns
from calorimeter.gates.engines.stop import clean_stop_loses_nothing, crash_is_survived
from tests.gates.engines.test_engine_trial import BROKEN, HEALED, NAMES, S, call, frozen, gone, trial

BACK = ("engine-2 [12]", "engine-3 [13]")
"""Engines as they are called after their start, by another process id."""


def returned(*odd: HeatCall) -> tuple[HeatCall, ...]:
    """Both answer calls that were sent two seconds after the broker had them again, and odd ones."""
    return (call(HEALED + 2, BACK[0]), call(HEALED + 2.1, BACK[1]), *odd)


def test_call_that_an_engine_was_handed_before_it_served_is_a_figure() -> None:
    """A machine at its limit: one consumed again, and a call to it timed out before its first answer."""
    lost = call(HEALED + 0.2, BACK[0], 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(*returned(lost), returned=BACK))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["failed_while_starting"] == 1
    assert judgement.figures["recovery_s"] == 10.0
    assert judgement.figures["serving_s"] == 12.2
    assert judgement.why.endswith(", but 1 that engines got before they served")
    assert "without engines 20 calls got an error" in judgement.why


@pytest.mark.parametrize(
    ("at_s", "engine"), [(HEALED + 3, BACK[0]), (HEALED + 0.2, NAMES[0]), (HEALED + 0.2, None)]
)
def test_call_that_fails_for_no_start_is_lost(at_s: float, engine: str | None) -> None:
    """After all have answered nothing is excused, and before that only what who starts was handed."""
    lost = call(at_s, engine, 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(*returned(lost), returned=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (f"after the engines were back: {lost}",)


def test_start_excuses_for_the_rpc_timeout_and_no_longer() -> None:
    """What waited in the queue has expired by then; an engine that still drops calls is not back."""
    late = (call(HEALED + 2, BACK[0]), call(HEALED + 12, BACK[1]))
    judgement = errors_are_clear_and_service_returns(gone(*late, returned=BACK))
    assert judgement.outcome is Outcome.PASS
    early, beyond = (call(HEALED + s, BACK[1], 500, 8.1) for s in (7.9, 8.1))
    assert errors_are_clear_and_service_returns(gone(*late, early, returned=BACK)).outcome is Outcome.PASS
    judgement = errors_are_clear_and_service_returns(gone(*late, beyond, returned=BACK))
    assert judgement.counter_examples == (f"after the engines were back: {beyond}",)


def test_engine_that_consumes_and_never_answers_is_not_back() -> None:
    """It is named; one that was handed nothing is not known."""
    mute = call(HEALED + 0.2, BACK[1], 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(call(HEALED + 2, BACK[0]), mute, returned=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0] == "engine-3 [13] answered none of 1 calls after it was back"
    judgement = errors_are_clear_and_service_returns(gone(call(HEALED + 2, BACK[0]), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "engine-3 [13] was handed no call after it was back"


def test_what_a_return_costs_is_no_cost_of_the_crash() -> None:
    """E6: a call to the engine that starts anew; one after its first answer is more than a start costs."""
    lost = call(HEALED + 0.2, BACK[1], 500, 8.1)
    judgement = crash_is_survived(trial(*returned(lost), returned=BACK[1:]))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["failed_while_starting"] == 1
    assert judgement.figures["lost_with_the_engine"] == 0
    later = call(HEALED + 3, BACK[1], 500, 8.1)
    assert crash_is_survived(trial(*returned(later), returned=BACK[1:])).outcome is Outcome.FAIL


@pytest.mark.parametrize("at_s", [HEALED + 0.2, HEALED - 3])
@pytest.mark.parametrize(
    ("fault", "check"), [("kill", crash_is_survived), ("stop", clean_stop_loses_nothing)]
)
def test_call_to_an_engine_that_starts_is_no_cost_of_its_end(
    at_s: float, fault: str, check: Callable[[EngineTrial], Judgement]
) -> None:
    """E6, E9: an engine consumes before the broker lists it, up to five seconds by its default."""
    lost = call(at_s, BACK[1], 500, 8.1)
    judgement = check(trial(*returned(lost), returned=BACK[1:], fault=fault))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["failed_while_starting"] == 1
    assert (
        check(trial(call(at_s, BACK[1], 500, 8.1), returned=BACK[1:], fault=fault)).outcome is Outcome.FAIL
    )


@pytest.mark.parametrize(
    ("fault", "check"), [("kill", crash_is_survived), ("stop", clean_stop_loses_nothing)]
)
def test_call_to_the_engine_before_it_went_is_no_call_to_it_as_it_starts(
    fault: str, check: Callable[[EngineTrial], Judgement]
) -> None:
    """A command that only sends the signal ends at once; in a container the name stays the same."""
    lost, well = call(BROKEN + 1.3, NAMES[2], 500, 8.1), call(HEALED + 2, NAMES[2])
    went_ns = int((BROKEN + 2) * S)
    judgement = check(trial(lost, well, fault=fault, returned=NAMES[2:], noticed_ns=went_ns))
    assert judgement.outcome is Outcome.FAIL
    later = call(HEALED - 1, NAMES[2], 500, 8.1)
    judgement = check(trial(later, well, fault=fault, returned=NAMES[2:], noticed_ns=went_ns))
    assert judgement.outcome is Outcome.PASS, judgement.why


def test_engines_that_a_supervisor_starts_anew_are_no_strangers() -> None:
    """Nobody else consumes: gate E1 would be green. How soon they came back is not known."""
    by = call(BROKEN + 6, BACK[0])
    judgement = errors_are_clear_and_service_returns(gone(*returned(by), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith(
        "1 calls were answered by engines of engine-1, engine-2, engine-3 before their start was asked for"
    )
    assert judgement.figures["recovery_s"] is None
    survived = crash_is_survived(trial(*returned(call(BROKEN + 6, BACK[1])), returned=BACK[1:]))
    assert "the others answered all 19 calls sent afterwards" in survived.why


def test_calls_that_failed_before_the_outage_are_not_its_own() -> None:
    """With engines that failed calls already no error tells what the outage costs."""
    early = tuple(call(1 + n / 10, NAMES[0], 500, 0.2) for n in range(20))
    judgement = errors_are_clear_and_service_returns(gone(*returned(*early), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == f"20 calls failed before any fault: {early[0]}"


def test_answer_that_is_late_by_no_more_than_the_suite_itself_is_inconclusive() -> None:
    """The same machine stood still; what is later than that is late, and without a stall all is."""
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


def test_freeze_that_ends_before_the_heartbeat_says_when_it_would_have_been_noticed() -> None:
    """RabbitMQ looks for data once a heartbeat, and gives a peer up at the second look without."""
    judgement = freeze_costs_its_share(frozen(heartbeat_s=60))
    assert judgement.figures["heartbeat_s"] == 60
    assert (
        "nobody noticed (the broker does two to three heartbeats of 60 s after it last heard of it)"
        in judgement.why
    )
