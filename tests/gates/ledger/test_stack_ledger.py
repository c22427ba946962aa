"""Literal bursts of L1 and L2: final states, read-backs, deletes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.stack_records import OutputRead
from calorimeter.gates.engines.backlog import StackBurst, backlog_drains
from calorimeter.gates.ledger.stack_ledger import all_final, nothing_left
from tests.gates.stack_bursts import burst, call, record, refused


def test_stacks_that_became_complete_pass() -> None:
    """Every accepted stack complete, each once, and readable."""
    assert all_final(burst()).outcome is Outcome.PASS


def test_stack_that_is_not_final_fails() -> None:
    """A stack that stays in progress is named with its request."""
    judgement = all_final(burst(record(10, "CREATE_IN_PROGRESS")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("stack-10 (req-create-10) is CREATE_IN_PROGRESS after 120 s",)


def test_stack_that_is_never_listed_two_ends_or_a_failure_fail() -> None:
    """An accepted stack is created once, and a template that cannot fail does not fail."""
    for odd, said in (
        (record(10, states=()), "was accepted, but never listed"),
        (record(10, "CREATE_FAILED", "CREATE_COMPLETE"), "had another final state before: CREATE_FAILED"),
        (record(10, "CREATE_FAILED"), "although its template cannot fail"),
    ):
        judgement = all_final(burst(odd))
        assert judgement.outcome is Outcome.FAIL
        assert said in judgement.why


def test_output_that_another_engine_cannot_decrypt_fails_with_that_engine() -> None:
    """An engine with another auth_encryption_key returns the ciphertext."""
    read = OutputRead(
        call=call("show", 60, 200, engine="engine-3 [7]"), as_made=False, said="140 characters"
    )
    judgement = all_final(burst(record(10, read=read)))
    assert judgement.outcome is Outcome.FAIL
    assert "engine-3 [7] returned its output as 140 characters" in judgement.why


def test_refused_create_is_not_in_the_ledger() -> None:
    """A create that was not accepted needs no stack."""
    assert all_final(burst(record(10, create=call("create", 10, 500), states=()))).outcome is Outcome.PASS


def test_refused_creates_are_counted_and_more_than_half_are_inconclusive() -> None:
    """A burst that was mostly refused does not count; what is proven wrong is still FAIL."""
    for check in (all_final, backlog_drains):
        judgement = check(burst(*refused(10)))
        assert judgement.outcome is Outcome.PASS
        assert judgement.figures["refused"] == 10
        assert "(10 of 20 creates were refused)" in judgement.why
        judgement = check(burst(*refused(11)))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.why == (
            "10 of 21 stacks were created: at least 10 and half of those requested are needed; "
            "the first that was not created: create req-create-10: 500 after 0.1 s"
        )
        assert judgement.figures["refused"] == 11
        assert check(burst(*refused(11), record(30, "CREATE_IN_PROGRESS"))).outcome is Outcome.FAIL
        assert "refused" not in check(burst()).why
        assert check(burst()).figures["refused"] == 0


@pytest.mark.parametrize("status", [0, 500, 504])
@pytest.mark.parametrize("check", [all_final, backlog_drains])
def test_stack_whose_client_got_no_answer_must_be_final_too(
    check: Callable[[StackBurst], Judgement], status: int
) -> None:
    """A timeout is no refusal: Heat took on every stack that it lists."""
    create = call("create", 10, status, error="" if status else "ReadTimeout")
    stuck = check(burst(record(10, "CREATE_IN_PROGRESS", create=create)))
    assert stuck.outcome is Outcome.FAIL
    assert "is CREATE_IN_PROGRESS" in stuck.counter_examples[0]
    well = check(burst(record(10, create=create)))
    assert well.outcome is Outcome.PASS
    assert "11 stacks (1 of 11 creates made a stack although the client got no success)" in well.why
    figures = {"accepted": 10, "unknown_to_the_client": 1, "refused": 0, "unanswered": 0}
    assert figures.items() <= well.figures.items()


def test_create_without_an_answer_and_without_a_stack_is_no_refusal() -> None:
    """It was not refused, and made no stack."""
    create = call("create", 10, 0, error="ReadTimeout")
    judgement = all_final(burst(record(10, create=create, stack_id=None, states=())))
    assert judgement.outcome is Outcome.PASS
    assert "(1 of 11 creates got no answer and made no stack)" in judgement.why
    assert (judgement.figures["refused"], judgement.figures["unanswered"]) == (0, 1)
    late = all_final(burst(record(10, create=create, states=())))
    assert late.outcome is Outcome.PASS
    assert (
        "(1 of 11 creates got no success, and their stack was first listed during the deletes)" in late.why
    )
    assert (late.figures["listed_late"], late.figures["unanswered"]) == (1, 0)


def test_failed_stack_whose_client_got_no_answer_fails() -> None:
    """Its template cannot fail, whatever answer its client got."""
    create = call("create", 10, 0, error="ReadTimeout")
    assert all_final(burst(record(10, "CREATE_FAILED", create=create))).outcome is Outcome.FAIL


def test_too_few_accepted_stacks_are_inconclusive() -> None:
    """Nine stacks are too few."""
    few = StackBurst(entries=tuple(record(n) for n in range(9)), resources=12, waited_s=120)
    for check in (all_final, nothing_left, backlog_drains):
        assert check(few).outcome is Outcome.INCONCLUSIVE


def test_deletes_that_leave_nothing_pass_even_if_one_was_answered_too_late() -> None:
    """A delete without an answer is unknown, and judged by what it leaves."""
    judgement = nothing_left(burst(record(10, delete=call("delete", 100, 500))))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["unanswered"] == 1
    assert judgement.figures["all_gone_s"] == 3.0


def test_stack_or_message_that_is_left_fails() -> None:
    """A stack that is still listed, or a waiting message, is named."""
    assert nothing_left(burst(left=("stack-3",))).counter_examples == ("stack-3 is still listed",)
    assert nothing_left(burst(waiting=2)).outcome is Outcome.FAIL
