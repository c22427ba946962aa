"""RabbitMQ with its management plugin, one node or a cluster, and an epmd of the lab; all on loopback."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from calorimeter.lab import processes
from calorimeter.lab.daemons import (
    broker_queries,
    daemon,
    rabbitmq_node,
    rabbitmq_program,
    rabbitmq_template,
    readiness,
    shared_template,
)
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import LOOPBACK, Lab

READY_S = 120.0


def prepare(lab: Lab, cancel: Event | None = None, say: Callable[[str], None] = lambda line: None) -> None:
    """Write the files of all nodes, give them their database, and start epmd."""
    rabbitmq_program.prepare(lab)
    for part in lab.topology.broker_parts:
        rabbitmq_node.prepare(lab, part)
    start_epmd(lab, cancel)
    template = rabbitmq_template.path(lab)
    if not template.exists():
        with shared_template.only_one("rabbitmq", cancel):
            if not template.exists():
                say("rabbitmq: creating the database, once for all labs")
                _make_template(lab, cancel)
    rabbitmq_template.fill(lab)


def _make_template(lab: Lab, cancel: Event | None) -> None:
    for part in lab.topology.broker_parts:
        rabbitmq_node.without_accounts(lab, part)
    # Without an account no node answers our questions, but it listens only once it is in the cluster.
    start(lab, cancel, ready=_listens)
    rabbitmq_template.keep(lab, cancel)
    for part in lab.topology.broker_parts:
        rabbitmq_node.prepare(lab, part)


def start(lab: Lab, cancel: Event | None, ready: Callable[[Lab, str], bool] | None = None) -> None:
    """Start all nodes together, and wait until each serves. Raises `DaemonError` and `CancelledError`."""
    daemons = [node(lab, part, ready or serves) for part in lab.topology.broker_parts]
    launched = [(what, daemon.launch(lab, what)) for what in daemons]
    for what, process in launched:
        daemon.await_ready(lab, what, process, cancel)


def prepare_restart(lab: Lab, part: str) -> None:
    """Prepare the start of one node. If no other node runs, it does not wait for them."""
    start_epmd(lab)
    (rabbitmq_node.home(lab, part) / "pid").unlink(missing_ok=True)
    if not running(lab):
        rabbitmq_node.start_alone(lab, part)


def start_epmd(lab: Lab, cancel: Event | None = None) -> None:
    """Start the lab's epmd, which knows the ports of all nodes, unless it runs."""
    if processes.running(lab.folder, "epmd"):
        return
    addresses = ",".join([LOOPBACK, *rabbitmq_node.own_addresses(lab).values()])
    port = lab.port("epmd")
    what = Daemon(
        part="epmd",
        argv=(str(lab.programs.epmd), "-address", addresses, "-port", str(port)),
        ready=lambda: readiness.accepts(rabbitmq_node.own_address(lab, lab.topology.broker_parts[0]), port),
        deadline_s=20,
    )
    daemon.start(lab, what, cancel)


def node(lab: Lab, part: str, ready: Callable[[Lab, str], bool] | None = None) -> Daemon:
    """A node as the current user (Debian's wrapper would change to the user rabbitmq)."""
    return Daemon(
        part=part,
        argv=(str(rabbitmq_program.server(lab)),),
        environment=rabbitmq_node.environment(lab, part),
        ready=lambda: (ready or serves)(lab, part),
        deadline_s=READY_S,
        group=rabbitmq_node.group(lab, part),
    )


def serves(lab: Lab, part: str, among: set[str] | None = None) -> bool:
    """Whether a node accepts AMQP connections, its management API answers, and it is in the cluster.

    It is in the cluster when it sees the nodes `among` (default: those that run), and no partition.
    """
    if not _listens(lab, part):
        return False
    seen = broker_queries.seen_by(lab, part)
    wanted = running(lab) if among is None else among
    return seen is not None and not seen.partitioned and wanted <= seen.running


def running(lab: Lab) -> set[str]:
    """The nodes whose process runs and is not frozen."""
    found = ((part, rabbitmq_template.masters(lab, part)) for part in lab.topology.broker_parts)
    return {part for part, masters in found if any(each.state != "T" for each in masters)}


def transport(lab: Lab) -> str:
    """The `transport_url` for Heat, with all nodes."""
    account = f"{rabbitmq_node.user(lab)}:{lab.secrets['amqp']}"
    hosts = (f"{account}@{lab.address(name)}" for name in lab.topology.broker_ports("amqp"))
    return f"rabbit://{','.join(hosts)}/"


def _listens(lab: Lab, part: str) -> bool:
    name = rabbitmq_node.port_name(lab, part, "amqp")
    return readiness.accepts(lab.host(name), lab.port(name))
