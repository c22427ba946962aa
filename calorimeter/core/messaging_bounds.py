"""How long clients of RabbitMQ may be without service after nodes have failed, and after they are back.

The bounds follow from what oslo.messaging (18), kombu and py-amqp (5) do, read in their sources:

- The death of a node's process closes its connections: clients notice at once. A node that falls silent
  (frozen, or its host is gone) is noticed by py-amqp two heartbeats after the last sign of life. Heat looks
  every `heartbeat_timeout_threshold / heartbeat_rate / 2` seconds, and may be late once with that sign of
  life and once with its absence: 2 · heartbeat + heartbeat / rate.
- The other nodes give a silent node up after `net_ticktime`, give or take a quarter (Erlang's kernel
  reference): until then a queue whose leader is there has none, and messages for its consumers wait.
- oslo.messaging then waits `kombu_reconnect_delay`, and once more after each node that it tries in vain. A
  silent node costs kombu's `connect_timeout`, 5 s, which Heat does not set.
- Once it has tried all nodes it waits 1 s, then 3, 5 … up to `rabbit_interval_max` between two rounds.

They hold for a fault at the worst moment. A call that was sent before the end of a bound may fail, up to
`rpc_response_timeout` after it was sent.
"""

from __future__ import annotations

from typing import Literal

from calorimeter.core.expect import Expect

CONNECT_S = 5.0
"""kombu's default of `connect_timeout`."""

Silence = Literal["kill", "stop", "freeze", "partitioned"]
"""A fault of a node, named as the part's command that injects it."""


def notice_s(expect: Expect, fault: Silence, net_ticktime_s: float) -> float | None:
    """The longest time until clients know that a node has failed; None if nothing bounds it."""
    if fault in ("kill", "stop"):
        return 0.0
    given_up_s = 1.25 * net_ticktime_s
    if fault == "partitioned":  # the node's clients still have it
        return given_up_s
    if not expect.heartbeat_s:
        return None
    return max(2 * expect.heartbeat_s + expect.heartbeat_s / expect.heartbeat_rate, given_up_s)


def outage_s(expect: Expect, fault: Silence, net_ticktime_s: float, failed: int = 1) -> float | None:
    """The longest time from a fault of `failed` nodes until others serve their clients; None: no bound."""
    noticed_s = notice_s(expect, fault, net_ticktime_s)
    if noticed_s is None:
        return None
    attempt_s = expect.reconnect_delay_s + (CONNECT_S if fault in ("freeze", "partitioned") else 0.0)
    return noticed_s + expect.reconnect_delay_s + failed * attempt_s


def return_s(expect: Expect, nodes: int) -> float:
    """The longest time from the return of the last of all `nodes` until clients are served."""
    return expect.reconnect_interval_max_s + nodes * expect.reconnect_delay_s
