"""Literal bursts of E10: the backlog drains."""

from __future__ import annotations

from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.stack_records import StackState
from calorimeter.gates.engines.backlog import QueueDepth, StackBurst, backlog_drains
from tests.gates.stack_bursts import S, burst, call, record


def test_stack_is_open_from_the_sending_of_its_create() -> None:
    """Its client waited 18 s for an answer; Heat may have taken the stack on at once."""
    cut = call("create", 2, 0, done_ns=20 * S, error="ReadTimeout")
    made = record(0, states=(StackState(status="CREATE_COMPLETE", at_ns=15 * S),))
    unheard = record(1, create=cut, states=(StackState(status="CREATE_COMPLETE", at_ns=21 * S),))
    judgement = backlog_drains(StackBurst(entries=(made, unheard), resources=12, waited_s=120))
    assert judgement.figures["peak_backlog_stacks"] == 2


def test_backlog_that_drains_passes_with_its_speed() -> None:
    """The last of ten stacks is done 1.9 s after the last create was answered."""
    judgement = backlog_drains(burst(depths=(QueueDepth(at_ns=0, engine=1, engine_worker=7),)))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["drained_after_burst_s"] == 1.9
    assert judgement.figures["peak_backlog_stacks"] == 3  # one is asked for as another ends
    assert judgement.figures["peak_waiting_engine_worker"] == 7
    assert judgement.figures["stacks_per_s"] == 0.91


def test_backlog_that_stays_fails() -> None:
    """A stack of the burst that is still in progress is named."""
    judgement = backlog_drains(burst(record(10, "CREATE_IN_PROGRESS")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("stack-10 (req-create-10) is CREATE_IN_PROGRESS",)
