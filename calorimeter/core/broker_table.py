"""`[broker]` of a deployment file: RabbitMQ, as one node or as a cluster of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.toml import Model, Name, Seconds
from calorimeter.core.urls import AmqpUrl, HttpUrl

OLD_KEYS = (
    "[broker] amqp = …, management = … are read as nodes = [{ amqp = …, management = … }, …]; new there: "
    "the name of each node"
)


class BrokerNode(Model):
    """One node of RabbitMQ.

    `name` is the node's own name (`rabbit@HOST`). `amqp` is the address at which it serves clients,
    `management` that of its management API, without `/api`, `prometheus` that of its plugin
    rabbitmq_prometheus, without `/metrics`.
    """

    name: Name | None = None
    amqp: AmqpUrl | None = None
    management: HttpUrl | None = None
    prometheus: HttpUrl | None = None

    @model_validator(mode="after")
    def _reachable(self) -> BrokerNode:
        if self.amqp is None and self.management is None:
            raise ValueError('give amqp = "amqp://HOST:PORT" and, if it has one, management = "http://…"')
        return self

    def runs_on(self, part: str) -> bool:
        """Whether `[[parts]]` calls the node `part`: by its whole name, or by the host in it."""
        return self.name is not None and part in (self.name, self.name.rpartition("@")[2])


class Broker(Model):
    """RabbitMQ: its nodes, and the account that Heat and the suite use.

    Every node's management API shows the whole cluster, and any node serves the trace of all, so the first
    that answers is used. Tracing is switched on at each node by its own management API.
    """

    nodes: tuple[BrokerNode, ...] = Field(min_length=1)
    user: str
    password: Secret
    vhost: str = "/"
    statistics_lag_s: Seconds = 10.0
    """How old figures of the management API may be: the sum of `collect_statistics_interval` and the
    shortest interval of `management.sample_retention_policies`. RabbitMQ's default is 5 s for each."""

    @model_validator(mode="after")
    def _serves_clients(self) -> Broker:
        if not self.amqp:
            raise ValueError('no node has amqp = "amqp://HOST:PORT"')
        names = [node.name for node in self.nodes if node.name is not None]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two nodes are named {twice[0]!r}")
        return self

    @property
    def amqp(self) -> tuple[str, ...]:
        """The AMQP addresses of the nodes."""
        return tuple(node.amqp for node in self.nodes if node.amqp is not None)

    @property
    def management(self) -> tuple[str, ...]:
        """The management APIs of the nodes; empty if none is described."""
        return tuple(node.management for node in self.nodes if node.management is not None)


def paired(amqp: Sequence[Any], management: Sequence[Any]) -> list[dict[str, Any]]:
    """The nodes of AMQP addresses and of management APIs: those of one host are one node's.

    The others are paired in order: every node's management API shows the whole cluster.
    """
    nodes: list[dict[str, Any]] = [{"amqp": url} for url in amqp]
    left = []
    for url in management:
        fits = [node for node in nodes if "management" not in node and _host(node["amqp"]) == _host(url)]
        if fits:
            fits[0]["management"] = url
        else:
            left.append(url)
    free = [node for node in nodes if "management" not in node]
    for node, url in zip(free, left, strict=False):
        node["management"] = url
    return nodes + [{"management": url} for url in left[len(free) :]]


def _host(url: Any) -> str:
    try:
        return urlsplit(url).hostname or "" if isinstance(url, str) else ""
    except ValueError:  # brackets that hold no IPv6 address; the model refuses it
        return ""


def renewed(tree: dict[str, Any]) -> Iterator[str]:
    """Rewrite `amqp` and `management` of older files; yield a line if they were there."""
    old = tree.get("broker")
    if isinstance(old, dict) and "nodes" not in old and {"amqp", "management"} & {*old}:
        given = [old.pop(key, []) for key in ("amqp", "management")]
        amqp, management = (each if isinstance(each, list) else [each] for each in given)
        old["nodes"] = paired(amqp, management)
        yield OLD_KEYS
