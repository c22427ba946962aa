"""The firehose of a real broker: what is recorded, and what is known to be missing from it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.firehose import Firehose, connect, depth
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

pytestmark = pytest.mark.lab


class Traffic:
    """A test queue and its consumer, both on one connection."""

    def __init__(self, deployment: Deployment) -> None:
        self.queue = f"calorimeter.test.{uuid.uuid4().hex}"
        self._connection = connect(deployment)
        self._channel = self._connection.channel()
        self._channel.queue_declare(self.queue, auto_delete=True)
        self._got = 0
        self._channel.basic_consume(self.queue, self._receive, auto_ack=True)

    def send(self, count: int, size: int = 0) -> None:
        """Publish RPC-shaped messages and consume them all."""
        target = self._got + count
        for number in range(count):
            rpc = {
                "method": "m",
                "_context_request_id": f"req-{number}",
                "_context_auth_token": "SECRET",
                "args": {"pad": "x" * size},
            }
            body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(rpc)})
            self._channel.basic_publish("", self.queue, body)
        while self._got < target:
            self._connection.process_data_events(time_limit=5)

    def _receive(self, *_: Any) -> None:
        self._got += 1

    def close(self) -> None:
        """Close the connection; the queue is deleted with its consumer."""
        self._connection.close()


@pytest.fixture
def traffic(lab: Deployment) -> Iterator[Traffic]:
    """Messages to record that are not Heat's."""
    traffic = Traffic(lab)
    yield traffic
    traffic.close()


@pytest.fixture
def traced(lab: Deployment, tmp_path: Path) -> Iterator[BrokerApi]:
    """The broker with tracing on."""
    with tracing(lab, state=tmp_path) as cluster:
        yield cluster.api


def test_every_delivery_is_recorded_in_order(lab: Deployment, traced: BrokerApi, traffic: Traffic) -> None:
    """With one publisher and one consumer, events are in the order of the messages, and none is lost."""
    with Firehose(lab, [traffic.queue]) as firehose:
        traffic.send(500)
        firehose.settle()
        delivered = [e.request_id for e in firehose.deliveries() if e.queue == traffic.queue]
        assert delivered == [f"req-{number}" for number in range(500)]
    assert firehose.complete, firehose.why_incomplete
    published = [e for e in firehose.deliveries() if traffic.queue in e.routed]
    assert [e.request_id for e in published] == delivered
    assert "SECRET" not in repr(firehose.deliveries())


def test_without_publishes_only_deliveries_are_recorded(
    lab: Deployment, traced: BrokerApi, traffic: Traffic
) -> None:
    """The recorder is bound only to the given queues."""
    with Firehose(lab, [traffic.queue], publishes=False) as firehose:
        traffic.send(3)
        firehose.settle()
    assert [(e.kind, e.queue) for e in firehose.deliveries()] == [("deliver", traffic.queue)] * 3


def test_waiting_ends_with_the_event_or_the_deadline(
    lab: Deployment, traced: BrokerApi, traffic: Traffic
) -> None:
    """It is true once the events satisfy the predicate, false if they do not in time."""
    with Firehose(lab, [traffic.queue], publishes=False) as firehose:
        traffic.send(2)
        assert firehose.wait_for(lambda events: len(events) == 2, 5.0)
        assert not firehose.wait_for(lambda events: len(events) > 2, 0.2)


def test_without_tracing_there_is_no_recording(lab: Deployment) -> None:
    """A firehose that would stay empty refuses to start."""
    with BrokerApi.of(lab) as api:
        assert not api.tracing()
    with pytest.raises(EvidenceUnavailable, match="tracing is off"), Firehose(lab):
        pass


def test_tracing_switched_off_during_the_recording_is_detected(
    lab: Deployment, traced: BrokerApi, traffic: Traffic
) -> None:
    """A recording during which tracing was off is incomplete, although it is on again."""
    with Firehose(lab, [traffic.queue]) as firehose:
        traced.set_tracing(False)
        firehose.settle()
        traced.set_tracing(True)
        traffic.send(1)
    assert firehose.why_incomplete == "tracing is off, or was switched off during the recording"


def test_an_overflow_is_detected(lab: Deployment, traced: BrokerApi, traffic: Traffic) -> None:
    """Events that the broker dropped because too many waited make the recording incomplete."""
    with Firehose(lab, [traffic.queue], length=1) as firehose:
        # While a predicate runs the recorder does not read, so events pile up in the broker.
        firehose.wait_for(lambda _: traffic.send(1000, size=50_000) is None, 1.0)
        # Known before the end: experiments ask during the recording.
        assert "the broker dropped events" in until(lambda: firehose.why_incomplete or "", 5.0)


def test_more_events_than_may_be_kept_are_detected(
    lab: Deployment, traced: BrokerApi, traffic: Traffic
) -> None:
    """A recording that reaches its limit says so."""
    with Firehose(lab, [traffic.queue], publishes=False, keep=5) as firehose:
        traffic.send(6)
    assert (len(firehose), firehose.why_incomplete) == (5, "more than 5 events")


def test_a_lost_connection_is_detected(lab: Deployment, traced: BrokerApi) -> None:
    """A recorder whose connection the broker closes reports that it missed the rest."""
    with Firehose(lab) as firehose:
        close_recorders(lab, traced)
        assert not firehose.wait_for(lambda events: False, 10.0)
    assert "the connection to the broker was lost" in (firehose.why_incomplete or "")


def test_recorders_do_not_see_one_another(lab: Deployment, traced: BrokerApi, traffic: Traffic) -> None:
    """The beats of a second recorder are no events of the first."""
    with Firehose(lab, [traffic.queue]) as first, Firehose(lab, [traffic.queue]) as second:
        traffic.send(1)
        second.settle()
        first.settle()
        events = [e for e in first.deliveries() if e.exchange.startswith("calorimeter.")]
    assert events == []
    assert first.complete and second.complete


def test_a_recorder_does_not_consume_from_heats_queues(lab: Deployment, traced: BrokerApi) -> None:
    """While it records, the only new consumers are those of the recorder's own queues."""
    before = {(c.queue, c.connection, c.channel) for c in traced.consumers()}
    with Firehose(lab) as firehose:
        firehose.settle()
        during = {(c.queue, c.connection, c.channel) for c in traced.consumers()}
        assert {queue for queue, _, _ in during - before} <= {*ours(traced)}


def test_nothing_is_left_on_the_broker(lab: Deployment, traced: BrokerApi) -> None:
    """The queues of a recorder are deleted when it ends."""
    with Firehose(lab):
        assert ours(traced)
    assert ours(traced) == []


def test_a_right_that_is_missing_is_named(lab: Deployment, traced: BrokerApi) -> None:
    """Without configure permission there is no queue to record into."""
    assert lab.broker is not None and lab.broker.management
    auth = (lab.broker.user, lab.reveal(lab.broker.password))
    name = f"calorimeter-test-{uuid.uuid4().hex[:8]}"
    api = f"{lab.broker.management[0]}/api"
    users = f"{api}/users/{name}"
    rights = f"{api}/permissions/{requests.utils.quote(lab.broker.vhost, safe='')}/{name}"
    body = {"password": auth[1], "tags": "monitoring"}
    requests.put(users, json=body, auth=auth, timeout=10).raise_for_status()
    limited = lab.model_copy(update={"broker": lab.broker.model_copy(update={"user": name})})
    limited._path = lab.path
    try:
        with pytest.raises(EvidenceUnavailable, match=f"user '{name}' has no permission on it"):
            connect(limited)
        grant = {"configure": "^$", "write": ".*", "read": ".*"}
        requests.put(rights, json=grant, auth=auth, timeout=10).raise_for_status()
        with pytest.raises(EvidenceUnavailable, match=f"user '{name}' lacks"), Firehose(limited):
            pass
    finally:
        requests.delete(users, auth=auth, timeout=10)


def test_a_wrong_password_is_named(lab: Deployment) -> None:
    """AMQP's refusal names the user."""
    assert lab.broker is not None
    stranger = lab.model_copy(update={"broker": lab.broker.model_copy(update={"user": "nobody"})})
    stranger._path = lab.path
    with pytest.raises(EvidenceUnavailable, match="refuses user 'nobody': wrong user or password"):
        connect(stranger)


def test_depth_changes_nothing(lab: Deployment, traffic: Traffic) -> None:
    """It gives length and consumers of a queue; a missing queue is an error and is not created."""
    assert depth(lab, traffic.queue) == (0, 1)
    with pytest.raises(EvidenceUnavailable, match=r"no queue 'calorimeter\.none'"):
        depth(lab, "calorimeter.none")


def ours(api: BrokerApi) -> list[str]:
    """Queues of recorders."""
    return [queue.name for queue in api.queues() if queue.name.startswith("calorimeter.firehose.")]


def close_recorders(deployment: Deployment, api: BrokerApi) -> None:
    """Close all recorders' connections, as an operator might."""
    assert deployment.broker is not None
    auth = (deployment.broker.user, deployment.reveal(deployment.broker.password))

    def closed() -> int:
        names = [
            c.name for c in api.connections() if (c.given_name or "").startswith("calorimeter-firehose:")
        ]
        urls = [f"{api.url}/api/connections/{requests.utils.quote(name)}" for name in names]
        return sum(requests.delete(url, auth=auth, timeout=10).ok for url in urls)

    until(closed, 15, every_s=0.1)
