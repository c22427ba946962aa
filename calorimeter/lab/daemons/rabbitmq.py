"""RabbitMQ with its management plugin and its own epmd, all on loopback."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

from calorimeter.core import files
from calorimeter.core.bounds import is_digits
from calorimeter.lab import processes, tls_options
from calorimeter.lab.daemons import readiness
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import LOOPBACK, Lab, write_private
from calorimeter.lab.sample.layout import BROKER_USER

USER = "calorimeter"
STATISTICS_LAG_S = 2.0
"""How late counters can be, from the two intervals in `_CONF`."""

_CONF = """\
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
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


def user(lab: Lab) -> str:
    """The user name of Heat and the suite."""
    return BROKER_USER if lab.topology.sample else USER


def prepare(lab: Lab) -> None:
    """Write the configuration; files with passwords have mode 600."""
    home = lab.folder / "rabbitmq"
    files.make_folder(home)
    text = _CONF.format(
        user=user(lab),
        password=lab.secrets["amqp"],
        only_here="false" if lab.layout else "true",
    )
    write_private(home / "rabbitmq.conf", tls_options.broker(lab, "amqp", "management") + text)
    write_private(home / "enabled_plugins", "[rabbitmq_management].\n")
    write_private(home / "rabbitmq-env.conf", "")
    cookie = home / ".erlang.cookie"
    cookie.unlink(missing_ok=True)
    write_private(cookie, lab.secrets["erlang_cookie"])
    cookie.chmod(0o400)


def daemon(lab: Lab) -> Daemon:
    """RabbitMQ as the current user (Debian's wrapper would change to the user rabbitmq)."""
    home = lab.folder / "rabbitmq"
    return Daemon(
        part="rabbitmq",
        argv=(str(lab.programs.rabbitmq),),
        environment={
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"calorimeter-{lab.topology.name}@localhost",
            "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_DIST_PORT": str(lab.port("erlang")),
            "ERL_EPMD_PORT": str(lab.port("epmd")),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # For every Erlang VM, including the short-lived one that starts epmd.
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        },
        ready=lambda: serves(lab),
        deadline_s=90,
    )


def serves(lab: Lab) -> bool:
    """Whether it accepts AMQP connections and the management API answers with our password."""
    return readiness.accepts(lab.host("amqp"), lab.port("amqp")) and _get(lab, "overview") is not None


def transport(lab: Lab) -> str:
    """The `transport_url` for Heat."""
    return f"rabbit://{user(lab)}:{lab.secrets['amqp']}@{lab.address('amqp')}/"


def engine_consumers(lab: Lab) -> dict[int, int]:
    """Process id → number of its consumers on the queue `engine`.

    oslo.messaging names each connection `PROGRAM:PID:UUID`, and a consumer's channel belongs to one.
    """
    consumers: list[dict[str, Any]] = _get(lab, f"consumers/{quote('/', safe='')}") or []
    connections: list[dict[str, Any]] = _get(lab, "connections?columns=name,user_provided_name") or []
    given = {each["name"]: str(each.get("user_provided_name", "")) for each in connections}
    names = [given.get(_connection(each), "") for each in consumers if each["queue"]["name"] == "engine"]
    pids = (name.split(":")[1] for name in names if name.count(":") >= 2)
    return dict(Counter(int(pid) for pid in pids if is_digits(pid)))


def consumers_of(lab: Lab, part: str) -> int:
    """The number of an engine's consumers on the queue `engine`."""
    counted = engine_consumers(lab)
    if not counted:
        return 0  # to look through all processes of the machine takes long
    return sum(counted.get(process.pid, 0) for process in processes.running(lab.folder, part))


def _connection(consumer: dict[str, Any]) -> str:
    """The name of a consumer's connection; "" while the statistics lack it (an empty list then)."""
    details = consumer["channel_details"]
    return str(details["connection_name"]) if isinstance(details, dict) and details else ""


def _get(lab: Lab, path: str) -> Any:
    account = (user(lab), lab.secrets["amqp"])
    return readiness.json_of(f"{lab.url('management')}/api/{path}", account, verify=lab.verify)
