"""Literal trials of E8: all engines are gone, and return."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.service_return import errors_are_clear_and_service_returns
from calorimeter.gates.engines.stop import (
    crash_is_survived,
)
from tests.gates.engines.trials import (
    BACK,
    BROKEN,
    HEALED,
    HEALING,
    NAMES,
    call,
    gone,
    returned,
    trial,
)


def test_clear_errors_and_a_return_pass() -> None:
    """All errors are Heat's own and in time, all calls since the return are answered."""
    judgement = errors_are_clear_and_service_returns(gone())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["answers_500"] == 20
    assert judgement.figures["calls_after"] == 10


def test_engines_that_were_not_all_gone_prove_nothing() -> None:
    """An engine that the command did not stop, or that is not described, goes on answering."""
    judgement = errors_are_clear_and_service_returns(gone(noticed_ns=0, engines=()))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "nothing shows that 'kill' of engine-1, engine-2, engine-3 had an effect: the broker kept "
        "listing its consumers"
    )
    other = call(15, "engine-9 [9]")
    judgement = errors_are_clear_and_service_returns(gone(other))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "1 calls were answered while all of engine-1, engine-2, engine-3 were down: another process "
        f"consumes, see gate E1 ({other})"
    )
    queued = call(HEALING - 2, NAMES[0], took_s=7.0)
    assert errors_are_clear_and_service_returns(gone(queued)).outcome is Outcome.PASS


def test_cut_connection_and_errors_after_the_return_fail() -> None:
    """No answer is not a clear error, and the hint names the race with the proxy's timeout."""
    cut = call(15, None, 0, 60.0).model_copy(update={"error": "ConnectionError"})
    judgement = errors_are_clear_and_service_returns(gone(cut, rpc_timeout_s=60.0))
    assert judgement.outcome is Outcome.FAIL
    assert "timeout server of the proxy must be longer" in judgement.counter_examples[0]
    assert errors_are_clear_and_service_returns(gone(call(45, NAMES[0], 500))).outcome is Outcome.FAIL
    assert errors_are_clear_and_service_returns(gone(healed_ns=0)).outcome is Outcome.FAIL


def test_an_error_of_the_proxys_is_not_clear() -> None:
    """In mode http HAProxy answers in Heat's stead: without Heat's error and without a request id."""
    cut = call(15, None, 504, 8.0).model_copy(update={"request_id": None, "said": "not an error from Heat"})
    judgement = errors_are_clear_and_service_returns(gone(cut))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "an answer that did not come from Heat: list : 504 not an error from Heat after 8.0 s",
    )
    race = errors_are_clear_and_service_returns(gone(cut, proxy_timeout_s=8.0))
    assert "timeout server of the proxy must be longer" in race.counter_examples[0]


def test_message_may_pass_through_every_broken_engine_once() -> None:
    """All engines were killed: each may have held the message, before one answered it."""
    assert errors_are_clear_and_service_returns(gone(most_deliveries=4)).outcome is Outcome.PASS
    judgement = errors_are_clear_and_service_returns(gone(most_deliveries=5))
    assert judgement.counter_examples[0] == "a message was delivered 5 times"


def test_failed_call_to_a_starting_engine_is_a_figure() -> None:
    """On an overloaded machine a call to a returned engine timed out before its first answer."""
    lost = call(HEALED + 0.2, BACK[0], 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(*returned(lost), returned=BACK))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["failed_while_starting"] == 1
    assert judgement.figures["recovery_s"] == 10.0
    assert judgement.figures["serving_s"] == 12.2
    assert judgement.why.endswith(", except 1 delivered to engines that were still starting")
    assert "without engines 20 calls got an error" in judgement.why


@pytest.mark.parametrize(
    ("at_s", "engine"), [(HEALED + 3, BACK[0]), (HEALED + 0.2, NAMES[0]), (HEALED + 0.2, None)]
)
def test_failed_call_that_no_start_excuses_is_lost(at_s: float, engine: str | None) -> None:
    """Once all have answered no call is excused; before that only a call to a starting engine is."""
    lost = call(at_s, engine, 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(*returned(lost), returned=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (f"after the engines' return: {lost}",)


def test_start_excuses_for_the_rpc_timeout_and_no_longer() -> None:
    """The messages that waited have expired by then; an engine that still drops calls is broken."""
    late = (call(HEALED + 2, BACK[0]), call(HEALED + 12, BACK[1]))
    judgement = errors_are_clear_and_service_returns(gone(*late, returned=BACK))
    assert judgement.outcome is Outcome.PASS
    early, beyond = (call(HEALED + s, BACK[1], 500, 8.1) for s in (7.9, 8.1))
    assert errors_are_clear_and_service_returns(gone(*late, early, returned=BACK)).outcome is Outcome.PASS
    judgement = errors_are_clear_and_service_returns(gone(*late, beyond, returned=BACK))
    assert judgement.counter_examples == (f"after the engines' return: {beyond}",)


def test_engine_that_consumes_and_never_answers_fails() -> None:
    """It is named; an engine that got no call is INCONCLUSIVE."""
    mute = call(HEALED + 0.2, BACK[1], 500, 8.1)
    judgement = errors_are_clear_and_service_returns(gone(call(HEALED + 2, BACK[0]), mute, returned=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0] == "engine-3 [13] answered none of 1 calls after its return"
    judgement = errors_are_clear_and_service_returns(gone(call(HEALED + 2, BACK[0]), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "no call was delivered to engine-3 [13] after its return"


def test_engines_that_a_supervisor_restarts_are_no_strangers() -> None:
    """E1 would pass, since no other process consumes. Their recovery time is unknown."""
    by = call(BROKEN + 6, BACK[0])
    judgement = errors_are_clear_and_service_returns(gone(*returned(by), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith(
        "1 calls were answered by engines of engine-1, engine-2, engine-3 before the suite started them"
    )
    assert judgement.figures["recovery_s"] is None
    survived = crash_is_survived(trial(*returned(call(BROKEN + 6, BACK[1])), returned=BACK[1:]))
    assert "the other engines answered all 19 calls sent afterwards" in survived.why


def test_calls_that_failed_before_the_outage_are_not_its_own() -> None:
    """If calls failed already, no error shows the cost of the outage."""
    early = tuple(call(1 + n / 10, NAMES[0], 500, 0.2) for n in range(20))
    judgement = errors_are_clear_and_service_returns(gone(*returned(*early), returned=BACK))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == f"20 calls failed before the fault: {early[0]}"
