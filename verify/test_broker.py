"""Gates B: RabbitMQ while its nodes fail and return."""

from __future__ import annotations

from functools import partial

from calorimeter.core.deployment import Consent
from calorimeter.gates.broker import node_faults
from calorimeter.gates.broker.survival import service_survives
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate

BROKER = ("broker",)
NEEDS = ("rest", "identity", "broker management", "broker trace", "fault commands")
GUIDE = "each engine will subscribe to the same AMQP engine queue and pick up work"

broker_gate = partial(gate, guide=GUIDE, needs=NEEDS, consent=Consent.INVASIVE)


@broker_gate("B1", breaks=(Break("kill", "every", BROKER, fewest=2),))
def test_death_of_a_node_is_survived(context: Context, judge: Judge) -> None:
    """When a node of RabbitMQ dies, calls and stacks go on with the others.

    The node that leads the queue `engine` is killed and started again. With a classic queue it is the only
    one that has it.
    """
    judge(node_faults.lose_node(context, "kill"), service_survives)


@broker_gate("B2", breaks=(Break("freeze", "every", BROKER),))
def test_frozen_node_is_given_up_in_time(context: Context, judge: Judge) -> None:
    """A frozen node of RabbitMQ is given up in time, by its clients and by the other nodes.

    The node that leads the queue `engine` is frozen, until heartbeats and net_ticktime must have found it.
    """
    judge(node_faults.lose_node(context, "freeze"), service_survives)


@broker_gate("B3", breaks=(Break("partitioned", "every", BROKER, fewest=2),))
def test_partition_is_survived(context: Context, judge: Judge) -> None:
    """When a node of RabbitMQ is cut from the others, calls and stacks go on with those.

    The node that leads the queue `engine` is cut off; its own clients still reach it.
    """
    judge(node_faults.lose_node(context, "partitioned"), service_survives)


@broker_gate("B4", breaks=(Break("stop", "every", BROKER),))
def test_nodes_can_be_restarted_in_turn(context: Context, judge: Judge) -> None:
    """The nodes of RabbitMQ can be restarted one after the other.

    Each is stopped cleanly and started again, as for an upgrade.
    """
    judge(node_faults.restart_in_turn(context), service_survives)


@broker_gate("B5", breaks=(Break("kill", "every", BROKER),))
def test_service_returns_with_the_nodes(context: Context, judge: Judge) -> None:
    """When all nodes of RabbitMQ have died and returned, so does service, and no stack is lost."""
    judge(node_faults.kill_all_nodes(context), service_survives)
