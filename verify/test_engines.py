"""Gates E: the engines and their queue."""

from __future__ import annotations

from calorimeter.deployment import Consent
from verify.bench import Bench
from verify.checks.consumers import as_described
from verify.checks.ledger import backlog_drains
from verify.checks.rotation import exact_rotation
from verify.checks.shares import equal_shares
from verify.experiments.crowd import crowd
from verify.experiments.ledger import ledger, worker_shares
from verify.experiments.roster import roster
from verify.experiments.rotation import rotation
from verify.gates import gate
from verify.judge import Judge


@gate(
    "E1",
    guide="each engine will subscribe to the same AMQP engine queue",
    needs=("rest", "identity", "broker management"),
)
def test_engines_consume_as_described(bench: Bench, judge: Judge) -> None:
    """The engines' queues have the described consumers, and no others.

    Every worker of every engine has one consumer on `engine` and one on `engine_worker`; whoever else
    consumes there takes calls away from the engines. Heat's service table must agree.
    """
    judge(roster(bench), as_described)


@gate(
    "E2",
    guide="each engine will subscribe to the same AMQP engine queue and pick up work in round-robin "
    "fashion with the other engines",
    needs=("rest", "identity", "broker management", "broker trace"),
    consent=Consent.INVASIVE,
)
def test_engines_take_calls_in_exact_rotation(bench: Bench, judge: Judge) -> None:
    """Engines take calls in exact rotation.

    Calls are made one at a time, so that the order of the broker's trace is the order of dispatch;
    every delivery must go to the consumer whose turn it is.
    """
    judge(rotation(bench), exact_rotation)


@gate(
    "E3",
    guide="pick up work in round-robin fashion with the other engines",
    needs=("rest", "identity", "broker management", "broker trace"),
    consent=Consent.INVASIVE,
)
def test_engines_have_equal_shares_of_stack_work(bench: Bench, judge: Judge) -> None:
    """Engines have equal shares of the work on stacks.

    Creating and deleting a stack fans out to `engine_worker`; counted from quiet to quiet, nobody can be
    more than one ahead.
    """
    judge(worker_shares(bench), equal_shares)


@gate(
    "E4",
    guide="pick up work in round-robin fashion with the other engines",
    needs=("rest", "identity", "broker management", "broker trace"),
    consent=Consent.INVASIVE,
)
def test_engines_have_equal_shares_of_calls_under_load(bench: Bench, judge: Judge) -> None:
    """Engines have equal shares of calls under load.

    Many calls at a time, counted from quiet to quiet: nobody can be more than one ahead.
    """
    judge(crowd(bench), equal_shares)


@gate(
    "E10",
    guide="each engine will subscribe to the same AMQP engine queue",
    needs=("rest", "identity", "broker management", "broker trace"),
    consent=Consent.INVASIVE,
)
def test_backlog_of_a_burst_drains(bench: Bench, judge: Judge) -> None:
    """The backlog of a burst drains, and how fast.

    Many creates at once; every stack must be done within its own timeout.
    """
    judge(ledger(bench), backlog_drains)
