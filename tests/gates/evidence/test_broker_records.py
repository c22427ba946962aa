"""The objects of the management API, read and joined; the literals are from RabbitMQ 3.10.8."""

from __future__ import annotations

from calorimeter.gates.engines import queue_consumers
from calorimeter.gates.evidence.broker_records import (
    BrokerConnection,
    BrokerConsumer,
    BrokerProcess,
    Channel,
    Queue,
    hosts,
    join_consumers,
    read_channel,
    read_connection,
    read_consumer,
    read_queue,
)

ENGINE_1 = "127.0.0.1:50588 -> 127.0.0.1:25972"
ENGINE_2 = "127.0.0.1:50564 -> 127.0.0.1:25972"
STRANGER = "10.0.0.9:40000 -> 127.0.0.1:25972"

CONNECTION = {
    "auth_mechanism": "AMQPLAIN",
    "channels": 1,
    "client_properties": {
        "capabilities": {"connection.blocked": True},
        "connection_name": "heat-engine:7684:cacb641d-eff6-4773-9bdb-fc5ff77c46f6",
        "product": "py-amqp",
    },
    "name": ENGINE_1,
    "node": "evrmq@localhost",
    "peer_cert_issuer": None,
    "peer_host": "127.0.0.1",
    "peer_port": 50588,
    "state": "running",
    "user": "heat",
    "vhost": "/",
}

CONSUMER = {
    "arguments": {},
    "ack_required": True,
    "active": True,
    "channel_details": {
        "connection_name": ENGINE_1,
        "name": f"{ENGINE_1} (1)",
        "number": 1,
        "peer_host": "127.0.0.1",
        "peer_port": 50588,
        "user": "heat",
    },
    "consumer_tag": "1",
    "exclusive": False,
    "prefetch_count": 0,
    "queue": {"name": "engine", "vhost": "/"},
}

CHANNEL = {
    "confirm": False,
    "connection_details": {"name": ENGINE_1, "peer_host": "127.0.0.1", "peer_port": 50588},
    "consumer_count": 3,
    "message_stats": {"deliver": 7, "deliver_no_ack": 1, "get": 2, "get_no_ack": 3, "redeliver": 1},
    "messages_unacknowledged": 4,
    "number": 1,
    "prefetch_count": 0,
}

QUEUE = {
    "arguments": {"x-expires": 1800000},
    "consumers": 2,
    "durable": False,
    "message_stats": {"ack": 2, "deliver": 2, "deliver_get": 2, "redeliver": 1},
    "messages_ready": 0,
    "messages_unacknowledged": 1,
    "name": "engine",
    "state": "running",
    "type": "quorum",
}


def connection(name: str, given_name: str | None, host: str = "127.0.0.1") -> BrokerConnection:
    """A connection with these names."""
    return BrokerConnection(
        name=name,
        peer_host=host,
        peer_port=1,
        given_name=given_name,
        user="heat",
        state="running",
        product=None,
    )


def consumer(queue: str, on: str, tag: str = "1") -> BrokerConsumer:
    """A consumer like an engine's."""
    return BrokerConsumer(
        queue=queue,
        tag=tag,
        connection=on,
        channel=1,
        prefetch=0,
        acknowledges=True,
        exclusive=False,
        user="heat",
    )


def test_a_connection_shows_its_process() -> None:
    """`heat-engine:<pid>:<uuid>` is a role and a pid on the peer's host."""
    found = read_connection(CONNECTION)
    assert found.process == BrokerProcess(role="heat-engine", pid=7684, host="127.0.0.1")
    assert str(found.process) == "heat-engine[7684]@127.0.0.1"


def test_a_role_may_hold_dashes_and_other_names_are_no_process() -> None:
    """heat-api-cfn is a role; a name of another form, or no name, gives no process."""
    uuid = "cacb641d-eff6-4773-9bdb-fc5ff77c46f6"
    names = [f"heat-api-cfn:12:{uuid}", "rally", None, f"heat-engine:x:{uuid}", f"heat-engine:12:{uuid} "]
    found = [connection("c", name).process for name in names]
    assert found == [BrokerProcess(role="heat-api-cfn", pid=12, host="127.0.0.1"), None, None, None, None]


def test_a_consumer_is_read() -> None:
    """Queue, channel, prefetch and acknowledgement are read."""
    assert read_consumer(CONSUMER) == consumer("engine", ENGINE_1)


def test_a_consumer_of_a_closing_channel_is_kept_without_a_channel() -> None:
    """While a channel closes, its details are an empty list; the consumer still counts."""
    found = read_consumer({**CONSUMER, "channel_details": []})
    assert (found.queue, found.connection, found.channel) == ("engine", "", 0)


def test_totals_of_a_channel_are_added() -> None:
    """Delivered messages are those delivered with and without acknowledgement, and those fetched."""
    found = read_channel(CHANNEL)
    assert (found.deliver, found.deliver_no_ack, found.get, found.delivered) == (7, 1, 5, 13)
    assert (found.consumers, found.unacked, found.redeliver) == (3, 4, 1)


def test_a_channel_that_never_delivered_has_zero() -> None:
    """A channel without message_stats has delivered nothing."""
    bare = {"connection_details": {"name": ENGINE_1}, "number": 1}
    assert read_channel(bare) == Channel(
        connection=ENGINE_1,
        channel=1,
        consumers=0,
        prefetch=0,
        unacked=0,
        deliver=0,
        deliver_no_ack=0,
        get=0,
        redeliver=0,
        publish=0,
    )


def test_a_queue_is_read() -> None:
    """Type, counts and arguments are read."""
    assert read_queue(QUEUE) == Queue(
        name="engine",
        type="quorum",
        state="running",
        durable=False,
        ready=0,
        unacked=1,
        consumers=2,
        delivered=2,
        redelivered=1,
        arguments={"x-expires": 1800000},
    )


def test_without_statistics_a_queue_has_no_counts() -> None:
    """With management.disable_stats the API omits the counts; they are unknown, not zero."""
    bare = {"arguments": {}, "durable": False, "name": "engine", "state": "live", "type": "classic"}
    found = read_queue(bare)
    assert (found.ready, found.unacked, found.consumers, found.delivered) == (None, None, None, None)


def test_consumers_are_joined_with_their_processes() -> None:
    """Only consumers of the topic are joined, with their processes and the names of their servers."""
    joined = join_consumers(
        "engine",
        (
            consumer("engine", ENGINE_1),
            consumer("engine.host-1", ENGINE_1, "2"),
            consumer("engine_fanout_1", ENGINE_1, "3"),
            consumer("engine_worker", ENGINE_1, "4"),
            consumer("engine", ENGINE_2),
            consumer("engine", STRANGER),
        ),
        (
            connection(ENGINE_1, "heat-engine:11:cacb641d-eff6-4773-9bdb-fc5ff77c46f6"),
            connection(ENGINE_2, "heat-engine:12:9135981a-260a-4596-9aa0-2e86bdc69d77"),
            connection(STRANGER, "rally", "10.0.0.9"),
        ),
    )
    assert [(c.connection, c.server, c.process is not None) for c in joined] == [
        (STRANGER, None, False),
        (ENGINE_2, None, True),
        (ENGINE_1, "host-1", True),
    ]
    assert str(joined[0]) == f"rally@10.0.0.9 ({STRANGER}, channel 1)"
    assert str(joined[2]) == f"heat-engine[11]@127.0.0.1 ({ENGINE_1}, channel 1)"


def test_a_process_of_two_hosts_has_no_host() -> None:
    """Containers behind one address may all have process 7, so its host cannot be determined."""
    topic = (consumer("engine", ENGINE_1), consumer("engine.host-1", ENGINE_1, "2"))
    topic += (consumer("engine", ENGINE_2), consumer("engine.host-2", ENGINE_2, "2"))
    names = [f"heat-engine:{pid}:cacb641d-eff6-4773-9bdb-fc5ff77c46f6" for pid in (7, 7, 8)]

    def found(*given: str) -> dict[int, str]:
        connections = tuple(map(connection, (ENGINE_1, ENGINE_2), given))
        joined = join_consumers("engine", topic, connections)
        return {process.pid: host for process, host in hosts(joined).items()}

    assert found(*names[1:]) == {7: "host-1", 8: "host-2"}
    assert found(*names[:2]) == {}


def test_a_consumer_whose_connection_is_gone_has_no_process() -> None:
    """The API's lists are not of one moment: a consumer without a connection is no engine."""
    (joined,) = join_consumers("engine", (consumer("engine", ENGINE_1),), ())
    assert (joined.process, joined.peer_host) == (None, None)
    assert str(joined) == f"unlisted ({ENGINE_1}, channel 1)"
    assert not queue_consumers.consuming(joined).listed
