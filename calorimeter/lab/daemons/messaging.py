"""How Heat uses the broker: queue types, prefetch and reply queues, as in `lab up --messaging`."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from calorimeter.config.heat import heat_conf_writer
from calorimeter.core.errors import InputError
from calorimeter.lab.daemons import broker_queries
from calorimeter.lab.lab_state import Lab

PREFETCH = 50
"""rabbit_qos_prefetch_count of recommended messaging, as kolla-ansible sets it; a stream needs one."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - oslo.messaging's own place

HEARTBEAT_S = 15
"""heartbeat_timeout_threshold with a cluster of brokers: a frozen node is noticed after 30 to 38 s.

With oslo.messaging's default of 60 s that takes up to 150 s.
"""

_STREAMS_SINCE = (3, 9)


def sections(lab: Lab, part: str) -> heat_conf_writer.Sections:
    """The options of a part's heat.conf beyond `rabbit_quorum_queue`."""
    asked = lab.topology
    recommended = asked.messaging == "recommended"
    prefetch = asked.prefetch if asked.prefetch is not None or not recommended else PREFETCH
    rabbit: dict[str, str | int | bool] = (
        {} if prefetch is None else {"rabbit_qos_prefetch_count": prefetch}
    )
    if asked.messaging == "durable":
        rabbit["amqp_durable_queues"] = True
    if asked.brokers > 1:
        rabbit["heartbeat_timeout_threshold"] = HEARTBEAT_S
    if not recommended:
        return {"oslo_messaging_rabbit": rabbit} if rabbit else {}
    rabbit |= {
        "rabbit_transient_quorum_queue": True,
        "rabbit_stream_fanout": True,
        "use_queue_manager": True,
        "hostname": f"{_prefix(lab.folder)}{asked.host_name(part)}",
    }
    # The queue manager takes a lock between processes.
    return {"oslo_messaging_rabbit": rabbit, "oslo_concurrency": {"lock_path": str(lab.folder / "heat")}}


def environment(lab: Lab, part: str) -> dict[str, str]:
    """Environment variables of a part of Heat: the name of its reply queues, if its file cannot give one.

    oslo.messaging counts the reply queues of a host's processes of one program from 1, and from 1 again
    when one of another process group comes: two engines of one host would answer to one queue.
    """
    if lab.topology.messaging != "recommended" or lab.topology.host_name(part) == part:
        return {}
    return {"OS_OSLO_MESSAGING_RABBIT__PROCESSNAME": part}


def check_broker(lab: Lab) -> None:
    """Raise InputError if the broker lacks what the lab's messaging needs."""
    if lab.topology.messaging != "recommended":
        return
    flags = broker_queries.ask(lab, "feature-flags") or []
    states = {str(each.get("name")): str(each.get("state")) for each in flags}
    found = (broker_queries.ask(lab, "overview?columns=rabbitmq_version") or {}).get("rabbitmq_version", "")
    number = tuple(int(digits) for digits in re.findall(r"[0-9]{1,9}", str(found))[:2])
    # A release for which streams are no option any more may not name the flag.
    if states.get("stream_queue", "enabled" if number >= _STREAMS_SINCE else "absent") != "enabled":
        raise InputError(
            "--messaging",
            f"recommended needs streams, and RabbitMQ {found} has its feature flag stream_queue "
            f"{states.get('stream_queue', 'not at all')}",
            "valid: classic, durable, quorum; or RabbitMQ 3.9 and later with that flag",
        )


def remove_files(folder: Path) -> None:
    """Remove the counters of reply queues that the processes of the lab in `folder` keep."""
    for path in SHARED_MEMORY.glob(f"{_prefix(folder)}*_qmanager"):
        if not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.unlink(missing_ok=True)


def _prefix(folder: Path) -> str:
    """The begin of the queue manager's host names: unique on this machine, for labs in any state folder."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return f"calorimeter.{folder.name}.{digest}."
