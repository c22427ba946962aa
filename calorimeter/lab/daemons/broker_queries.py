"""Questions of the lab to RabbitMQ's management API; of a cluster, the first node that answers is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from calorimeter.core.bounds import is_digits
from calorimeter.core.errors import InputError
from calorimeter.lab import processes
from calorimeter.lab.daemons import rabbitmq_node, readiness
from calorimeter.lab.lab_state import Lab

TIMEOUT_S = 3.0
"""A node of a cluster may not answer while another one is frozen (`rabbitmq_node.NET_TICK_S`)."""


@dataclass(frozen=True, slots=True)
class SeenCluster:
    """What a node sees: the nodes that run, and whether a node reports a partition."""

    running: frozenset[str]
    partitioned: bool


def seen_by(lab: Lab, part: str) -> SeenCluster | None:
    """What a node sees of its cluster; None if its management API does not answer."""
    nodes = ask_node(lab, part, "nodes?columns=name,running,partitions")
    if nodes is None:
        return None
    up = [each for each in nodes if each.get("running")]
    return SeenCluster(
        frozenset(str(each["name"]).rpartition("@")[2] for each in up),
        any(each.get("partitions") for each in up),
    )


def engine_consumers(lab: Lab, vhost: str) -> dict[int, int]:
    """Process id → number of its consumers on the queue `engine` of a virtual host.

    oslo.messaging names each connection `PROGRAM:PID:UUID`, and a consumer's channel belongs to one.
    """
    consumers: list[dict[str, Any]] = ask(lab, f"consumers/{quote(vhost, safe='')}") or []
    connections: list[dict[str, Any]] = ask(lab, "connections?columns=name,user_provided_name") or []
    given = {each["name"]: str(each.get("user_provided_name", "")) for each in connections}
    names = [given.get(_connection(each), "") for each in consumers if each["queue"]["name"] == "engine"]
    pids = (name.split(":")[1] for name in names if name.count(":") >= 2)
    return dict(Counter(int(pid) for pid in pids if is_digits(pid)))


def consumers_of(lab: Lab, part: str) -> int:
    """The number of an engine's consumers on the queue `engine`."""
    counted = engine_consumers(lab, lab.topology.vhost_of(part))
    if not counted:
        return 0  # to look through all processes of the machine takes long
    return sum(counted.get(process.pid, 0) for process in processes.running(lab.folder, part))


def _connection(consumer: dict[str, Any]) -> str:
    """The name of a consumer's connection; "" while the statistics lack it (an empty list then)."""
    details = consumer["channel_details"]
    return str(details["connection_name"]) if isinstance(details, dict) and details else ""


def ask(lab: Lab, path: str) -> Any:
    """The answer to a GET of the management API; None if no node answers."""
    answers = (ask_node(lab, part, path) for part in lab.topology.broker_parts)
    return next((answer for answer in answers if answer is not None), None)


def answering(lab: Lab) -> str:
    """The first node that answers. Raises `InputError` if none does."""
    for part in lab.topology.broker_parts:
        if ask_node(lab, part, "overview?columns=node") is not None:
            return part
    raise InputError(f"lab {lab.topology.name}", "has no broker that answers", "start or thaw one first")


def ask_node(lab: Lab, part: str, path: str) -> Any:
    """The answer of one node; None if it does not answer."""
    url = f"{management_url(lab, part)}/{path}"
    return readiness.json_of(url, account(lab), verify=lab.verify, timeout_s=TIMEOUT_S)


def management_url(lab: Lab, part: str) -> str:
    """The URL of a node's management API."""
    return f"{lab.url(rabbitmq_node.port_name(lab, part, 'management'))}/api"


def account(lab: Lab) -> tuple[str, str]:
    """User and password."""
    return rabbitmq_node.user(lab), lab.secrets["amqp"]
