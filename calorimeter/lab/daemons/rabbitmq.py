"""RabbitMQ with its management plugin, one node or a cluster, and an epmd of the lab; all on loopback."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from calorimeter.lab import processes, shared_cache
from calorimeter.lab.daemons import (
    broker_queries,
    rabbitmq_node,
    rabbitmq_program,
    rabbitmq_template,
    readiness,
)
from calorimeter.lab.daemons.daemon import Daemon, await_ready, launch
from calorimeter.lab.lab_state import LOOPBACK, Lab

READY_S = 120.0

AGAIN = 3
"""How often a node of a cluster is started again.

RabbitMQ 3.10 ends with `incompatible_feature_flags` if it asks another node for its flags at a moment when
that one has not read those of its plugins (1 in 11 clusters whose nodes were started together).
"""


def prepare(lab: Lab, part: str) -> None:
    """Write the files of a node, give it its database from the template, and start epmd."""
    rabbitmq_program.prepare(lab)
    rabbitmq_node.prepare(lab, part)
    rabbitmq_template.fill(lab, part)
    start_epmd(lab)


def has_template(lab: Lab) -> bool:
    """Whether there is a template of the database; making one takes about 20 s."""
    return rabbitmq_template.path(lab).exists()


def make_template(lab: Lab, cancel: Event | None) -> None:
    """Make the template with the lab's own nodes. One lab makes it; others that start meanwhile wait."""
    with shared_cache.only_one("rabbitmq", READY_S, cancel):
        if has_template(lab):
            return
        rabbitmq_program.prepare(lab)
        start_epmd(lab, cancel)
        for part in lab.topology.broker_parts:
            rabbitmq_node.prepare(lab, part)
            rabbitmq_node.without_accounts(lab, part)
        # Without an account no node answers our questions, but it listens only once it is in the cluster.
        daemons = [_node(lab, part, _listens) for part in lab.topology.broker_parts]
        launched = [(what, launch(lab, what)) for what in daemons]
        for what, process in launched:
            await_ready(lab, what, process, cancel)
        rabbitmq_template.keep(lab, cancel)


def prepare_restart(lab: Lab, part: str) -> None:
    """Prepare the start of one node. If no other node runs, it does not wait for them."""
    start_epmd(lab)
    if not running(lab):
        rabbitmq_node.start_alone(lab, part)


def start_epmd(lab: Lab, cancel: Event | None = None) -> None:
    """Start the lab's epmd, which knows the ports of all nodes, unless it runs."""
    if processes.running(lab.folder, "epmd"):
        return
    addresses = ",".join([LOOPBACK, *rabbitmq_node.own_addresses(lab).values()])
    what = Daemon(
        part="epmd",
        argv=("epmd", "-address", addresses, "-port", str(lab.port("epmd"))),
        ready=lambda: rabbitmq_node.epmd_answers(lab),
        deadline_s=20,
    )
    await_ready(lab, what, launch(lab, what), cancel)


def daemon(lab: Lab, part: str) -> Daemon:
    """A node; it serves when it is in one cluster with all others that run and are not cut off."""
    return _node(lab, part, serves)


def _node(lab: Lab, part: str, ready: Callable[[Lab, str], bool]) -> Daemon:
    """A node as the current user (Debian's wrapper would change to the user rabbitmq)."""
    return Daemon(
        part=part,
        argv=(str(rabbitmq_program.server(lab)),),
        environment=rabbitmq_node.environment(lab, part),
        ready=lambda: ready(lab, part),
        deadline_s=READY_S,
        group=rabbitmq_node.group(lab, part),
        again=AGAIN if lab.topology.brokers > 1 else 0,
        left=(rabbitmq_node.home(lab, part) / "pid",),
    )


def serves(lab: Lab, part: str) -> bool:
    """Whether a node accepts AMQP connections, its management API answers, and it is in the cluster.

    It is in the cluster when it sees all nodes that it can reach, and no partition.
    """
    if not _listens(lab, part):
        return False
    seen = broker_queries.seen_by(lab, part)
    return seen is not None and not seen.partitioned and {part, *reachable(lab)} <= seen.running


def running(lab: Lab) -> set[str]:
    """The nodes whose process runs and is not frozen."""
    found = ((part, rabbitmq_template.masters(lab, part)) for part in lab.topology.broker_parts)
    return {part for part, masters in found if any(each.state != "T" for each in masters)}


def reachable(lab: Lab) -> set[str]:
    """The nodes that run and are not cut off."""
    return {part for part in running(lab) if not rabbitmq_node.cut_mark(lab, part).exists()}


def transport(lab: Lab, vhost: str = "/") -> str:
    """The `transport_url` for Heat, with all nodes; RabbitMQ's own virtual host `/` has no name in it."""
    account = f"{rabbitmq_node.user(lab)}:{lab.secrets['amqp']}"
    hosts = (f"{account}@{lab.address(name)}" for name in lab.topology.broker_ports("amqp"))
    return f"rabbit://{','.join(hosts)}/{vhost.removeprefix('/')}"


def _listens(lab: Lab, part: str) -> bool:
    name = rabbitmq_node.port_name(lab, part, "amqp")
    return readiness.accepts(lab.host(name), lab.port(name))
