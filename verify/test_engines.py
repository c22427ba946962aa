"""Gates E: the engines and their queue."""

from __future__ import annotations

from calorimeter.deployment import Consent
from verify.bench import Bench
from verify.checks.consumers import as_described
from verify.checks.rotation import exact_rotation
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
