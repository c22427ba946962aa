"""Golden evidence of the ledger: ends, readings, deletes, and the backlog of a burst."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.ledger.stack_ledger import (
    Depth,
    Entry,
    Ledger,
    Read,
    State,
    all_final,
    backlog_drains,
    nothing_left,
)

S = 1_000_000_000


def call(operation: str, at_s: float, status: int = 201, **more: object) -> HeatCall:
    """A call that took a tenth of a second."""
    fields: dict[str, object] = {
        "operation": operation,
        "request_id": f"req-{operation}-{at_s}",
        "sent_ns": int(at_s * S),
        "done_ns": int((at_s + 0.1) * S),
        "status": status,
    }
    return HeatCall.model_validate(fields | more)


def entry(n: int, *statuses: str, **more: object) -> Entry:
    """Stack number n, created at second n, seen in these statuses a second apart, deleted at second 100."""
    seen = statuses or ("CREATE_IN_PROGRESS", "CREATE_COMPLETE")
    fields: dict[str, object] = {
        "name": f"stack-{n}",
        "create": call("create", n),
        "stack_id": f"id-{n}",
        "states": tuple(State(status=s, at_ns=(n + 1 + k) * S) for k, s in enumerate(seen)),
        "read": Read(call=call("show", 50 + n, 200, engine="engine-2"), as_made=True, said="made"),
        "delete": call("delete", 100, 204),
        "gone_ns": 103 * S,
    }
    return Entry.model_validate(fields | more)


def ledger(*odd: Entry, **more: object) -> Ledger:
    """Ten stacks that are well, and odd ones."""
    fields: dict[str, object] = {
        "entries": (*(entry(n) for n in range(10)), *odd),
        "resources": 12,
        "waited_s": 120,
    }
    return Ledger.model_validate(fields | more)


def test_stacks_that_became_complete_pass() -> None:
    """Every accepted stack complete, each once, and readable."""
    assert all_final(ledger()).outcome is Outcome.PASS


def test_stack_without_an_end_fails() -> None:
    """One that stays in progress is named with its request."""
    judgement = all_final(ledger(entry(10, "CREATE_IN_PROGRESS")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("stack-10 (req-create-10) is CREATE_IN_PROGRESS after 120 s",)


def test_stack_that_is_never_listed_two_ends_or_a_failure_fail() -> None:
    """Accepted means made, once, and a template that cannot fail does not."""
    for odd, said in (
        (entry(10, states=()), "was accepted and never listed"),
        (entry(10, "CREATE_FAILED", "CREATE_COMPLETE"), "had another end before: CREATE_FAILED"),
        (entry(10, "CREATE_FAILED"), "though its template cannot fail"),
    ):
        judgement = all_final(ledger(odd))
        assert judgement.outcome is Outcome.FAIL
        assert said in judgement.why


def test_output_that_another_engine_cannot_decrypt_fails_with_that_engine() -> None:
    """An engine with another auth_encryption_key gives the ciphertext out."""
    read = Read(call=call("show", 60, 200, engine="engine-3 [7]"), as_made=False, said="140 characters")
    judgement = all_final(ledger(entry(10, read=read)))
    assert judgement.outcome is Outcome.FAIL
    assert "engine-3 [7] gave its output as 140 characters" in judgement.why


def test_refused_create_is_not_in_the_ledger() -> None:
    """What was not accepted is owed to nobody."""
    assert all_final(ledger(entry(10, create=call("create", 10, 500), states=()))).outcome is Outcome.PASS


def refused(count: int) -> tuple[Entry, ...]:
    """So many creates that got an error, and no stack."""
    return tuple(
        entry(n, create=call("create", n, 500), stack_id=None, states=()) for n in range(10, 10 + count)
    )


def test_refused_creates_are_told_and_more_than_half_of_them_are_inconclusive() -> None:
    """A burst that was mostly refused was no burst; what is proven wrong stays wrong."""
    for check in (all_final, backlog_drains):
        judgement = check(ledger(*refused(10)))
        assert judgement.outcome is Outcome.PASS
        assert judgement.figures["refused"] == 10
        assert "(10 of 20 were refused)" in judgement.why
        judgement = check(ledger(*refused(11)))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.why == (
            "10 of 21 stacks were made: too few "
            "(the first that was not: create req-create-10: 500 after 0.1 s)"
        )
        assert judgement.figures["refused"] == 11
        assert check(ledger(*refused(11), entry(30, "CREATE_IN_PROGRESS"))).outcome is Outcome.FAIL
        assert "refused" not in check(ledger()).why
        assert check(ledger()).figures["refused"] == 0


@pytest.mark.parametrize("status", [0, 500, 504])
@pytest.mark.parametrize("check", [all_final, backlog_drains])
def test_stack_whose_client_heard_nothing_of_it_must_have_an_end_too(
    check: Callable[[Ledger], Judgement], status: int
) -> None:
    """A timeout is no refusal: what Heat lists, it took on."""
    create = call("create", 10, status, error="" if status else "ReadTimeout")
    stuck = check(ledger(entry(10, "CREATE_IN_PROGRESS", create=create)))
    assert stuck.outcome is Outcome.FAIL
    assert "is CREATE_IN_PROGRESS" in stuck.counter_examples[0]
    well = check(ledger(entry(10, create=create)))
    assert well.outcome is Outcome.PASS
    assert "11 stacks (1 of 11 were made though their client was not told so)" in well.why
    figures = {"accepted": 10, "unknown_to_the_client": 1, "refused": 0, "unanswered": 0}
    assert figures.items() <= well.figures.items()


def test_create_without_an_answer_and_without_a_stack_is_no_refusal() -> None:
    """Nobody said no; nothing came of it."""
    create = call("create", 10, 0, error="ReadTimeout")
    judgement = all_final(ledger(entry(10, create=create, stack_id=None, states=())))
    assert judgement.outcome is Outcome.PASS
    assert "(1 of 11 were not answered, and no stack came of them)" in judgement.why
    assert (judgement.figures["refused"], judgement.figures["unanswered"]) == (0, 1)
    late = all_final(ledger(entry(10, create=create, states=())))
    assert late.outcome is Outcome.PASS
    assert "(1 of 11 were not answered well, and listed only as others were deleted)" in late.why
    assert (late.figures["listed_late"], late.figures["unanswered"]) == (1, 0)


def test_stack_is_open_from_the_asking_on() -> None:
    """Its client waited 18 s in vain; Heat may have taken it on at once."""
    cut = call("create", 2, 0, done_ns=20 * S, error="ReadTimeout")
    made = entry(0, states=(State(status="CREATE_COMPLETE", at_ns=15 * S),))
    unheard = entry(1, create=cut, states=(State(status="CREATE_COMPLETE", at_ns=21 * S),))
    judgement = backlog_drains(Ledger(entries=(made, unheard), resources=12, waited_s=120))
    assert judgement.figures["peak_backlog_stacks"] == 2


def test_failed_stack_whose_client_heard_nothing_of_it_fails() -> None:
    """Its template cannot fail, whatever the client was told."""
    create = call("create", 10, 0, error="ReadTimeout")
    assert all_final(ledger(entry(10, "CREATE_FAILED", create=create))).outcome is Outcome.FAIL


def test_too_few_accepted_stacks_are_inconclusive() -> None:
    """Nine stacks are no ledger."""
    few = Ledger(entries=tuple(entry(n) for n in range(9)), resources=12, waited_s=120)
    for check in (all_final, nothing_left, backlog_drains):
        assert check(few).outcome is Outcome.INCONCLUSIVE


def test_deletes_that_leave_nothing_pass_also_where_one_was_answered_too_late() -> None:
    """A delete without an answer is unknown, and judged by what it leaves."""
    judgement = nothing_left(ledger(entry(10, delete=call("delete", 100, 500))))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["unanswered"] == 1
    assert judgement.figures["all_gone_s"] == 3.0


def test_stack_or_message_that_is_left_fails() -> None:
    """What is still listed, or waits in a queue, is named."""
    assert nothing_left(ledger(left=("stack-3",))).counter_examples == ("stack-3 is still listed",)
    assert nothing_left(ledger(waiting=2)).outcome is Outcome.FAIL


def test_backlog_that_drains_passes_with_its_speed() -> None:
    """The last of ten stacks is done 1.9 s after the last create was answered."""
    judgement = backlog_drains(ledger(depths=(Depth(at_ns=0, engine=1, engine_worker=7),)))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["drained_after_burst_s"] == 1.9
    assert judgement.figures["peak_backlog_stacks"] == 3  # one is asked for as another ends
    assert judgement.figures["peak_waiting_engine_worker"] == 7
    assert judgement.figures["stacks_per_s"] == 0.91


def test_backlog_that_stays_fails() -> None:
    """A stack of the burst that is still in progress is named."""
    judgement = backlog_drains(ledger(entry(10, "CREATE_IN_PROGRESS")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("stack-10 (req-create-10) is CREATE_IN_PROGRESS",)
