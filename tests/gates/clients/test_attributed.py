"""Calls and the engines that had them; how many failed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.traced_calls import BrokerTrace, call_counts
from calorimeter.gates.evidence.rpc_message import Delivery


def call(status: int) -> HeatCall:
    """A list of stacks with this answer, after a tenth of a second."""
    return HeatCall(operation="list", request_id="req-1", sent_ns=0, done_ns=100_000_000, status=status)


def test_failed_calls_are_counted_and_the_first_is_named() -> None:
    """E4 and E5 tell by it that shares say nothing."""
    assert call_counts([call(200)]) == {"calls": 1, "failed_calls": 0, "first_failed": ""}
    assert call_counts([call(200), call(503), call(504)]) == {
        "calls": 3,
        "failed_calls": 2,
        "first_failed": "list req-1: 503 after 0.1 s",
    }


def delivery(seq: int, request_id: str, connection: str) -> Delivery:
    """A call on the engines' queue, handed to a connection."""
    return Delivery(
        seq=seq,
        t_ns=seq,
        kind="deliver",
        queue="engine",
        exchange="heat",
        routing_keys=("engine",),
        routed=(),
        connection=connection,
        channel=1,
        redelivered=False,
        request_id=request_id,
    )


def test_call_that_was_redelivered_is_known_with_all_that_had_it() -> None:
    """A frozen engine's call that another answered was the frozen one's, too."""
    events = [delivery(0, "req-1", "c3"), delivery(1, "req-2", "c1"), delivery(2, "req-1", "c1")]
    firehose = SimpleNamespace(since=lambda _: events)
    known = {"c1#1": "engine-1", "c3#1": "engine-3"}
    anything = cast("Any", None)
    watching = BrokerTrace(anything, anything, cast("Any", firehose), known, anything, {})
    unknown = call(0).model_copy(update={"request_id": None})
    redelivered, cut = watching.attributed([call(200), unknown])
    assert (redelivered.engine, redelivered.handed) == ("engine-1", ("engine-3", "engine-1"))
    assert redelivered.was_with(["engine-3"])
    assert not redelivered.was_with(["engine-2"])
    assert (cut.engine, cut.handed) == (None, ())
