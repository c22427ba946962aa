"""A node of RabbitMQ: its name, its own address, its folder, and its configuration.

Nodes speak to one another at addresses of their own in 127.8.0.0/16, one for each node of each lab, and to
clients at the lab's address. So a rule about one address parts a node from all others, and from no client.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from calorimeter.core import files
from calorimeter.lab import tls_options
from calorimeter.lab.daemons import rabbitmq_program, readiness
from calorimeter.lab.lab_state import LOOPBACK, Lab, write_private
from calorimeter.lab.lab_topology import PortKind
from calorimeter.lab.sample.layout import BROKER_USER

USER = "calorimeter"
STATISTICS_LAG_S = 2.0
"""How late counters can be, from the two intervals in `_CONF`."""

NET_TICK_S = 10
"""net_ticktime of a cluster: a frozen node is given up after 7.5 to 12.5 s. RabbitMQ's default is 60 s.

Until then the management API of the other nodes does not answer.
"""

_CONF = """\
load_definitions = {home}/definitions.json
loopback_users.{user} = {only_here}
log.console = true
log.console.level = info
log.file = false
# Counters are at most two seconds late (statistics_lag_s).
collect_statistics_interval = 1000
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.10 = 1
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""

_CLUSTER = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = {handling}
"""


def user(lab: Lab) -> str:
    """The user name of Heat and the suite."""
    return BROKER_USER if lab.topology.sample else USER


def name(part: str) -> str:
    """The name of a node, the same in all labs: each lab has an epmd of its own.

    epmd knows the nodes of all hosts by the first half alone.
    """
    return f"{part}@{part}"


def home(lab: Lab, part: str) -> Path:
    """The folder of a node."""
    return lab.folder / part


def port_name(lab: Lab, part: str, kind: PortKind) -> str:
    """The name of a node's port of one kind, as in `Lab.port`."""
    return lab.topology.broker_ports(kind)[lab.topology.broker_parts.index(part)]


def own_address(lab: Lab, part: str) -> str:
    """The loopback address at which a node speaks to others; its last two bytes are a reserved port."""
    port = lab.port(port_name(lab, part, "erlang"))
    return f"127.8.{port >> 8}.{port & 255}"


def own_addresses(lab: Lab) -> dict[str, str]:
    """Node → its own address."""
    return {part: own_address(lab, part) for part in lab.topology.broker_parts}


def group(lab: Lab, part: str) -> int | None:
    """The group id that identifies a node's packets, unique among all labs; None without root."""
    return 100_000 + lab.port(port_name(lab, part, "amqp")) if os.geteuid() == 0 else None


def prepare(lab: Lab, part: str) -> None:
    """Write the files of a node, all but its database; files with passwords have mode 600."""
    folder = files.make_folder(home(lab, part))
    write_private(folder / "rabbitmq.conf", _conf(lab, part))
    write_private(folder / "enabled_plugins", f"[{','.join(rabbitmq_program.PLUGINS)}].\n")
    write_private(folder / "rabbitmq-env.conf", "")
    write_private(folder / "inetrc", _inetrc(lab, part))
    write_private(folder / "definitions.json", json.dumps(_definitions(lab)))
    cookie = folder / ".erlang.cookie"
    cookie.unlink(missing_ok=True)
    write_private(cookie, lab.secrets["erlang_cookie"])
    cookie.chmod(0o400)


def epmd_answers(lab: Lab) -> bool:
    """Whether the lab's epmd serves; in a lab of hosts it cannot be reached from here."""
    return lab.layout is not None or readiness.accepts(LOOPBACK, lab.port("epmd"))


def cut_mark(lab: Lab, part: str) -> Path:
    """The file that is there while a node is cut from the others."""
    return home(lab, part) / "partitioned"


def without_accounts(lab: Lab, part: str) -> None:
    """Let a node create no account: for a template, which all labs share."""
    write_private(home(lab, part) / "definitions.json", json.dumps({"vhosts": [{"name": "/"}]}))


def environment(lab: Lab, part: str) -> dict[str, str]:
    """The environment of a node, and of rabbitmqctl for it."""
    folder = home(lab, part)
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": name(part),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(database(lab, part)),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_DIST_PORT": str(lab.port(port_name(lab, part, "erlang"))),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _flags(lab, part),
        "ERL_EPMD_PORT": str(lab.port("epmd")),
        "ERL_INETRC": str(folder / "inetrc"),
        # For every Erlang VM, that of rabbitmqctl included.
        "ERL_FLAGS": f"-kernel inet_dist_use_interface {_term(own_address(lab, part))} -start_epmd false",
    }


def database(lab: Lab, part: str) -> Path:
    """The folder of a node's database, which a template can fill."""
    return home(lab, part) / "mnesia"


def start_alone(lab: Lab, part: str) -> None:
    """Let a node load its own tables when it starts next, as after `rabbitmqctl force_boot`.

    Otherwise a node of a cluster waits for the node that it takes for the last one that ran.
    """
    if lab.topology.brokers > 1:
        files.append(database(lab, part) / name(part) / "force_load").close()


def _conf(lab: Lab, part: str) -> str:
    listeners = tls_options.broker(lab, port_name(lab, part, "amqp"), port_name(lab, part, "management"))
    only_here = "false" if lab.layout else "true"
    text = listeners + _CONF.format(home=home(lab, part), user=user(lab), only_here=only_here)
    nodes = lab.topology.broker_parts
    if len(nodes) == 1:
        return text
    text += _CLUSTER.format(handling=lab.topology.cluster_handling)
    for number, each in enumerate(nodes, 1):
        text += f"cluster_formation.classic_config.nodes.{number} = {name(each)}\n"
    return text


def _definitions(lab: Lab) -> dict[str, object]:
    """The account of Heat and the suite, in the form of RabbitMQ's definition files."""
    # rabbit_password_hashing_sha256: base64 of salt + SHA-256(salt + password), with a salt of 4 bytes.
    salt = secrets.token_bytes(4)
    digest = salt + sha256(salt + lab.secrets["amqp"].encode()).digest()
    account = {
        "name": user(lab),
        "password_hash": b64encode(digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",  # RabbitMQ 3.8 reads no list
        "limits": {},
    }
    rights = {"user": user(lab), "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return {"vhosts": [{"name": "/"}], "users": [account], "permissions": [rights]}


def _inetrc(lab: Lab, part: str) -> str:
    """How a node resolves names: its host's own name, too, is its own address.

    Replicas of a stream listen for one another at what the host's name resolves to.
    """
    machine = socket.gethostname().partition(".")[0]
    hosts = [(LOOPBACK, "localhost"), (own_address(lab, part), machine)]
    hosts += [(address, each) for each, address in own_addresses(lab).items()]
    lines = [f'{{host, {_term(address)}, ["{host}"]}}.' for address, host in hosts]
    return "\n".join(["{lookup, [file, native]}.", *lines]) + "\n"


def _flags(lab: Lab, part: str) -> str:
    """Options of a node's Erlang VM."""
    flags = f"-kernel inet_dist_connect_options [{{ip,{_term(own_address(lab, part))}}}]"
    if lab.topology.brokers == 1:
        return f"{flags} +S 2:2"
    return f"{flags} +S 1:1 -kernel net_ticktime {NET_TICK_S}"


def _term(address: str) -> str:
    """An IPv4 address as an Erlang term."""
    return f"{{{address.replace('.', ',')}}}"
