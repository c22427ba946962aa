"""Literal trials of E5, E6 and E9: one engine stops or crashes, and joins again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.engines.stop import (
    clean_stop_loses_nothing,
    crash_is_survived,
    joining_engine_gets_its_share,
)
from tests.gates.engines.trials import (
    BACK,
    BROKEN,
    HEALED,
    NAMES,
    S,
    call,
    cut,
    returned,
    trial,
)


def test_clean_stop_without_a_loss_passes_and_a_lost_call_fails() -> None:
    """Every call during a clean stop must be answered."""
    assert clean_stop_loses_nothing(trial()).outcome is Outcome.PASS
    judgement = clean_stop_loses_nothing(trial(call(9.9, NAMES[2], 500, 8.1)))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "list req-9.9: 500 MessagingTimeout after 8.1 s, delivered to engine-3 [3]",
    )


def shares(*counts: int) -> QueueShares:
    """That many calls of each engine after the join."""
    consumers = tuple(QueueConsumer(id=str(n), name=f"engine-{n}") for n in range(len(counts)))
    return QueueShares(
        queue="engine", before=consumers, after=consumers, counts={str(n): c for n, c in enumerate(counts)}
    )


def test_engine_that_joins_and_shares_passes() -> None:
    """Its first call came 11 s after its start began, and then its share is exact."""
    judgement = joining_engine_gets_its_share(trial(after=shares(20, 20, 20)))
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
    """Less than its share, no call and no consumer are FAIL; without a count it is INCONCLUSIVE."""
    assert joining_engine_gets_its_share(trial(**changes)).outcome is outcome


def test_joining_where_calls_fail_is_inconclusive() -> None:
    """As in E4, failed calls after the start prove nothing about shares."""
    after = shares(20, 20, 20).model_copy(update={"calls": 60, "failed_calls": 60, "first_failed": "list"})
    judgement = joining_engine_gets_its_share(trial(after=after))
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
    assert "the other engines answered all 19 calls sent afterwards, 1 calls that it had" in judgement.why


@pytest.mark.parametrize("lost", [call(15, NAMES[1], 500), call(15, None, 500), call(15, NAMES[2], 500)])
def test_crash_that_costs_others_or_later_calls_fails(lost: HeatCall) -> None:
    """A call at another engine, at none, or at the dead engine long after its crash is not excused."""
    judgement = crash_is_survived(trial(lost))
    assert judgement.outcome is Outcome.FAIL
    whose = "delivered to the crashed engine after its crash" if lost.engine == NAMES[2] else (
        "not of the crashed engine"
    )  # fmt: skip
    assert judgement.counter_examples == (f"{whose}: {lost}",)


def test_unattributed_call_after_the_return_fails() -> None:
    """Once the crashed engine has returned, its crash does not excuse a lost call."""
    assert crash_is_survived(trial(cut(45))).outcome is Outcome.FAIL


def test_call_that_a_broken_trace_lacks_is_not_attributed() -> None:
    """An incomplete trace may lack its delivery; a complete one shows that there was none."""
    lost = call(15, None, 500)
    assert crash_is_survived(trial(lost, incomplete="tracing is off")).outcome is Outcome.INCONCLUSIVE
    assert crash_is_survived(trial(lost)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (joining_engine_gets_its_share, {"fault": "stop", "after": shares(20, 20, 20)}),
        (clean_stop_loses_nothing, {"fault": "stop"}),
        (crash_is_survived, {}),
    ],
)
def test_fault_that_did_not_happen_is_inconclusive(
    check: Callable[[EngineTrial], Judgement], given: dict[str, object]
) -> None:
    """A command that succeeds and stops another unit costs nothing, and proves nothing."""
    assert check(trial(**given)).outcome is Outcome.PASS
    judgement = check(trial(**given, noticed_ns=0, engines=()))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        f"nothing shows that {given.get('fault', 'kill')!r} of engine-3 had an effect: the broker kept "
        "listing its consumers"
    )


def test_engine_whose_first_call_a_broken_trace_lacks_is_not_blamed() -> None:
    """E5: only in a complete trace does a missing call mean that there was none."""
    lacking = {"after": shares(20, 20, 20), "first_ns": 0}
    judgement = joining_engine_gets_its_share(trial(**lacking, incomplete="tracing is off"))
    assert (judgement.outcome, judgement.why) == (Outcome.INCONCLUSIVE, "tracing is off")
    assert joining_engine_gets_its_share(trial(**lacking)).outcome is Outcome.FAIL


def test_what_a_return_costs_is_no_cost_of_the_crash() -> None:
    """E6: a call to the starting engine is excused, one after its first answer is not."""
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
def test_call_to_a_starting_engine_is_no_cost_of_its_end(
    at_s: float, fault: str, check: Callable[[EngineTrial], Judgement]
) -> None:
    """E6, E9: an engine consumes before the broker lists it, by default up to five seconds."""
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
def test_call_to_the_engine_before_it_stopped_is_not_excused_by_its_start(
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
