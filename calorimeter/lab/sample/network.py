"""Hosts as network namespaces on a bridge that is in a namespace of its own.

No interface, address or route of theirs is ever the machine's: a veth pair is made with both its ends in
namespaces, and everything goes with the namespaces.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from calorimeter.core import netns
from calorimeter.core.errors import InputError
from calorimeter.lab import programs
from calorimeter.lab.sample import layout

if TYPE_CHECKING:
    from calorimeter.lab.topology import Lab

LAN = "lan"
"""The host that is the switch."""

INTERFACE = "eth0"


def namespace(lab: str, host: str) -> str:
    """The name of a host's namespace; a lab's name has no dot, so no two labs share one."""
    return f"calorimeter.{lab}.{host}"


def existing(lab: str) -> list[str]:
    """The namespaces of a lab that are there."""
    return sorted(path.name for path in netns.FOLDER.glob(f"{namespace(lab, '')}*"))


def make(lab: str) -> None:
    """Make the bridge and all hosts; raises `InputError` where namespaces are not permitted."""
    lan = namespace(lab, LAN)
    try:
        _ip("netns", "add", lan)
    except InputError as problem:
        raise InputError(
            "--sample guide",
            f"network namespaces cannot be made here ({problem.given})",
            "run it as root; in a container, one with --privileged",
        ) from problem
    _ip("-n", lan, "link", "add", LAN, "type", "bridge", "forward_delay", "0")
    _ip("-n", lan, "link", "set", LAN, "up")
    for host in layout.HOSTS:
        make_host(lab, host)


def visit(lab: Lab) -> None:
    """Go to the client host of a sample, from which all of it can be reached; nothing for other labs."""
    if lab.topology.sample:
        name = lab.topology.name
        netns.enter(namespace(name, layout.CLIENT), f"lab {name}")


def make_host(lab: str, host: str) -> None:
    """Make one host and put its cable in. A host that is made again has the MAC address that it had."""
    lan, own = namespace(lab, LAN), namespace(lab, host)
    _ip("netns", "add", own)
    _ip("-n", own, "link", "set", "lo", "up")
    peer = ("peer", "name", INTERFACE, "address", _mac(host), "netns", own)
    _ip("-n", lan, "link", "add", _port(host), "type", "veth", *peer)
    _ip("-n", lan, "link", "set", _port(host), "master", LAN, "up")
    _ip("-n", own, "address", "add", f"{layout.HOSTS[host]}/24", "dev", INTERFACE)
    _ip("-n", own, "link", "set", INTERFACE, "up")
    for router, network in layout.SOURCES.items():
        to = ("local", network, "dev", "lo") if router == host else (network, "via", layout.HOSTS[router])
        _ip("-n", own, "route", "add", *to)


def remove_host(lab: str, host: str) -> None:
    """Remove a host in which nothing runs any more, with all that its kernel remembers."""
    # The port first: connections that processes left behind could keep the namespace alive for a while.
    if namespace(lab, host) in existing(lab):
        _ip("-n", namespace(lab, LAN), "link", "delete", _port(host))
        _ip("netns", "delete", namespace(lab, host))


def plug(lab: str, host: str, *, cable_in: bool) -> None:
    """Put a host's cable in, or pull it: it loses its carrier, and keeps its addresses and routes."""
    _ip("-n", namespace(lab, LAN), "link", "set", _port(host), "up" if cable_in else "down")


def remove(lab: str) -> None:
    """Remove every namespace of a lab, and with them its bridge, interfaces and routes."""
    found = existing(lab)
    # The switch first, which pulls all cables: nobody's last packets reach anybody.
    for name in sorted(found, key=lambda name: not name.endswith(f".{LAN}")):
        _ip("netns", "delete", name)


def _port(host: str) -> str:
    return f"port-{host}"


def _mac(host: str) -> str:
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(layout.HOSTS[host]).packed)


def _ip(*words: str) -> None:
    """Run `ip`; `InputError` with what it says where it fails."""
    program = shutil.which("ip", path=programs.search_path())
    if program is None:
        raise InputError("lab", "missing iproute2", "sudo apt-get install iproute2")
    told = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        said = "; ".join(_lines(told.stderr)) or f"status {told.returncode}"
        raise InputError(f"ip {' '.join(words)}", said)


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
