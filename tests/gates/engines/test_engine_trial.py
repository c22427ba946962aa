"""Golden evidence of E5 to E9: engines that stop, crash, freeze, are all gone, and come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.freeze import freeze_costs_its_share
from calorimeter.gates.engines.rotation import Consumer
from calorimeter.gates.engines.service_return import errors_are_clear_and_service_returns
from calorimeter.gates.engines.shares import Shares
from calorimeter.gates.engines.stop import clean_stop_loses_nothing, crash_is_survived, joins

S = 1_000_000_000
NAMES = ("engine-1 [1]", "engine-2 [2]", "engine-3 [3]")
BROKEN, HEALING, HEALED = 10, 30, 40
ALL = (
    clean_stop_loses_nothing,
    crash_is_survived,
    freeze_costs_its_share,
    errors_are_clear_and_service_returns,
)


def call(at_s: float, engine: str | None = NAMES[0], status: int = 200, took_s: float = 0.1) -> HeatCall:
    """A call that was sent at a second of the trial."""
    return HeatCall(
        operation="list",
        request_id=f"req-{at_s:g}",
        sent_ns=int(at_s * S),
        done_ns=int((at_s + took_s) * S),
        status=status,
        said="MessagingTimeout" if status >= 500 else "",
        engine=engine,
    )


def trial(*odd: HeatCall, **changes: object) -> EngineTrial:
    """One call a second for 50 s, all answered by engine-1; broken from second 10 to 30, back at 40."""
    fields: dict[str, object] = {
        "fault": "kill",
        "parts": ("engine-3",),
        "engines": NAMES[2:],
        "consumers": 3,
        "broken_ns": BROKEN * S,
        "settled_ns": (BROKEN + 1) * S,
        "healing_ns": HEALING * S,
        "healed_ns": HEALED * S,
        "noticed_ns": int((BROKEN + 0.2) * S),
        "first_ns": (HEALED + 1) * S,
        "rpc_timeout_s": 8.0,
        "proxy_timeout_s": 60.0,
        "api_s": 0.1,
        "calls": (*(call(n + 0.5) for n in range(50)), *odd),
    }
    return EngineTrial.model_validate(fields | changes)


def shares(*counts: int) -> Shares:
    """So many calls of each engine after it had joined."""
    consumers = tuple(Consumer(id=str(n), name=f"engine-{n}") for n in range(len(counts)))
    return Shares(
        queue="engine", before=consumers, after=consumers, counts={str(n): c for n, c in enumerate(counts)}
    )


def test_clean_stop_without_a_loss_passes_and_a_lost_call_fails() -> None:
    """Every call during a clean stop must be answered."""
    assert clean_stop_loses_nothing(trial()).outcome is Outcome.PASS
    judgement = clean_stop_loses_nothing(trial(call(9.9, NAMES[2], 500, 8.1)))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "list req-9.9: 500 MessagingTimeout after 8.1 s, delivered to engine-3 [3]",
    )


def test_engine_that_joins_and_shares_passes() -> None:
    """Its first call came 11 s after its start began, and then its share is exact."""
    judgement = joins(trial(after=shares(20, 20, 20)))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["first_call_s"] == 11.0


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"after": shares(25, 25, 10)}, Outcome.FAIL),
        ({"after": shares(30, 30)}, Outcome.FAIL),
        ({"after": shares(20, 20, 20), "first_ns": 0}, Outcome.FAIL),
        ({"after": shares(20, 20, 20), "healed_ns": 0}, Outcome.FAIL),
        ({}, Outcome.INCONCLUSIVE),
        ({"after": shares(2, 2, 2)}, Outcome.INCONCLUSIVE),
    ],
)
def test_engine_that_joins_otherwise(changes: dict[str, object], outcome: Outcome) -> None:
    """Less than its share, no call at all and no consumer are red; no count is no proof."""
    assert joins(trial(**changes)).outcome is outcome


def test_joining_where_calls_fail_is_inconclusive() -> None:
    """As E4: calls after the start that fail tell nothing of shares."""
    after = shares(20, 20, 20).model_copy(update={"calls": 60, "failed_calls": 60, "first_failed": "list"})
    judgement = joins(trial(after=after))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "60 of 60 calls failed (first: list)" in judgement.why


def test_crash_that_loses_what_the_engine_held_passes_and_names_it() -> None:
    """A call that the crashed engine had accepted is lost with it, by request."""
    judgement = crash_is_survived(trial(call(9.9, NAMES[2], 500, 8.1)))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["lost_with_the_engine"] == 1
    assert "req-9.9" in judgement.why
    # Sent while the command ended: it is no call that was sent afterwards.
    judgement = crash_is_survived(trial(call(BROKEN + 0.9, NAMES[2], 500, 8.1)))
    assert "the others answered all 19 calls sent afterwards, 1 calls that it had" in judgement.why


@pytest.mark.parametrize("lost", [call(15, NAMES[1], 500), call(15, None, 500), call(15, NAMES[2], 500)])
def test_crash_that_costs_others_or_later_calls_fails(lost: HeatCall) -> None:
    """A call of a living engine, of none, or of a dead engine long after its crash is more than it held."""
    judgement = crash_is_survived(trial(lost))
    assert judgement.outcome is Outcome.FAIL
    whose = "handed to the crashed engine after its crash" if lost.engine == NAMES[2] else (
        "not of the crashed engine"
    )  # fmt: skip
    assert judgement.counter_examples == (f"{whose}: {lost}",)


def frozen(**changes: object) -> EngineTrial:
    """A third of the calls during the freeze go to the frozen engine and fail after the RPC timeout."""
    stuck = tuple(call(n + 0.6, NAMES[2], 500, 8.1) for n in range(BROKEN, HEALING, 2))
    return trial(*stuck, **({"fault": "freeze", "noticed_ns": 0} | changes))


def test_freeze_that_costs_its_share_passes_with_the_blind_spot_as_a_figure() -> None:
    """10 of 30 calls went to the frozen engine, and nobody noticed."""
    judgement = freeze_costs_its_share(frozen())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["share_of_the_frozen"] == 0.333
    assert judgement.figures["noticed_s"] is None
    assert "in 20.0 s nobody noticed" in judgement.why


def test_freeze_that_costs_others_or_hangs_longer_fails() -> None:
    """An engine that runs must answer, and an error must come within the RPC timeout."""
    other = frozen().model_copy(update={"calls": (*frozen().calls, call(15, NAMES[1], 500, 8.1))})
    assert freeze_costs_its_share(other).outcome is Outcome.FAIL
    late = frozen().model_copy(update={"calls": (*frozen().calls, call(15, NAMES[2], 500, 20.0))})
    assert "an answer later than 9.1 s" in freeze_costs_its_share(late).counter_examples[0]


def test_call_that_the_engine_held_when_it_froze_is_its_own() -> None:
    """Delivered just before the freeze and not answered yet; one of another engine's is not excused."""
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
    """Where nothing went to the frozen engine, nothing is known of what it costs."""
    assert freeze_costs_its_share(trial()).outcome is Outcome.INCONCLUSIVE


def gone(*odd: HeatCall, **changes: object) -> EngineTrial:
    """Without engines every call fails after the RPC timeout."""
    calls = tuple(call(n + 0.5) for n in (*range(BROKEN), *range(HEALED, 50)))
    bad = tuple(call(n + 0.5, None, 500, 8.1) for n in range(BROKEN, HEALING))
    return trial(**{"calls": (*calls, *bad, *odd), "parts": ("engine-1", "engine-2", "engine-3")} | changes)


def test_clear_errors_and_a_return_pass() -> None:
    """All errors are Heat's own and in time, all calls since the return are answered."""
    judgement = errors_are_clear_and_service_returns(gone())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["answers_500"] == 20
    assert judgement.figures["calls_after"] == 10


def test_engines_that_were_not_all_gone_prove_nothing() -> None:
    """One that the command did not stop, or that nobody described, goes on answering."""
    judgement = errors_are_clear_and_service_returns(gone(noticed_ns=0))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "nothing shows that 'kill' of engine-1, engine-2, engine-3 did anything: the broker had its "
        "consumers all along"
    )
    other = call(15, "engine-9 [9]")
    judgement = errors_are_clear_and_service_returns(gone(other))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "1 calls were answered while all of engine-1, engine-2, engine-3 were gone: somebody else "
        f"consumes, see gate E1 ({other})"
    )
    queued = call(HEALING - 2, NAMES[0], took_s=7.0)
    assert errors_are_clear_and_service_returns(gone(queued)).outcome is Outcome.PASS


def test_cut_connection_and_errors_after_the_return_fail() -> None:
    """No answer is no clear error, and the hint names the race with the proxy's timeout."""
    cut = call(15, None, 0, 60.0).model_copy(update={"error": "ConnectionError"})
    judgement = errors_are_clear_and_service_returns(gone(cut, rpc_timeout_s=60.0))
    assert judgement.outcome is Outcome.FAIL
    assert "timeout server of the proxy must be longer" in judgement.counter_examples[0]
    assert errors_are_clear_and_service_returns(gone(call(45, NAMES[0], 500))).outcome is Outcome.FAIL
    assert errors_are_clear_and_service_returns(gone(healed_ns=0)).outcome is Outcome.FAIL


def test_an_error_of_the_proxys_is_not_clear() -> None:
    """HAProxy answers for Heat in mode http: in time perhaps, but nothing of Heat's, and no request id."""
    cut = call(15, None, 504, 8.0).model_copy(
        update={"request_id": None, "said": "without a word of Heat's"}
    )
    judgement = errors_are_clear_and_service_returns(gone(cut))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "an answer that is not Heat's: list : 504 without a word of Heat's after 8.0 s",
    )
    race = errors_are_clear_and_service_returns(gone(cut, proxy_timeout_s=8.0))
    assert "timeout server of the proxy must be longer" in race.counter_examples[0]


def cut(at_s: float, status: int = 0, took_s: float = 10.0) -> HeatCall:
    """A call that got no answer of Heat's, so that no request id tells whose it was."""
    error = "" if status else "ConnectionError"
    unknown = {"request_id": None, "said": "", "error": error}
    return call(at_s, None, status, took_s).model_copy(update=unknown)


def test_call_that_nobody_can_be_told_for_is_no_proof_against_others() -> None:
    """In flight during the fault it may have been the broken engine's; another proof is still one."""
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


def test_call_that_nobody_can_be_told_for_after_the_return_fails() -> None:
    """Once the crashed engine is back, it is not its crash that costs a call."""
    assert crash_is_survived(trial(cut(45))).outcome is Outcome.FAIL


def test_call_that_a_broken_trace_lacks_is_not_attributed() -> None:
    """With a hole in the trace a delivery may have been missed; a whole one tells that there was none."""
    lost = call(15, None, 500)
    assert crash_is_survived(trial(lost, incomplete="tracing is off")).outcome is Outcome.INCONCLUSIVE
    assert crash_is_survived(trial(lost)).outcome is Outcome.FAIL


def test_proxys_error_during_a_freeze_is_not_clear() -> None:
    """Whosoever the call was, its caller got nothing of Heat's, and that is told as it is."""
    judgement = freeze_costs_its_share(frozen(calls=(*frozen().calls, cut(15, 504))))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("an answer that is not Heat's: list : 504 after 10.0 s",)


def test_call_that_the_proxy_cut_off_during_a_freeze_had_no_error_in_time() -> None:
    """The guide's race: `timeout server` as long as the RPC timeout. It is red whosever the call was."""
    race = frozen(proxy_timeout_s=8.0)
    judgement = freeze_costs_its_share(race.model_copy(update={"calls": (*race.calls, cut(15, 0, 8.0))}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "no answer at all (timeout server of the proxy must be longer than rpc_response_timeout): "
        "list : ConnectionError after 8.0 s",
    )
    early = race.model_copy(update={"calls": (*race.calls, cut(15, 0, 0.1))})
    assert freeze_costs_its_share(early).outcome is Outcome.INCONCLUSIVE


def test_calls_in_hand_at_the_freeze_are_counted_apart() -> None:
    """What the engine had been handed before it froze is no part of the share that it went on getting."""
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
    assert f"{got} of which failed after 8 s, and 1 that it had when it froze;" in judgement.why


def test_frozen_engine_that_the_broker_takes_out_costs_nothing() -> None:
    """Its calls were handed to others, which answered them: that passes, with when it was noticed."""
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
    assert "the broker took it out after 5.0 s" in judgement.why
    assert freeze_costs_its_share(trial(*rescued, fault="freeze", noticed_ns=0)).outcome is (
        Outcome.INCONCLUSIVE
    )
    lost = call(11.2, NAMES[0], 500, 8.1).model_copy(update={"handed": (NAMES[2], NAMES[0])})
    judgement = freeze_costs_its_share(trial(*rescued, lost, **noticed))
    assert judgement.outcome is Outcome.PASS
    assert "1 of which failed after 8 s" in judgement.why


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize(
    "changes", [{"incomplete": "tracing is off"}, {"engines": ()}, {"calls": (call(1), call(50))}]
)
def test_a_trial_without_proof_is_inconclusive(check: object, changes: dict[str, object]) -> None:
    """A trace with a hole, an engine that was no consumer, and too few calls prove nothing."""
    assert callable(check)
    judgement: Judgement = check(trial(**changes))
    assert judgement.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (joins, {"fault": "stop", "after": shares(20, 20, 20)}),
        (clean_stop_loses_nothing, {"fault": "stop"}),
        (crash_is_survived, {}),
    ],
)
def test_fault_that_did_not_happen_is_inconclusive(
    check: Callable[[EngineTrial], Judgement], given: dict[str, object]
) -> None:
    """A command that ends well and stops nobody (another unit's name) costs nothing, and proves nothing."""
    assert check(trial(**given)).outcome is Outcome.PASS
    judgement = check(trial(**given, noticed_ns=0))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        f"nothing shows that {given.get('fault', 'kill')!r} of engine-3 did anything: the broker had its "
        "consumers all along"
    )


def test_engine_whose_first_call_a_broken_trace_lacks_is_not_blamed() -> None:
    """E5: without a hole in the trace no call means that there was none."""
    lacking = {"after": shares(20, 20, 20), "first_ns": 0}
    judgement = joins(trial(**lacking, incomplete="tracing is off"))
    assert (judgement.outcome, judgement.why) == (Outcome.INCONCLUSIVE, "tracing is off")
    assert joins(trial(**lacking)).outcome is Outcome.FAIL


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("changes", [{"most_deliveries": 3}, {"unmarked": 1}, {"healed_ns": 0}])
def test_what_no_fault_excuses_fails(check: object, changes: dict[str, object]) -> None:
    """A message handed out three times, an unmarked repetition, and an engine that does not return."""
    assert callable(check)
    judgement: Judgement = check(trial(**changes))
    assert judgement.outcome is Outcome.FAIL


def test_calls_that_failed_before_the_fault_are_inconclusive() -> None:
    """A deployment that drowns already tells nothing of the fault; the last second before it may be its."""
    early = trial(call(8.5, status=500, took_s=8.0))
    for check in ALL[:3]:
        judgement = check(early)
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert "1 of 10 calls that were sent before the fault" in judgement.why
    assert crash_is_survived(trial(call(9.5, status=500, took_s=8.0))).outcome is Outcome.FAIL
    assert crash_is_survived(trial(call(8.5, NAMES[2], status=500, took_s=8.0))).outcome is Outcome.PASS


def test_thawed_engine_may_be_late_but_must_answer_in_the_end() -> None:
    """What it was handed while frozen comes first; calls to it after the thaw may fail, not all of them."""
    frozen = [call(15, NAMES[2], 500, 8.0), call(31, NAMES[2], 500, 8.0)]
    assert freeze_costs_its_share(trial(*frozen)).outcome is Outcome.FAIL
    judgement = freeze_costs_its_share(trial(*frozen, call(45, NAMES[2])))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["failed_after_the_thaw"] == 1


def test_message_may_pass_through_every_broken_engine_once() -> None:
    """All engines killed: each may have held the message when it died, and one answered it after."""
    assert (
        errors_are_clear_and_service_returns(
            trial(call(15, None, 500, 8.0), engines=NAMES, most_deliveries=4)
        ).outcome
        is not Outcome.FAIL
    )
    judgement = errors_are_clear_and_service_returns(
        trial(call(15, None, 500, 8.0), engines=NAMES, most_deliveries=5)
    )
    assert judgement.counter_examples[0] == "a message was delivered 5 times"
