"""Quiet points against a broker whose counter lags as the test says."""

from __future__ import annotations

import pytest

from calorimeter.gates.engines import traced_calls
from calorimeter.gates.engines.traced_calls import BrokerTrace, QuietPoint, counted_between
from tests.gates.engines.fake_broker import FakeBroker, FakeContext, FakeFirehose, broker_trace
from tests.gates.request_path.test_path import event


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's queue is empty, and polls follow each other at once."""
    monkeypatch.setattr(traced_calls, "depth", lambda *_: (0, 0))
    monkeypatch.setattr(traced_calls, "CAUGHT_UP_WITHIN_S", 30.0)
    monkeypatch.setattr(traced_calls, "POLL_S", 0.001)


def traced(broker: FakeBroker, deliveries: int) -> BrokerTrace:
    """A trace of so many deliveries beside that broker."""
    events = [event("deliver", "e1", f"u{n}") for n in range(deliveries)]
    return broker_trace(FakeContext(), broker, FakeFirehose(events))


START = QuietPoint(queue="engine", consumers=(), event=0, counted=500, unquiet=None)


def test_counter_that_lags_at_the_end_is_awaited() -> None:
    """998 of 1000 deliveries are counted when the queue is quiet, all of them a while later."""
    broker = FakeBroker(counts=[1498, 1498, 1500, 1501])
    end = traced(broker, 1000).quiet_point("engine", START)
    assert (counted_between(START, end), end.event, broker.polls) == (1000, 1000, 3)


@pytest.mark.parametrize("count", [1498, 1507])
def test_counter_that_never_agrees_is_recorded_as_it_is(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a gap in the trace, or a counter that stopped, the wait ends at its deadline."""
    monkeypatch.setattr(traced_calls, "CAUGHT_UP_WITHIN_S", 0.5)
    broker = FakeBroker(counts=[count])
    end = traced(broker, 1000).quiet_point("engine", START)
    assert counted_between(START, end) == count - 500
    assert broker.polls > 2


def test_queue_that_is_no_longer_quiet_is_not_awaited() -> None:
    """New deliveries move the counter too: it cannot agree any more."""
    broker = FakeBroker(counts=[1498])
    firehose = FakeFirehose()
    broker.on_poll = lambda: firehose.events.append(event("deliver", "e1", "new"))
    broker_trace(FakeContext(), broker, firehose).quiet_point("engine", START)
    assert broker.polls == 1


def test_agreeing_counter_and_missing_statistics_are_polled_once() -> None:
    """On a healthy broker the end takes no longer; without statistics there is nothing to wait for."""
    for counts in ([1500], [None]):
        broker = FakeBroker(counts=[*counts])
        traced(broker, 1000).quiet_point("engine", START)
        assert broker.polls == 1


@pytest.mark.parametrize(
    ("counts", "found", "polls"),
    [
        ([500], 500, 2),
        ([480, 500], 500, 4),
        ([480, 480, 500], 480, 2),
        ([480, 490, 490, 500], 500, 6),
        ([None], None, 2),
    ],
)
def test_counter_that_moves_at_the_start_must_stand_still(
    counts: list[int | None], found: int | None, polls: int
) -> None:
    """Two equal polls are enough if they are the first two; else three in a row."""
    broker = FakeBroker(counts=counts)
    start = traced(broker, 20).quiet_point("engine")
    assert (start.counted, start.event, broker.polls) == (found, 20, polls)
