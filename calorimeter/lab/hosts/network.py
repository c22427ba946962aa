"""Hosts as network namespaces, connected by a bridge in a namespace of its own.

The machine's own namespace gets no interface, address or route: both ends of each veth pair are created
inside namespaces, and removing the namespaces removes everything.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from ipaddress import IPv4Address

from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.lab import programs
from calorimeter.lab.hosts.host_layout import HostLayout

LAN = "lan"
"""The namespace of the bridge."""

INTERFACE = "eth0"

ADVICE = "run it as root; a container needs --privileged"
"""What to do where namespaces cannot be created."""


def namespace(lab: str, host: str) -> str:
    """The name of a host's namespace. Lab names have no dot, so the names of two labs never collide."""
    return f"calorimeter.{lab}.{host}"


def existing(lab: str) -> list[str]:
    """The existing namespaces of a lab."""
    return sorted(path.name for path in netns.FOLDER.glob(f"{namespace(lab, '')}*"))


def make(lab: str, layout: HostLayout) -> None:
    """Create the bridge and all hosts. Raises `InputError` if namespaces are not permitted."""
    lan = namespace(lab, LAN)
    try:
        _ip("netns", "add", lan)
    except InputError as problem:
        raise InputError(
            layout.option,
            f"network namespaces cannot be created here ({problem.given})",
            ADVICE,
        ) from problem
    _ip("-n", lan, "link", "add", LAN, "type", "bridge", "forward_delay", "0")
    _ip("-n", lan, "link", "set", LAN, "up")
    for host in layout.hosts:
        make_host(lab, layout, host)


def enter_client_host(lab: str, layout: HostLayout) -> None:
    """Enter the namespace of the client host, from which all hosts of the lab can be reached.

    If somebody has deleted it, it is made again, as long as the bridge is there.
    """
    there = existing(lab)
    if namespace(lab, LAN) in there and namespace(lab, layout.client) not in there:
        _unplug(lab, layout.client)  # processes in the lost namespace may keep the other end alive
        make_host(lab, layout, layout.client)
    netns.enter(namespace(lab, layout.client), f"lab {lab}")


def make_host(lab: str, layout: HostLayout, host: str) -> None:
    """Create one host and connect it. A host that is created again has the same MAC address as before."""
    lan, own = namespace(lab, LAN), namespace(lab, host)
    _ip("netns", "add", own)
    _ip("-n", own, "link", "set", "lo", "up")
    peer = ("peer", "name", INTERFACE, "address", _mac(layout.hosts[host]), "netns", own)
    _ip("-n", lan, "link", "add", _port(host), "type", "veth", *peer)
    _ip("-n", lan, "link", "set", _port(host), "master", LAN, "up")
    _ip("-n", own, "address", "add", f"{layout.hosts[host]}/24", "dev", INTERFACE)
    _ip("-n", own, "link", "set", INTERFACE, "up")
    for router, network in layout.sources.items():
        to = ("local", network, "dev", "lo") if router == host else (network, "via", layout.hosts[router])
        _ip("-n", own, "route", "add", *to)


def remove_host(lab: str, host: str) -> None:
    """Remove a host in which nothing runs, with its connection tracking and routes."""
    # The bridge port first: lingering connections could keep the namespace alive for a while.
    if namespace(lab, host) in existing(lab):
        _unplug(lab, host)
        _ip("netns", "delete", namespace(lab, host))


def _unplug(lab: str, host: str) -> None:
    """Remove a host's port of the bridge, if it is there."""
    with suppress(InputError):
        _ip("-n", namespace(lab, LAN), "link", "delete", _port(host))


def plug(lab: str, host: str, *, cable_in: bool) -> None:
    """Connect or disconnect a host: it loses its carrier, and keeps its addresses and routes."""
    _ip("-n", namespace(lab, LAN), "link", "set", _port(host), "up" if cable_in else "down")


def remove(lab: str) -> None:
    """Remove all namespaces of a lab, and with them its bridge, interfaces and routes."""
    found = existing(lab)
    # The bridge first, so that no last packet of one host reaches another.
    for name in sorted(found, key=lambda name: not name.endswith(f".{LAN}")):
        _ip("netns", "delete", name)


def addresses(own: str) -> tuple[str, ...]:
    """The IPv4 addresses of a host, by its namespace; none if it is powered off."""
    with suppress(InputError):
        shown = _ip("-n", own, "-4", "-brief", "address", "show", "dev", INTERFACE)
        return tuple(word.partition("/")[0] for word in shown.split()[2:])
    return ()


def _port(host: str) -> str:
    return f"port-{host}"


def _mac(address: str) -> str:
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def _ip(*words: str) -> str:
    """Run `ip`, and return its output. Raises `InputError` with its error output if it fails."""
    program = shutil.which("ip", path=programs.search_path())
    if program is None:
        raise InputError("lab", "missing iproute2", "sudo apt-get install iproute2")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (
            "; ".join(filter(None, map(str.strip, done.stderr.splitlines()))) or f"status {done.returncode}"
        )
        raise InputError(f"ip {' '.join(words)}", reason)
    return done.stdout
