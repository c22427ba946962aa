"""Bounds of an outage of RabbitMQ, from the options of its clients."""

from __future__ import annotations

import pytest

from calorimeter.core.expect import Expect
from calorimeter.core.messaging_bounds import Silence, notice_s, outage_s, return_s

DEFAULTS = Expect()


@pytest.mark.parametrize(
    ("fault", "notice", "outage"),
    [
        ("kill", 0.0, 2.0),  # the delay, and one more after the dead node
        ("stop", 0.0, 2.0),
        ("freeze", 150.0, 157.0),  # 2 · 60 + 60 / 2; the delay, the timeout of a connection, the delay
        ("partitioned", 75.0, 82.0),  # 60 s and a quarter
    ],
)
def test_defaults(fault: Silence, notice: float, outage: float) -> None:
    """oslo.messaging's and RabbitMQ's defaults, one node of several."""
    assert notice_s(DEFAULTS, fault, 60) == notice
    assert outage_s(DEFAULTS, fault, 60) == outage


def test_the_slower_of_client_and_cluster_counts() -> None:
    """With a short heartbeat the others still have to give the node up."""
    assert notice_s(Expect(heartbeat_s=10, heartbeat_rate=2), "freeze", 60) == 75
    assert notice_s(Expect(heartbeat_s=10, heartbeat_rate=2), "freeze", 10) == 25


def test_without_heartbeats_nothing_bounds_a_freeze() -> None:
    """Clients of a frozen node wait for ever; those of a killed one do not."""
    silent = Expect(heartbeat_s=0)
    assert outage_s(silent, "freeze", 10) is None
    assert outage_s(silent, "kill", 10) == 2
    assert outage_s(silent, "partitioned", 10) == 19.5


def test_all_nodes_are_tried_before_the_longest_wait() -> None:
    """After an outage of all nodes."""
    assert return_s(DEFAULTS, 3) == 33
    assert outage_s(DEFAULTS, "kill", 60, failed=2) == 3
