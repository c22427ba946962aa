"""Engines and queues, from polls made of literals."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.live.live_engines import LiveEngines
from calorimeter.live.live_figures import DataSource, EngineNow, QueueNow
from tests.report.recorded import broker_polls
from tests.report.run_builder import START_NS

S = 10**9


def test_shares_of_the_last_minute() -> None:
    """Each of three engines got a third of each topic; other queues are not shown."""
    live = LiveEngines()
    for each in broker_polls(90):
        live.add(each)
    found = live.engines(START_NS + 90 * S + 1)
    assert len(found) == 6
    assert found[0] == EngineNow(topic="engine", name="heat-engine[4711]@127.0.0.1", state="consuming",
                                 deliveries=600, share=0.3333, predicted=0.3333)  # fmt: skip
    assert live.queues() == [
        QueueNow(name="engine", ready=0, unacknowledged=2, consumers=3),
        QueueNow(name="engine_worker", ready=0, unacknowledged=2, consumers=3),
    ]
    assert live.sources() == [DataSource(name="broker", at_ns=START_NS + 90 * S)]


def test_an_engine_that_is_gone_is_shown_and_predicted_nothing() -> None:
    """Its part goes to the consumers that remain."""
    live = LiveEngines()
    for each in broker_polls(1):
        live.add(each)
    later = broker_polls(2, engines=(4711, 4712))[2]
    live.add(later)
    found = {
        each.name[12:16]: each for each in live.engines(START_NS + 2 * S + 1) if each.topic == "engine"
    }
    assert [(each.state, each.predicted) for each in found.values()] == [
        ("consuming", 0.5), ("consuming", 0.5), ("gone", 0.0)
    ]  # fmt: skip
    assert found["4713"].deliveries == 10


def test_two_consumers_of_a_process_are_one_engine() -> None:
    """A process with twice the consumers is dealt twice as much."""
    (poll,) = broker_polls(0, engines=(1, 2))
    second = {**poll["channels"][0], "connection": "127.0.0.1:99 -> 127.0.0.1:5672"}
    live = LiveEngines()
    live.add({**poll, "channels": [*poll["channels"], second]})
    found = [each for each in live.engines(START_NS + S) if each.topic == "engine"]
    assert [(each.name, each.predicted) for each in found] == [
        ("heat-engine[1]@127.0.0.1", 0.6667), ("heat-engine[2]@127.0.0.1", 0.3333)
    ]  # fmt: skip


def test_a_failure_is_shown_until_the_broker_answers() -> None:
    """And a deployment without a broker has no such source."""
    live = LiveEngines()
    assert live.sources() == []
    live.add({"t_ns": START_NS, "unavailable": "broker: refused"})
    assert live.sources() == [DataSource(name="broker", at_ns=0, problem="broker: refused")]
    live.add(broker_polls(1)[1])
    assert live.sources() == [DataSource(name="broker", at_ns=START_NS + S)]


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        {},
        {"t_ns": START_NS, "queues": 1},
        {"t_ns": "x", "unavailable": 1},
        {"t_ns": START_NS, "queues": [], "channels": [{"connection": "c", "deliver": -1}]},
        {"queues": [], "channels": []},
    ],
)
def test_a_damaged_poll_changes_nothing(damaged: dict[str, Any] | None) -> None:
    """It is left out as a whole."""
    live = LiveEngines()
    for each in broker_polls(2):
        live.add(each)
    before = live.engines(START_NS + 3 * S), live.queues(), live.sources()
    live.add(damaged)
    assert (live.engines(START_NS + 3 * S), live.queues(), live.sources()) == before
