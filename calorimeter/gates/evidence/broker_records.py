"""Records of the broker's management API, their readers, and the joins between them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from calorimeter.core.toml import Model

_PROCESS = re.compile(r"^(?P<role>[A-Za-z][\w.+-]*):(?P<pid>\d+):[0-9a-fA-F-]{32,36}$")


class BrokerProcess(Model):
    """An OpenStack process, from the name of its connection: `heat-engine:<pid>:<uuid>`.

    The pid is that of the eventlet worker, so every worker is a process here. A pid is unique only on one
    `host`, which is the peer address that the broker sees.
    """

    role: str
    pid: int
    host: str

    def __str__(self) -> str:
        return f"{self.role}[{self.pid}]@{self.host}"


class Overview(Model):
    """The broker as a whole, the tags of the user, and the node that answered.

    If `stats_disabled`, the management API shows neither counters nor consumers, connections and channels.
    """

    version: str
    stats_disabled: bool
    tags: tuple[str, ...]
    node: str = ""


class ClusterNode(Model):
    """A node as another one sees it. `partitions` are the nodes that it has lost and not rejoined.

    `net_ticktime_s` is the time after which a silent node counts as down, give or take a quarter; None if
    the node does not run.
    """

    name: str
    running: bool
    partitions: tuple[str, ...] = ()
    net_ticktime_s: int | None = None


class Queue(Model):
    """One queue. Counts are None if the broker keeps no statistics; `delivered` counts deliveries to
    consumers since the queue was declared, including redeliveries, and lags (`statistics_lag_s`). `node` is
    the leader of a quorum queue and the home of a classic one.
    """

    name: str
    type: str
    state: str | None
    durable: bool
    ready: int | None
    unacked: int | None
    consumers: int | None
    delivered: int | None
    redelivered: int | None
    arguments: dict[str, str | int | float | bool | None] = {}
    node: str = ""


class BrokerConsumer(Model):
    """One consumer of one queue; `connection` and `channel` are the ones it consumes on."""

    queue: str
    tag: str
    connection: str
    channel: int
    prefetch: int
    acknowledges: bool
    exclusive: bool
    user: str


class BrokerConnection(Model):
    """One AMQP connection; `name` is `client -> server`, as in traced messages.

    `given_name` is the name that the client gives itself (`connection_name`), None if it gives none.
    `heartbeat_s` is AMQP's heartbeat as negotiated; 0: no heartbeat, None: unknown.
    """

    name: str
    peer_host: str
    peer_port: int
    given_name: str | None
    user: str
    state: str | None
    product: str | None
    heartbeat_s: int | None = None

    @property
    def process(self) -> BrokerProcess | None:
        """The OpenStack process of this connection, or None if its name has another form."""
        found = _PROCESS.match(self.given_name or "")
        if found is None:
            return None
        return BrokerProcess(role=found["role"], pid=int(found["pid"]), host=self.peer_host)


class Channel(Model):
    """One channel with its totals since it was opened; they lag (`statistics_lag_s`).

    `deliver` counts messages delivered to consumers that acknowledge, `deliver_no_ack` to those that do
    not, `get` messages fetched with basic.get. A channel of an engine serves a topic's queue, its per-host
    queue and its fanout; the totals include all three.
    """

    connection: str
    channel: int
    consumers: int
    prefetch: int
    unacked: int
    deliver: int
    deliver_no_ack: int
    get: int
    redeliver: int
    publish: int

    @property
    def delivered(self) -> int:
        """All messages handed out on this channel."""
        return self.deliver + self.deliver_no_ack + self.get


class EngineConsumer(Model):
    """A consumer of a topic's queue with its process.

    `process` is None if the consumer is no OpenStack process, or if its connection is not listed (not yet,
    or not any longer): then `peer_host` is None too. `server` is the name of the process on this topic,
    from the queue `<topic>.<server>` on the same channel: a host name for `engine`, an engine id for
    `engine_worker`; None if it has no such queue.
    """

    queue: str
    tag: str
    connection: str
    channel: int
    prefetch: int
    acknowledges: bool
    user: str
    given_name: str | None
    peer_host: str | None
    process: BrokerProcess | None
    server: str | None

    def __str__(self) -> str:
        who = str(self.process) if self.process else f"{self.given_name or 'unnamed'}@{self.peer_host}"
        if self.peer_host is None:
            who = "unlisted"
        return f"{who} ({self.connection}, channel {self.channel})"


def hosts(engines: Iterable[EngineConsumer]) -> dict[BrokerProcess, str]:
    """Process → host of each engine, as the consumers of `engine` name it.

    A process that appears on several hosts is left out: in containers all engines may have the same process
    id, and behind an address translation or a balancer also the same address.
    """
    named: defaultdict[BrokerProcess, set[str]] = defaultdict(set)
    for each in engines:
        if each.process and each.server:
            named[each.process].add(each.server)
    return {process: min(servers) for process, servers in named.items() if len(servers) == 1}


def join_consumers(
    topic: str, consumers: tuple[BrokerConsumer, ...], connections: tuple[BrokerConnection, ...]
) -> tuple[EngineConsumer, ...]:
    """The consumers of `topic`, joined with their connections (by name) and with the other queues of their
    channels."""
    by_name = {connection.name: connection for connection in connections}
    servers: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for consumer in consumers:
        if consumer.queue.startswith(f"{topic}."):
            servers[consumer.connection, consumer.channel].append(consumer.queue[len(topic) + 1 :])
    joined = []
    for consumer in consumers:
        if consumer.queue != topic:
            continue
        connection = by_name.get(consumer.connection)
        server = servers[consumer.connection, consumer.channel]
        joined.append(
            EngineConsumer(
                **consumer.model_dump(exclude={"exclusive"}),
                given_name=connection.given_name if connection else None,
                peer_host=connection.peer_host if connection else None,
                process=connection.process if connection else None,
                server=server[0] if server else None,
            )
        )
    return tuple(sorted(joined, key=lambda c: (c.connection, c.channel, c.tag)))


def _totals(tree: dict[str, Any], *names: str) -> list[int]:
    stats = tree.get("message_stats") or {}
    return [int(stats.get(name, 0)) for name in names]


def _count(tree: dict[str, Any], name: str) -> int | None:
    return int(tree[name]) if name in tree else None


def _scalars(tree: Iterable[tuple[str, Any]]) -> dict[str, str | int | float | bool | None]:
    return {key: value if isinstance(value, str | int | float | bool | None) else str(value)
            for key, value in tree}  # fmt: skip


def read_overview(trees: dict[str, Any]) -> Overview:
    """The broker and this user, from the objects `overview` and `whoami` of the management API."""
    tree, tags = trees["overview"], trees["whoami"].get("tags", [])
    return Overview(
        node=str(tree.get("node", "")),
        version=str(tree.get("rabbitmq_version", "")),
        stats_disabled=bool(tree.get("disable_stats", False)),
        # A list since 3.9, a string before.
        tags=tuple(tags.split(",") if isinstance(tags, str) else tags),
    )


def read_node(tree: dict[str, Any]) -> ClusterNode:
    """A node, from its object in the management API."""
    return ClusterNode(
        name=tree["name"],
        running=bool(tree.get("running")),
        partitions=tuple(tree.get("partitions") or ()),
        net_ticktime_s=_count(tree, "net_ticktime"),
    )


def read_queue(tree: dict[str, Any]) -> Queue:
    """A queue, from its object in the management API. Counts that the API omits are None."""
    known = "messages_ready" in tree
    delivered, redelivered = _totals(tree, "deliver_get", "redeliver")
    return Queue(
        name=tree["name"],
        type=tree.get("type", "classic"),
        state=tree.get("state"),
        durable=tree["durable"],
        ready=_count(tree, "messages_ready"),
        unacked=_count(tree, "messages_unacknowledged"),
        consumers=_count(tree, "consumers"),
        delivered=delivered if known else None,
        redelivered=redelivered if known else None,
        arguments=_scalars((tree.get("arguments") or {}).items()),
        node=str(tree.get("leader") or tree.get("node") or ""),
    )


def read_consumer(tree: dict[str, Any]) -> BrokerConsumer:
    """A consumer, from its object in the management API."""
    place = tree["channel_details"] or {"connection_name": "", "number": 0}  # [] while the channel closes
    return BrokerConsumer(
        queue=tree["queue"]["name"],
        tag=tree["consumer_tag"],
        connection=place["connection_name"],
        channel=place["number"],
        prefetch=tree["prefetch_count"],
        acknowledges=tree["ack_required"],
        exclusive=tree["exclusive"],
        user=place.get("user", ""),
    )


def read_connection(tree: dict[str, Any]) -> BrokerConnection:
    """A connection, from its object in the management API."""
    properties = tree.get("client_properties") or {}
    return BrokerConnection(
        name=tree["name"],
        peer_host=tree["peer_host"],
        peer_port=tree["peer_port"],
        given_name=properties.get("connection_name") or tree.get("user_provided_name"),
        user=tree.get("user", ""),
        state=tree.get("state"),
        product=properties.get("product"),
        heartbeat_s=_count(tree, "timeout"),
    )


def read_channel(tree: dict[str, Any]) -> Channel:
    """A channel, from its object in the management API."""
    deliver, no_ack, get, get_no_ack, redeliver, publish = _totals(
        tree, "deliver", "deliver_no_ack", "get", "get_no_ack", "redeliver", "publish"
    )
    return Channel(
        connection=tree["connection_details"]["name"],
        channel=tree["number"],
        consumers=tree.get("consumer_count", 0),
        prefetch=tree.get("prefetch_count", 0),
        unacked=tree.get("messages_unacknowledged", 0),
        deliver=deliver,
        deliver_no_ack=no_ack,
        get=get + get_no_ack,
        redeliver=redeliver,
        publish=publish,
    )
