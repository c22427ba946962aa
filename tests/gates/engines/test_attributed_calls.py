"""Calls, the engines that they were delivered to, and how many failed."""

from __future__ import annotations

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.traced_calls import call_counts
from calorimeter.gates.evidence.rpc_message import Delivery
from tests.gates.engines.fake_broker import Engine, FakeBroker, FakeContext, FakeFirehose, broker_trace


def call(status: int) -> HeatCall:
    """A list of stacks with this answer, after a tenth of a second."""
    return HeatCall(operation="list", request_id="req-1", sent_ns=0, done_ns=100_000_000, status=status)


def test_failed_calls_are_counted_and_the_first_is_named() -> None:
    """E4 and E5 use the counts to find that shares prove nothing."""
    assert call_counts([call(200)]) == {"calls": 1, "failed_calls": 0, "first_failed": ""}
    assert call_counts([call(200), call(503), call(504)]) == {
        "calls": 3,
        "failed_calls": 2,
        "first_failed": "list req-1: 503 after 0.1 s",
    }


def delivery(seq: int, request_id: str, connection: str) -> Delivery:
    """A call delivered from the engines' queue to a connection."""
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


def test_redelivered_call_is_attributed_to_all_its_engines() -> None:
    """A frozen engine's call that another engine answered counts for the frozen one too."""
    events = [delivery(0, "req-1", "c2"), delivery(1, "req-2", "c1"), delivery(2, "req-1", "c1")]
    broker = FakeBroker([Engine("engine-1", 1, "c1"), Engine("engine-2", 2, "c2")])
    trace = broker_trace(FakeContext(), broker, FakeFirehose(events))
    names = [consumer.name for consumer in trace.consumers()]
    assert names == ["engine-1 [1]", "engine-2 [2]"]
    unknown = call(0).model_copy(update={"request_id": None})
    redelivered, cut = trace.attributed([call(200), unknown])
    assert (redelivered.engine, redelivered.handed) == (names[0], (names[1], names[0]))
    assert redelivered.was_with(names[1:])
    assert not redelivered.was_with(["engine-3 [3]"])
    assert (cut.engine, cut.handed) == (None, ())
