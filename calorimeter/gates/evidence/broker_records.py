"""What the broker shows of itself, as frozen records, and the joins between them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from calorimeter.core.toml import Model

_PROCESS = re.compile(r"^(?P<role>[A-Za-z][\w.+-]*):(?P<pid>\d+):[0-9a-fA-F-]{32,36}$")


class Process(Model):
    """An OpenStack process, from the name it gives its connection: `heat-engine:<pid>:<uuid>`.

    With eventlet workers the pid is the worker's own, so every worker is a process here. A pid is
    unique on one `host` only, which is the peer address that the broker sees.
    """

    role: str
    pid: int
    host: str

    def __str__(self) -> str:
        return f"{self.role}[{self.pid}]@{self.host}"


class Overview(Model):
    """The broker as a whole. `rates_mode` is `none`, `basic` or `detailed`; `stats_disabled` says that
    the management API shows neither counters nor consumers, connections and channels.
    """

    version: str
    cluster: str
    rates_mode: str
    stats_disabled: bool
    tags: tuple[str, ...]


class Queue(Model):
    """One queue. Counts are None where the broker keeps no statistics; `delivered` counts deliveries
    to consumers since the queue was made, redeliveries among them, and lags (`statistics_lag_s`).
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


class Consumer(Model):
    """One consumer of one queue; `connection` and `channel` name where it sits."""

    queue: str
    tag: str
    connection: str
    channel: int
    prefetch: int
    acknowledges: bool
    exclusive: bool
    user: str


class Connection(Model):
    """One AMQP connection; `name` is `client -> server`, as in traced messages.

    `given_name` is what the client calls itself (`connection_name`), None where it does not. `heartbeat_s`
    is AMQP's heartbeat as client and broker agreed on it; 0 is none, None not told.
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
    def process(self) -> Process | None:
        """The OpenStack process behind this connection, or None where its name is not of that form."""
        found = _PROCESS.match(self.given_name or "")
        if found is None:
            return None
        return Process(role=found["role"], pid=int(found["pid"]), host=self.peer_host)


class Channel(Model):
    """One channel with its totals since it was opened; they lag (`statistics_lag_s`).

    `deliver` counts messages delivered to consumers that acknowledge, `deliver_no_ack` to those that
    do not, `get` what was fetched with basic.get. A channel of an engine serves a topic's queue, its
    per-host queue and its fanout, so its totals are of all three.
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
    """A consumer of a topic's queue with the process that it belongs to.

    `process` is None for a stranger, or where the connection is not listed, not yet or no more: then
    `peer_host` is None too. `server` is what the process calls itself on this topic (from the queue
    `<topic>.<server>` on the same channel): a host name for `engine`, an engine id for `engine_worker`;
    None where it has no such queue.
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
    process: Process | None
    server: str | None

    def __str__(self) -> str:
        who = str(self.process) if self.process else f"{self.given_name or 'unnamed'}@{self.peer_host}"
        if self.peer_host is None:
            who = "unlisted"
        return f"{who} ({self.connection}, channel {self.channel})"


def hosts(engines: Iterable[EngineConsumer]) -> dict[Process, str]:
    """The host of each engine's process, as the consumers of `engine` name it.

    Left out is one of several hosts: in containers all engines may have the same process id, and behind an
    address translation or a balancer in front of the broker the same address as well.
    """
    named: defaultdict[Process, set[str]] = defaultdict(set)
    for each in engines:
        if each.process and each.server:
            named[each.process].add(each.server)
    return {process: min(servers) for process, servers in named.items() if len(servers) == 1}


def join_consumers(
    topic: str, consumers: tuple[Consumer, ...], connections: tuple[Connection, ...]
) -> tuple[EngineConsumer, ...]:
    """Consumers of `topic` joined with their connections (by name) and neighbours (by channel)."""
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
                queue=consumer.queue,
                tag=consumer.tag,
                connection=consumer.connection,
                channel=consumer.channel,
                prefetch=consumer.prefetch,
                acknowledges=consumer.acknowledges,
                user=consumer.user,
                given_name=connection.given_name if connection else None,
                peer_host=connection.peer_host if connection else None,
                process=connection.process if connection else None,
                server=server[0] if server else None,
            )
        )
    return tuple(sorted(joined, key=lambda c: (c.connection, c.channel, c.tag)))
