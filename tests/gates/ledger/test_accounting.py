"""Literal evidence of L3: stacks accounted for while parts crash."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.ledger.accounting import Crash, StacksDuringCrashes, all_accounted_for
from calorimeter.gates.request_path.completeness import JoinCompleteness
from tests.gates.stack_bursts import call, record

S = 1_000_000_000
ENGINE = Crash(part="engine-3", engine=True, at_ns=11 * S, back_ns=20 * S, held=("req-create-10",))
API = Crash(part="rest-1", engine=False, at_ns=30 * S, back_ns=35 * S)
OPEN = record(10, "CREATE_IN_PROGRESS")


def evidence(*odd: StackRecord, **changes: object) -> StacksDuringCrashes:
    """Ten complete stacks and odd ones, while an engine and an API crashed."""
    fields: dict[str, object] = {
        "entries": (*(record(n) for n in range(10)), *odd),
        "crashes": (ENGINE, API),
        "settled_s": 5,
    }
    return StacksDuringCrashes.model_validate(fields | changes)


def test_stack_that_the_crashed_engine_held_is_lost_by_name() -> None:
    """It is named with its engine: PASS."""
    judgement = all_accounted_for(evidence(OPEN))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["lost_by_name"] == 1
    assert judgement.figures["in_flight_at_engine-3"] == 1
    assert "stack-10 was lost with engine-3" in judgement.why


SHARED = ENGINE.model_copy(update={"engines": ("heat [11]",), "sizes": {"heat": (1, 1)}})
"""One of two engines of a shared host."""


def test_engine_of_a_shared_host_that_crashed_is_named() -> None:
    """By the process that the broker shows: an operator finds it by that."""
    judgement = all_accounted_for(evidence(OPEN, crashes=(SHARED, API)))
    assert judgement.outcome is Outcome.PASS
    assert judgement.why.startswith("while engine-3 (heat [11]), rest-1 crashed and returned, 11 stacks")
    assert judgement.why.endswith("; stack-10 was lost with engine-3 (heat [11])")


@pytest.mark.parametrize("back_ns", [20 * S, 0])
def test_more_engines_that_crashed_than_one_prove_nothing(back_ns: int) -> None:
    """Whose work was lost is unknown, and so is why the other one does not return."""
    both = SHARED.model_copy(update={"engines": ("heat [11]", "heat [12]"), "back_ns": back_ns})
    judgement = all_accounted_for(evidence(OPEN, crashes=(both, API)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith(
        "'kill' of engine-3 was to strike one engine, but 2 consumers went away or fell silent: heat [11], "
        "heat [12] (heat: 2 engines of 1 consumer)"
    )


def test_more_lost_than_was_in_flight_fails() -> None:
    """One unfinished request cannot have lost two stacks."""
    twin = OPEN.model_copy(update={"name": "stack-11"})
    judgement = all_accounted_for(evidence(OPEN, twin))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "2 stacks were lost with engine-3, which had 1 in flight: stack-10, stack-11",
    )


def test_stack_that_no_crashed_engine_held_is_unaccounted_for() -> None:
    """It is not final, and no crashed engine had work of it: FAIL."""
    judgement = all_accounted_for(evidence(record(11, "CREATE_IN_PROGRESS")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "stack-11 (req-create-11) is CREATE_IN_PROGRESS, and no crashed engine held it",
    )


def test_failed_stack_is_accounted_for() -> None:
    """FAILED is a final state."""
    assert all_accounted_for(evidence(record(10, "CREATE_FAILED"))).outcome is Outcome.PASS


def test_stack_unknown_to_its_client_must_be_final_too() -> None:
    """Its create was cut off, but the stack was created."""
    unknown = record(12, "CREATE_IN_PROGRESS", create=call("create", 12, 0, error="ConnectionError"))
    assert all_accounted_for(evidence(unknown)).outcome is Outcome.FAIL


def test_counts_of_ends_add_up_to_what_was_taken() -> None:
    """A stack unknown to its client was taken on too; it is complete or lost by name."""
    cut = record(12, create=call("create", 12, 0, error="ConnectionError"))
    judgement = all_accounted_for(evidence(OPEN, cut))
    assert judgement.figures["complete"] == 11
    assert (
        "11 stacks were accepted and 1 more were created although their clients got no answer"
        in judgement.why
    )
    assert "11 complete, 0 failed, 1 lost by name" in judgement.why


def test_creates_that_were_open_as_an_api_crashed_are_figures() -> None:
    """They count at all APIs together; if some failed, the crash struck them."""
    judgement = all_accounted_for(evidence())
    assert judgement.figures["creates_open_as_rest-1_crashed"] == 0
    cut = record(12, create=call("create", 29.95, 0, error="ConnectionError"))
    judgement = all_accounted_for(evidence(cut, record(13, create=call("create", 29.96))))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["creates_open_as_rest-1_crashed"] == 2
    assert judgement.figures["creates_failed_as_rest-1_crashed"] == 1
    assert "creates_open_as_engine-3_crashed" not in judgement.figures


def test_part_that_does_not_return_fails() -> None:
    """L3 needs crashes and returns."""
    judgement = all_accounted_for(evidence(crashes=(ENGINE.model_copy(update={"back_ns": 0}),)))
    assert judgement.counter_examples == ("engine-3 did not return",)


@pytest.mark.parametrize("crash", [ENGINE, API])
def test_crash_that_did_not_happen_is_inconclusive(crash: Crash) -> None:
    """A part that the command left alive proves nothing; an unaccounted stack still does."""
    alive = crash.model_copy(update={"happened": False})
    crashes = {"crashes": tuple(alive if each is crash else each for each in (ENGINE, API))}
    judgement = all_accounted_for(evidence(**crashes))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        f"the fault did not happen: {crash.part} was still running after the command for 'kill' had "
        "succeeded"
    )
    stuck = evidence(record(11, "CREATE_IN_PROGRESS"), **crashes)
    assert all_accounted_for(stuck).outcome is Outcome.FAIL


def test_no_crash_too_few_stacks_or_a_broken_trace_are_inconclusive() -> None:
    """Without a crash nothing is proven; with an incomplete trace no engine can be named."""
    assert all_accounted_for(evidence(crashes=(API,))).outcome is Outcome.INCONCLUSIVE
    assert all_accounted_for(evidence(entries=(record(1),))).outcome is Outcome.INCONCLUSIVE
    assert all_accounted_for(evidence(OPEN, incomplete="tracing is off")).outcome is Outcome.INCONCLUSIVE


def test_join_that_falls_short_is_inconclusive_and_its_share_a_figure() -> None:
    """Below 999 of 1,000 followed requests no engine can be named; one of ten is missing here."""
    whole = JoinCompleteness(answered=10, whole=10)
    judgement = all_accounted_for(evidence(followed=whole))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["join_completeness"] == 1.0
    short = JoinCompleteness(answered=10, whole=9, missing={"engine process unknown": 1})
    for odd in ((), (OPEN,), (record(11, "CREATE_IN_PROGRESS"),)):
        judgement = all_accounted_for(evidence(*odd, followed=short))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.why == (
            "9 of 10 answered requests (90.00%) could be followed to their engine, at least 99.9% are "
            "needed (engine process unknown in 1)"
        )
