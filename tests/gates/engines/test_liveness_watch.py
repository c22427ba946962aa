"""The watch over an experiment: it names what has gone away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from calorimeter.core.waiting import until
from calorimeter.gates.engines import liveness_watch
from calorimeter.gates.engines.liveness_watch import LivenessWatch
from calorimeter.gates.evidence.broker_records import BrokerConsumer
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates.engines.fake_broker import Engine, FakeBroker, FakeContext, FakeFirehose

NAMES = {"c1#1": "engine-1 [1]", "c2#1": "engine-2 [2]"}
PATIENCE_S = 10.0


class Broker(FakeBroker):
    """A broker that can be down."""

    down = False

    def consumers(self) -> tuple[BrokerConsumer, ...]:
        """All consumers; raises if the broker is down."""
        self.polls += 1
        if self.down:
            raise EvidenceUnavailable("broker management", "does not answer")
        return self.settled()[0]

    def __exit__(self, *exc: object) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker with two engines, polled at once."""
    broker = Broker([Engine("engine-1", 1, "c1"), Engine("engine-2", 2, "c2")])
    monkeypatch.setattr(liveness_watch.BrokerApi, "of", lambda _: broker)
    monkeypatch.setattr(liveness_watch, "POLL_S", 0.001)
    return broker


@pytest.fixture
def firehose() -> FakeFirehose:
    """A trace without gaps."""
    return FakeFirehose()


@pytest.fixture
def watch(broker: Broker, firehose: FakeFirehose) -> Iterator[LivenessWatch]:
    """A watch over both engines."""
    with LivenessWatch(FakeContext().deployment, cast("Firehose", firehose), NAMES) as watch:
        yield watch


def polled(broker: Broker) -> None:
    """Wait for two further polls."""
    enough = broker.polls + liveness_watch.POLLS_THAT_AGREE + 1
    until(lambda: broker.polls > enough, PATIENCE_S, every_s=0.001)


def test_engine_that_stops_consuming_is_named(broker: Broker, watch: LivenessWatch) -> None:
    """All consumers are there at first; then one is missing in two polls."""
    polled(broker)
    watch.check()
    broker.engines.pop()
    polled(broker)
    with pytest.raises(EvidenceUnavailable) as caught:
        watch.check()
    assert str(caught.value) == "engine-2 [2]: stopped consuming during the experiment"


def test_engine_that_the_experiment_breaks_is_not_reported(broker: Broker, watch: LivenessWatch) -> None:
    """It is excluded before it is broken."""
    watch.exclude(["engine-2 [2]"])
    broker.engines.pop()
    polled(broker)
    watch.check()


def test_engine_that_the_experiment_did_not_break_is_watched_again(
    broker: Broker, watch: LivenessWatch
) -> None:
    """Before the fault all engines that it may strike are excluded, afterwards only the one that it did."""
    watch.exclude(["engine-1 [1]", "engine-2 [2]"])
    watch.exclude(["engine-1 [1]"])
    broker.engines.clear()
    polled(broker)
    with pytest.raises(EvidenceUnavailable, match=r"^engine-2 \[2\]: stopped consuming"):
        watch.check()


def test_broker_that_does_not_answer_is_named(broker: Broker, watch: LivenessWatch) -> None:
    """Its management API fails twice in a row."""
    broker.down = True
    polled(broker)
    with pytest.raises(
        EvidenceUnavailable, match="went away during the experiment: it does not answer"
    ) as caught:
        watch.check()
    assert caught.value.where == "broker management"


def test_incomplete_trace_is_reported(firehose: FakeFirehose, watch: LivenessWatch) -> None:
    """The trace is a part that the experiment depends on."""
    firehose.why_incomplete = "tracing is off"
    firehose.where = "RabbitMQ"
    with pytest.raises(EvidenceUnavailable, match="RabbitMQ: tracing is off"):
        watch.check()


def test_work_that_fails_because_an_engine_went_away_names_the_engine(
    broker: Broker, watch: LivenessWatch
) -> None:
    """The work's own error comes before the polls that show the cause."""

    def work() -> None:
        broker.engines.pop()
        raise EvidenceUnavailable("call 7", "failed")

    with pytest.raises(EvidenceUnavailable, match="engine-2"):
        watch.run(work)


def test_work_that_fails_for_another_reason_raises_its_error(watch: LivenessWatch) -> None:
    """All parts are there. Work that succeeds returns its result."""

    def work() -> None:
        raise EvidenceUnavailable("call 7", "failed")

    with pytest.raises(EvidenceUnavailable, match="call 7: failed"):
        watch.run(work)
    assert watch.run(lambda: 7) == 7
