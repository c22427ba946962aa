"""Literal trials of E7: one engine freezes."""

from __future__ import annotations

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.freeze import freeze_costs_its_share
from tests.gates.engines.trials import (
    BROKEN,
    HEALING,
    NAMES,
    S,
    call,
    cut,
    frozen,
    trial,
)


def test_freeze_that_costs_its_share_passes_with_the_blind_spot_as_a_figure() -> None:
    """10 of 30 calls went to the frozen engine, and the broker did not notice."""
    judgement = freeze_costs_its_share(frozen())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["share_of_the_frozen"] == 0.333
    assert judgement.figures["noticed_s"] is None
    assert "in 20.0 s the broker did not notice" in judgement.why


def test_freeze_that_costs_others_or_hangs_longer_fails() -> None:
    """An engine that runs must answer, and an error must come within the RPC timeout."""
    other = frozen().model_copy(update={"calls": (*frozen().calls, call(15, NAMES[1], 500, 8.1))})
    assert freeze_costs_its_share(other).outcome is Outcome.FAIL
    late = frozen().model_copy(update={"calls": (*frozen().calls, call(15, NAMES[2], 500, 20.0))})
    assert "an answer later than 9.1 s" in freeze_costs_its_share(late).counter_examples[0]


def test_call_that_the_engine_held_when_it_froze_is_its_own() -> None:
    """It was delivered just before the freeze; another engine's call is not excused."""
    held = call(BROKEN - 0.05, NAMES[2], 500, took_s=8.05)
    judgement = freeze_costs_its_share(frozen(calls=(*frozen().calls, held)))
    assert judgement.outcome is Outcome.PASS
    assert (
        judgement.figures["share_of_the_frozen"]
        == freeze_costs_its_share(frozen()).figures["share_of_the_frozen"]
    )
    other = held.model_copy(update={"engine": NAMES[0]})
    assert freeze_costs_its_share(frozen(calls=(*frozen().calls, other))).outcome is Outcome.FAIL


def test_freeze_without_a_failed_call_is_inconclusive() -> None:
    """If no call went to the frozen engine, its cost is unknown."""
    assert freeze_costs_its_share(trial()).outcome is Outcome.INCONCLUSIVE


def test_proxys_error_during_a_freeze_is_not_clear() -> None:
    """Whosoever the call was, its caller got nothing of Heat's, and that is told as it is."""
    judgement = freeze_costs_its_share(frozen(calls=(*frozen().calls, cut(15, 504))))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("an answer that did not come from Heat: list : 504 after 10.0 s",)


def test_call_that_the_proxy_cut_off_during_a_freeze_had_no_error_in_time() -> None:
    """The guide's race: `timeout server` is as long as the RPC timeout. It is FAIL at any engine."""
    race = frozen(proxy_timeout_s=8.0)
    judgement = freeze_costs_its_share(race.model_copy(update={"calls": (*race.calls, cut(15, 0, 8.0))}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "no answer at all (timeout server of the proxy must be longer than rpc_response_timeout): "
        "list : ConnectionError after 8.0 s",
    )
    early = race.model_copy(update={"calls": (*race.calls, cut(15, 0, 0.1))})
    assert freeze_costs_its_share(early).outcome is Outcome.INCONCLUSIVE


def test_calls_held_at_the_freeze_are_counted_separately() -> None:
    """A call delivered before the freeze is no part of the share that the engine got during it."""
    had = call(9.8, NAMES[2], 500, 8.0)
    judgement = freeze_costs_its_share(frozen(calls=(*frozen().calls, had)))
    assert judgement.outcome is Outcome.PASS
    got = judgement.figures["calls_to_the_frozen"]
    assert (
        judgement.figures["failed_of_them"]
        == got
        == freeze_costs_its_share(frozen()).figures["failed_of_them"]
    )
    assert judgement.figures["failed_in_hand"] == 1
    assert f"{got} of which failed after 8 s, and 1 more that it held when it froze;" in judgement.why


def test_frozen_engine_that_the_broker_drops_costs_nothing() -> None:
    """Its calls were redelivered to others, which answered them: PASS, with the time to notice."""
    rescued = tuple(
        call(n + 0.6, NAMES[0], took_s=5.0).model_copy(update={"handed": (NAMES[2], NAMES[0])})
        for n in range(BROKEN, HEALING, 2)
    )
    noticed = {"fault": "freeze", "noticed_ns": (BROKEN + 5) * S, "most_deliveries": 2}
    judgement = freeze_costs_its_share(trial(*rescued, **noticed))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["noticed_s"] == 5.0
    assert judgement.figures["handed_to_others"] == 10
    assert judgement.figures["calls_to_the_frozen"] == 10
    assert "the broker dropped its consumers after 5.0 s" in judgement.why
    assert freeze_costs_its_share(trial(*rescued, fault="freeze", noticed_ns=0)).outcome is (
        Outcome.INCONCLUSIVE
    )
    lost = call(11.2, NAMES[0], 500, 8.1).model_copy(update={"handed": (NAMES[2], NAMES[0])})
    judgement = freeze_costs_its_share(trial(*rescued, lost, **noticed))
    assert judgement.outcome is Outcome.PASS
    assert "1 of which failed after 8 s" in judgement.why


def test_thawed_engine_may_be_late_but_must_answer_in_the_end() -> None:
    """It works off its backlog first: some calls to it after the thaw may fail, but not all."""
    frozen = [call(15, NAMES[2], 500, 8.0), call(31, NAMES[2], 500, 8.0)]
    assert freeze_costs_its_share(trial(*frozen)).outcome is Outcome.FAIL
    judgement = freeze_costs_its_share(trial(*frozen, call(45, NAMES[2])))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["failed_after_the_thaw"] == 1


def test_freeze_that_ends_before_the_heartbeat_says_when_it_would_have_been_noticed() -> None:
    """RabbitMQ checks for data once per heartbeat, and closes the connection at the second miss."""
    judgement = freeze_costs_its_share(frozen(heartbeat_s=60))
    assert judgement.figures["heartbeat_s"] == 60
    assert (
        "the broker did not notice (it does two to three heartbeats of 60 s after it last received data "
        "from the engine)" in judgement.why
    )
