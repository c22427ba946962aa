"""Faults of a whole host of a lab: disconnected, packets lost in one direction, powered off."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from calorimeter.core.errors import InputError, unknown
from calorimeter.lab import lock, part_faults, processes
from calorimeter.lab.daemons import daemon
from calorimeter.lab.hosts import network
from calorimeter.lab.hosts.host_layout import HostLayout
from calorimeter.lab.lab_state import Lab

DaemonOf = Callable[[Lab, str], daemon.Daemon]
"""The daemon of a part."""

HEALS = {"unreachable": "reachable", "deaf": "hears", "mute": "speaks"}
"""Action that breaks a host → action that heals it. unreachable: disconnected; deaf: packets to it are
dropped; mute: packets from it are dropped."""


POWER = ("kill", "start", "reboot")
"""Actions on the power of a host."""


def act(lab: Lab, host: str, action: str, daemon_of: DaemonOf) -> int:
    """Apply an action to a host, and return when it took effect (ns since the epoch).

    Raises `InputError` if the host has no such action, or is powered off already.
    """
    layout = layout_of(lab)
    if action not in (*POWER, *ACTIONS):
        raise unknown(f"lab part {host}", "action", action, (*POWER, *ACTIONS))
    if action in ACTIONS:
        return ACTIONS[action](lab, host)
    if not layout.powers_off(host):
        valid = ", ".join(filter(layout.powers_off, layout.machines))
        what = f"valid: {valid}; {host} has the lab's database and Keystone"
        raise InputError(f"lab part {host}", "cannot be powered off", what)
    at = _start(lab, host, daemon_of) if action == "start" else _kill(lab, host)
    if action == "reboot":
        _start(lab, host, daemon_of)
    return at


def layout_of(lab: Lab) -> HostLayout:
    """The layout of a lab with hosts."""
    assert lab.layout is not None
    return lab.layout


def parts_of(lab: Lab, host: str) -> tuple[str, ...]:
    """The parts that run on a host, in the order in which they start."""
    return tuple(part for part in lab.topology.parts if layout_of(lab).host_of(part) == host)


def _is_on(lab: Lab, host: str) -> bool:
    return network.namespace(lab.topology.name, host) in network.existing(lab.topology.name)


def _kill(lab: Lab, host: str) -> int:
    """Power it off: it sends no further packet, and its kernel state is lost."""
    if not _is_on(lab, host):
        raise processes.not_running(host)
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        network.plug(lab.topology.name, host, cable_in=False)
        parts = parts_of(lab, host)
        running = [each for each in processes.running(lab.folder) if each.part in parts]
        processes.send(running, lab.folder, signal.SIGKILL)
        for part in parts:
            processes.kill(lab.folder, part)
        network.remove_host(lab.topology.name, host)
    return at


def _start(lab: Lab, host: str, daemon_of: DaemonOf) -> int:
    """Power it on and wait until its parts serve. Parts that run already are left alone."""
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        if not _is_on(lab, host):
            network.make_host(lab.topology.name, layout_of(lab), host)
        running = {each.part for each in processes.running(lab.folder)}
        wanted = [daemon_of(lab, part) for part in parts_of(lab, host) if part not in running]
        launched = [(what, daemon.launch(lab, what)) for what in wanted]
    for what, process in launched:
        daemon.await_ready(lab, what, process)
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
        if not _is_on(lab, host):  # its tables are gone with it
            return time.time_ns()
        own = network.namespace(lab.topology.name, host)
        return part_faults.remove_table(part_faults.table_of(lab, host, fault), own)

    return end


ACTIONS: dict[str, Callable[[Lab, str], int]] = {
    "unreachable": _pull,
    "reachable": _plug,
    "deaf": _drop("deaf", "input"),
    "hears": _pass("deaf"),
    "mute": _drop("mute", "output"),
    "speaks": _pass("mute"),
}
"""Action on a host's packets → function that applies it."""
