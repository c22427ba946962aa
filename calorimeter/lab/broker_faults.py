"""Faults of a node of a cluster of brokers: cut from the others, and joined to them again.

Nodes speak to one another at addresses of their own (`rabbitmq_node`), so one table of nftables drops all
that a node says to the others or hears from them, and nothing of its clients'.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from calorimeter.core import files
from calorimeter.core.control.controlled_part import Injection
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import part_faults
from calorimeter.lab.daemons import broker_queries, daemon, rabbitmq, rabbitmq_node, rabbitmq_program
from calorimeter.lab.daemons.daemon import DaemonError
from calorimeter.lab.lab_state import Lab

HEALS = {"partitioned": "rejoined"}
"""Action that breaks a node → action that heals it."""

STREAM_PORTS = "6000-6500"
"""Ports at which a stream's leader reaches its replicas: osiris's default, below those of labs."""

BY_ITSELF_S = 20.0
"""Time that a cluster gets to become whole by itself, by its partition handling."""

STEADY_S = 3.0
"""Time for which all nodes must see a whole cluster: what they report may be late (STATISTICS_LAG_S)."""

RESTART_S = 120.0


def injections(base: str) -> dict[str, Injection]:
    """The commands for `deployment.toml`; `base` is `calorimeter lab part … PART`. They need root."""
    if not part_faults.can_drop():
        return {}
    return {
        fault: Injection(inject=f"{base} {fault}", heal=f"{base} {heal}") for fault, heal in HEALS.items()
    }


def cut(lab: Lab, part: str) -> int:
    """Drop what a node sends to other nodes and receives from them; ns since the epoch just before."""
    if part not in rabbitmq.running(lab):
        raise InputError(f"lab part {part}", "does not run, or is frozen", "start or thaw it first")
    own = rabbitmq_node.own_address(lab, part)
    files.append(rabbitmq_node.cut_mark(lab, part)).close()
    return part_faults.make_table(
        _table(lab, part),
        lab.namespace(part),
        (
            "type filter hook output priority 0; policy accept;",
            f"ip daddr {own} drop",
            f"ip saddr {own} drop",
            # Replicas of streams are reached at an address that the host's name has.
            f"meta skgid {rabbitmq_node.group(lab, part)} tcp dport {STREAM_PORTS} drop",
            f"meta skgid {rabbitmq_node.group(lab, part)} tcp sport {STREAM_PORTS} drop",
        ),
    )


def uncut(lab: Lab, part: str) -> int:
    """Let a node's packets pass; ns since the epoch just before."""
    at = part_faults.remove_table(_table(lab, part), lab.namespace(part))
    rabbitmq_node.cut_mark(lab, part).unlink(missing_ok=True)
    return at


def _of_cluster(act: Callable[[Lab, str], int], action: str) -> Callable[[Lab, str], int]:
    def checked(lab: Lab, part: str) -> int:
        if part not in lab.topology.broker_parts or lab.topology.brokers == 1:
            raise InputError(
                f"lab part {part}", f"does not support {action!r}", "valid: a node of a cluster of brokers"
            )
        return act(lab, part)

    return checked


ACTIONS = {"partitioned": _of_cluster(cut, "partitioned"), "rejoined": _of_cluster(uncut, "rejoined")}
"""Action → function that applies it, called with the lab's lock held; after `rejoined` comes `restore`."""


def restore(lab: Lab, part: str) -> None:
    """Wait until all nodes that run, and are not cut off, are one cluster.

    If they do not become one by themselves, RabbitMQ is restarted in the node's Erlang VM, as
    RabbitMQ's documentation says for a partition that nobody handles. Raises `DaemonError`.
    """
    whole = _Steadily(lambda: is_whole(lab))
    manual = lab.topology.cluster_handling == "ignore"
    try:
        until(lambda: whole() or (manual and _partitioned(lab)), BY_ITSELF_S, every_s=0.3)
        if not (manual and _partitioned(lab)):
            return
    except DeadlineError:
        pass  # restart it, below
    for command in ("stop_app", "start_app"):
        argv = [str(rabbitmq_program.control(lab)), "-n", rabbitmq_node.name(part), command]
        daemon.run(lab, part, argv, RESTART_S, extra=rabbitmq_node.environment(lab, part))
    try:
        until(_Steadily(lambda: is_whole(lab)), RESTART_S, every_s=0.3)
    except DeadlineError as problem:
        what = f"is not in one cluster with the others after {RESTART_S:g} s"
        raise DaemonError(part, what, daemon.tail(lab.log(part))) from problem


def is_whole(lab: Lab) -> bool:
    """Whether each node that runs and is not cut off sees all of these, and no partition."""
    nodes = rabbitmq.reachable(lab)
    seen = [broker_queries.seen_by(lab, part) for part in nodes]
    return all(each is not None and not each.partitioned and nodes <= each.running for each in seen)


def _partitioned(lab: Lab) -> bool:
    seen = [broker_queries.seen_by(lab, part) for part in rabbitmq.reachable(lab)]
    return any(each is not None and each.partitioned for each in seen)


def _table(lab: Lab, part: str) -> str:
    return part_faults.table_of(lab, part, "partitioned")


class _Steadily:
    """Whether a condition has held for `STEADY_S` seconds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition
        self._since: float | None = None

    def __call__(self) -> bool:
        if not self._condition():
            self._since = None
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since >= STEADY_S
