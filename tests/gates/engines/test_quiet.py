"""Quiet points against a broker whose counter lags as the test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from calorimeter.gates.context import Context
from calorimeter.gates.engines import traced_calls
from calorimeter.gates.engines.liveness_watch import LivenessWatch
from calorimeter.gates.engines.traced_calls import Quiet, Traced, counted
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import Queue
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.rpc_message import Delivery
from tests.gates.request_path.test_path import event


@dataclass
class Api:
    """The management API of a broker whose counter reads these, one a look, the last for ever."""

    readings: list[int | None]
    looks: int = 0

    def settled(self) -> tuple[tuple[()], tuple[()]]:
        """Nobody consumes."""
        return (), ()

    def queue(self, name: str) -> Queue:
        """The queue with the next reading."""
        reading = self.readings[min(self.looks, len(self.readings) - 1)]
        self.looks += 1
        return Queue(
            name=name,
            type="classic",
            state="running",
            durable=False,
            ready=0,
            unacked=0,
            consumers=0,
            delivered=reading,
            redelivered=0,
        )


@dataclass
class Trace:
    """A trace of `before` deliveries; one that `grows` has one more after each look."""

    before: int
    grows: bool = False
    events: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events = [event("deliver", "e1", f"u{n}") for n in range(self.before)]

    def settle(self) -> None:
        """All is here."""

    def since(self, number: int) -> tuple[Delivery, ...]:
        """The events from this one on."""
        found = tuple(self.events[number:])
        if self.grows:
            self.events.append(event("deliver", "e1", "more"))
        return found

    def __len__(self) -> int:
        return len(self.events)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is quiet, and looks follow each other at once."""
    monkeypatch.setattr(Traced, "await_quiet", lambda *_: None)
    monkeypatch.setattr(traced_calls, "CAUGHT_UP_WITHIN_S", 30.0)
    monkeypatch.setattr(traced_calls, "LOOK_S", 0.001)


def watching(api: Api, trace: Trace) -> Traced:
    """A trace of that queue beside that API."""
    deployment = SimpleNamespace(broker=SimpleNamespace(statistics_lag_s=0.0))
    return Traced(
        cast("Context", SimpleNamespace(deployment=deployment)),
        cast("BrokerApi", api),
        cast("Firehose", trace),
        {},
        cast("LivenessWatch", SimpleNamespace(check=lambda: None)),
        {},
    )


START = Quiet(queue="engine", consumers=(), event=0, counted=500, unquiet=None)


def test_a_counter_that_lags_at_the_end_is_waited_for() -> None:
    """998 of 1000 deliveries are counted when the queue is quiet, all of them a while later."""
    api = Api([1498, 1498, 1500, 1501])
    end = watching(api, Trace(1000)).quiet("engine", START)
    assert (counted(START, end), end.event, api.looks) == (1000, 1000, 3)


@pytest.mark.parametrize("reading", [1498, 1507])
def test_a_counter_that_never_agrees_is_told_as_it_is(
    reading: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace with a gap, or a counter that counts no more, ends the wait only by its length."""
    monkeypatch.setattr(traced_calls, "CAUGHT_UP_WITHIN_S", 0.5)
    api = Api([reading])
    end = watching(api, Trace(1000)).quiet("engine", START)
    assert counted(START, end) == reading - 500
    assert api.looks > 2


def test_a_queue_that_is_quiet_no_more_is_not_waited_for() -> None:
    """New deliveries move the counter too: nothing can agree any more."""
    api = Api([1498])
    watching(api, Trace(1000, grows=True)).quiet("engine", START)
    assert api.looks == 1


def test_an_agreeing_counter_and_one_that_is_missing_are_looked_at_once() -> None:
    """On a healthy broker the end takes no longer; without statistics there is nothing to wait for."""
    for readings in ([1500], [None]):
        api = Api([*readings])
        watching(api, Trace(1000)).quiet("engine", START)
        assert api.looks == 1


@pytest.mark.parametrize(
    ("readings", "found", "looks"),
    [
        ([500], 500, 2),
        ([480, 500], 500, 4),
        ([480, 480, 500], 480, 2),
        ([480, 490, 490, 500], 500, 6),
        ([None], None, 2),
    ],
)
def test_a_counter_that_moves_at_the_start_must_stand_still(
    readings: list[int | None], found: int | None, looks: int
) -> None:
    """Two equal looks are enough where the first two are equal; else three in a row."""
    api = Api(readings)
    start = watching(api, Trace(20)).quiet("engine")
    assert (start.counted, start.event, api.looks) == (found, 20, looks)
