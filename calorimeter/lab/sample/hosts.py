"""What can be done to a whole host of a sample: its cable, its packets in one direction, its power."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from calorimeter.core.errors import InputError, unknown
from calorimeter.lab import lock, part_faults, processes
from calorimeter.lab.daemons import daemon, heat
from calorimeter.lab.sample import layout, network
from calorimeter.lab.topology import Lab

HOSTS = ("A", *layout.API_HOSTS)

HEALS = {"unreachable": "reachable", "deaf": "hears", "mute": "speaks"}
"""Action that breaks a host → the one that brings it back: its cable is pulled; packets to it vanish;
packets from it vanish."""


def act(lab: Lab, host: str, action: str) -> int:
    """Do one of `ACTIONS` to a host; gives the moment it took effect, ns since the epoch.

    Raises `InputError` where the host is powered off already, or has no such action.
    """
    if action not in ACTIONS:
        raise unknown(f"lab part {host}", "action", action, ACTIONS)
    if action in ("kill", "start", "reboot") and host not in layout.API_HOSTS:
        raise InputError(
            f"lab part {host}", "cannot be switched off", "it has the database and Keystone of the lab"
        )
    return ACTIONS[action](lab, host)


def parts_of(lab: Lab, host: str) -> tuple[str, ...]:
    """The parts that run on a host."""
    return tuple(part for part in lab.topology.heat_parts if layout.host_of(part) == host)


def _is_on(lab: Lab, host: str) -> bool:
    return network.namespace(lab.topology.name, host) in network.existing(lab.topology.name)


def _kill(lab: Lab, host: str) -> int:
    """Switch it off: not one packet leaves it any more, and its kernel forgets everything."""
    if not _is_on(lab, host):
        raise InputError(f"lab part {host}", "is not running", f"`calorimeter lab part {host} start` first")
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        network.plug(lab.topology.name, host, cable_in=False)
        there = parts_of(lab, host)
        running = [each for each in processes.running(lab.folder) if each.part in there]
        processes.send(running, lab.folder, signal.SIGKILL)
        for part in there:
            processes.kill(lab.folder, part)
        network.remove_host(lab.topology.name, host)
    return at


def _start(lab: Lab, host: str) -> int:
    """Switch it on, and wait until everything on it serves; what runs already is left alone."""
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        if not _is_on(lab, host):
            network.make_host(lab.topology.name, host)
        running = {each.part for each in processes.running(lab.folder)}
        wanted = [heat.daemon(lab, part) for part in parts_of(lab, host) if part not in running]
        launched = [(what, daemon.launch(lab, what)) for what in wanted]
    for what, process in launched:
        daemon.await_ready(lab, what, process)
    return at


def _reboot(lab: Lab, host: str) -> int:
    at = _kill(lab, host)
    _start(lab, host)
    return at


def _pull(lab: Lab, host: str) -> int:
    at = time.time_ns()
    network.plug(lab.topology.name, host, cable_in=False)
    return at


def _plug(lab: Lab, host: str) -> int:
    at = time.time_ns()
    if _is_on(lab, host):
        network.plug(lab.topology.name, host, cable_in=True)
    return at


def _drop(fault: str, hook: str) -> Callable[[Lab, str], int]:
    way = "iifname" if hook == "input" else "oifname"

    def begin(lab: Lab, host: str) -> int:
        return part_faults.make_table(
            part_faults.table_of(lab, host, fault),
            network.namespace(lab.topology.name, host),
            (f"type filter hook {hook} priority 0; policy accept;", f"{way} {network.INTERFACE} drop"),
        )

    return begin


def _pass(fault: str) -> Callable[[Lab, str], int]:
    def end(lab: Lab, host: str) -> int:
        if not _is_on(lab, host):  # its tables went with it
            return time.time_ns()
        own = network.namespace(lab.topology.name, host)
        return part_faults.remove_table(part_faults.table_of(lab, host, fault), own)

    return end


ACTIONS: dict[str, Callable[[Lab, str], int]] = {
    "kill": _kill,
    "start": _start,
    "reboot": _reboot,
    "unreachable": _pull,
    "reachable": _plug,
    "deaf": _drop("deaf", "input"),
    "hears": _pass("deaf"),
    "mute": _drop("mute", "output"),
    "speaks": _pass("mute"),
}
"""Action → what does it."""
