"""Golden evidence of U1 to U4: an upgrade that loses nothing, what it may lose, and upgrades cut short."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.core.recorded.upgrade_record import (
    CrossedStack,
    LostStack,
    PlannedStep,
    UpgradeRecord,
    UpgradeStep,
)
from calorimeter.core.verdict import Outcome
from calorimeter.gates.upgrade.nothing_lost import (
    each_serves_the_other,
    no_request_fails,
    no_stack_is_lost,
    taking_back_loses_nothing,
)
from calorimeter.gates.upgrade.upgrade_trial import StepRequests, UpgradeTrial

S = 10**9


def requests(
    number: int, action: str, *, back: bool = False, end: str = "done", **more: Any
) -> StepRequests:
    """A step with a hundred requests."""
    planned = PlannedStep(number=number, title="t", action=action, part="engine/engine-1", back=back)
    step = UpgradeStep(planned=planned, began_ns=number * S, ended_ns=(number + 1) * S, end=end)
    return StepRequests.model_validate({"step": step, "requests": 100, "failed": 0, "unexcused": 0, **more})


def crossed(made: str, changed: str, operation: str, outcome: str | None = None) -> CrossedStack:
    """A stack of one release that the other one changed."""
    wanted = {"update": "UPDATE_COMPLETE", "delete": "DELETE_COMPLETE"}[operation]
    return CrossedStack.model_validate({
        "made_by": made, "changed_by": changed, "operation": operation, "stack": "s", "wanted": wanted,
        "outcome": outcome or wanted, "took_s": 1.5,
    })  # fmt: skip


BOTH_WAYS = tuple(
    crossed(made, changed, operation)
    for made, changed in (("24", "25"), ("25", "24"))
    for operation in ("update", "delete")
)

STEPS = (requests(1, "stop"), requests(2, "start"))


def trial(steps: tuple[StepRequests, ...] = STEPS, **more: Any) -> UpgradeTrial:
    """An upgrade that was done and lost nothing, except as `more` says."""
    record = UpgradeRecord(
        procedure="heat", from_release="24", to_release="25", old_vhost="/", new_vhost="heat-25",
        steps=tuple(each.step for each in steps),
        plan=tuple(each.step.planned for each in steps),
        whole=more.pop("whole", True),
        lost=more.pop("lost", ()),
        crossed=more.pop("crossed", BOTH_WAYS),
        continues=more.pop("continues", ""),
    )  # fmt: skip
    fields = {"before": 50, "failed_before": 0, "accepted": 200, "complete": 200, "failed": 0}
    return UpgradeTrial.model_validate({**fields, **more, "record": record, "steps": steps})


LOST = LostStack(
    stack="s-7", stack_id="7", accepted_ns=S, vhost="/", method="check_resource", delivered_ns=2 * S,
    silent_s=90,
    engine="engine-1", step="step 1, stop engine-1",
)  # fmt: skip


def test_u1_passes_without_a_failed_request() -> None:
    """Requests that failed while the procedure allows it are excused."""
    found = no_request_fails(trial((requests(1, "stop", failed=3), requests(2, "start"))))
    assert (found.outcome, found.figures["failed"]) == (Outcome.PASS, 3)
    assert found.why == "none of 200 requests failed beyond what the procedure promises"


def test_a_run_that_goes_on_names_the_run_with_the_steps_before() -> None:
    """Its own requests and stacks say nothing about those steps."""
    resumed = trial(continues="20261201T010203Z-upgrade-1a2b")
    for check in (no_request_fails, no_stack_is_lost):
        found = check(resumed)
        assert found.outcome is Outcome.PASS
        named = "; the steps before these are judged in 20261201T010203Z-upgrade-1a2b"
        assert found.why.endswith(named)


def test_u1_fails_and_names_the_step() -> None:
    """The step with most failures is in the sentence, each example in the counter-examples."""
    bad = requests(1, "stop", failed=4, unexcused=4, examples=("rest list 0.2 s after its begin: closed",))
    found = no_request_fails(trial((bad, requests(2, "start"))))
    assert found.outcome is Outcome.FAIL
    assert found.why == "4 of 200 requests failed, 4 of them in step 1, stop engine-1"
    assert found.counter_examples[0].startswith("step 1, stop engine-1: rest list")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"failed_before": 1}, "1 of 50 requests failed before the upgrade began"),
        ({"whole": False}, "the upgrade was not finished"),
        ({"steps": (requests(1, "stop", requests=20),)}, "20 requests, at least 100 are needed"),
    ],
)
def test_u1_is_inconclusive_if_the_upgrade_is_not_to_blame_or_not_seen(
    more: dict[str, Any], message: str
) -> None:
    """Failures of before, an upgrade that is not done, too few requests."""
    found = no_request_fails(trial(**more))
    assert (found.outcome, found.why) == (Outcome.INCONCLUSIVE, message)


def test_a_step_that_failed_is_named() -> None:
    """What was done until then is judged: a loss is FAIL, and without one nothing is proven."""
    failed = (requests(1, "stop"), requests(2, "start", end="failed"))
    assert no_stack_is_lost(trial(failed, whole=False)).why == (
        "the upgrade ended with step 2, start engine-1 (failed)"
    )
    assert no_stack_is_lost(trial(failed, whole=False, lost=(LOST,))).outcome is Outcome.FAIL


def test_u2_fails_on_a_lost_stack_and_names_message_engine_and_step() -> None:
    """One stack that never became final is enough."""
    found = no_stack_is_lost(trial(lost=(LOST,)))
    assert found.outcome is Outcome.FAIL
    assert found.why == (
        "1 accepted operation never ended: s-7: check_resource on /, delivered to engine-1 in step 1, "
        "stop engine-1"
    )


def test_u2_fails_on_a_stack_that_failed() -> None:
    """The load's templates cannot fail by themselves."""
    found = no_stack_is_lost(trial(failed=1, failed_stacks=("s-3 became CREATE_FAILED",)))
    assert (found.outcome, found.why) == (Outcome.FAIL, "1 stack failed: s-3 became CREATE_FAILED")


def test_u2_passes_and_needs_stacks() -> None:
    """Of few stacks none may have been there when it mattered."""
    assert no_stack_is_lost(trial()).why == "all 200 stacks that were accepted became final, none failed"
    few = no_stack_is_lost(trial(accepted=5))
    assert (few.outcome, few.why) == (
        Outcome.INCONCLUSIVE,
        "5 stacks accepted, at least 20 are needed",
    )


def test_u3_passes_both_ways() -> None:
    """Each release updates and deletes the other one's stacks."""
    found = each_serves_the_other(trial())
    assert (found.outcome, found.figures["longest_s"]) == (Outcome.PASS, 1.5)


@pytest.mark.parametrize("left_out", range(len(BOTH_WAYS)))
def test_u3_needs_each_operation_each_way(left_out: int) -> None:
    """Without one of them nothing is proven."""
    some = tuple(each for number, each in enumerate(BOTH_WAYS) if number != left_out)
    assert each_serves_the_other(trial(crossed=some)).outcome is Outcome.INCONCLUSIVE


def test_u3_fails_on_another_outcome() -> None:
    """The sentence names who made the stack, who changed it, and what came of it."""
    bad = crossed("24", "25", "update", "UPDATE_IN_PROGRESS")
    found = each_serves_the_other(trial(crossed=(*BOTH_WAYS, bad)))
    assert found.outcome is Outcome.FAIL
    assert "update by 25 of s, made by 24: UPDATE_IN_PROGRESS, wanted UPDATE_COMPLETE" in found.why


def test_u4_judges_the_steps_that_were_taken_back_alone() -> None:
    """A loss in another step is none of U4; without a step back there is nothing to judge."""
    steps = (requests(1, "stop", unexcused=1, examples=("x",)), requests(2, "start", back=True))
    assert taking_back_loses_nothing(trial(steps, lost=(LOST,))).outcome is Outcome.PASS
    assert taking_back_loses_nothing(trial()).outcome is Outcome.NOT_RUN
    lost = LOST.model_copy(update={"step": "step 2, start engine-1"})
    assert taking_back_loses_nothing(trial(steps, lost=(lost,))).outcome is Outcome.FAIL
    back = (requests(1, "stop", back=True, unexcused=1, examples=("rest list: closed",)),)
    assert taking_back_loses_nothing(trial(back)).why == (
        "while steps were taken back: step 1, stop engine-1: rest list: closed"
    )


@pytest.mark.parametrize("more", [{"requests": 0}, {"end": "failed"}])
def test_u4_is_inconclusive_without_requests_or_if_a_step_failed(more: dict[str, Any]) -> None:
    """Nothing was seen, or it was not taken back."""
    found = taking_back_loses_nothing(trial((requests(1, "stop", back=True, **more),)))
    assert found.outcome is Outcome.INCONCLUSIVE


def test_u2_does_not_blame_slow_engines() -> None:
    """A stack that had a message shortly before the end may have gone on; one never delivered did not."""
    slow = LOST.model_copy(update={"silent_s": 12.0})
    found = no_stack_is_lost(trial(lost=(slow,)))
    assert (found.outcome, found.figures["stacks_lost"]) == (Outcome.INCONCLUSIVE, 1)
    assert found.why == "1 operation still went on: the engines are too slow for this load"
    never = slow.model_copy(update={"delivered_ns": 0})
    assert no_stack_is_lost(trial(lost=(slow, never))).outcome is Outcome.FAIL
