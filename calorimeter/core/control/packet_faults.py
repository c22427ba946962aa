"""Faults of the network of one part, as nftables rules on its host.

Each fault has a table of its own, so healing is the removal of that table, and may run repeatedly. nft
applies a table as a whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from calorimeter.core.control.control_host import ControlHost
from calorimeter.core.control.controlled_part import FurtherFault, Injection, PartKind
from calorimeter.core.control.service_commands import timed

BROKER_PORTS = "{ 4369, 25672 }"
"""How nodes of RabbitMQ reach one another: epmd, and the port of the Erlang distribution."""

_IN = "type filter hook prerouting priority -300"
_OUT = "type filter hook postrouting priority 300"
"""Before any address is translated on the way in, and after it on the way out: so the rules also see the
packets of a container with a network of its own."""

Rules = dict[str, tuple[str, ...]]
"""Hook of a chain → its rules."""


def table_name(kind: PartKind, part: str, fault: str) -> str:
    """The name of a fault's table."""
    return f"calorimeter.{kind}.{re.sub('[^A-Za-z0-9.-]', '_', part)[:64]}.{fault}"


def of_address(
    host: ControlHost, kind: PartKind, part: str, address: tuple[str, int]
) -> dict[FurtherFault, Injection]:
    """Packets to or from an API's own address are dropped, or both."""
    (ip, port), family = address, "ip6" if ":" in address[0] else "ip"
    inwards = (f"{family} daddr {ip} tcp dport {port} drop",)
    outwards = (f"{family} saddr {ip} tcp sport {port} drop",)
    faults: dict[FurtherFault, Rules] = {
        "unreachable": {_IN: inwards, _OUT: outwards},
        "deaf": {_IN: inwards},
        "mute": {_OUT: outwards},
    }
    return {fault: _injection(host, kind, part, fault, rules) for fault, rules in faults.items()}


def of_node(host: ControlHost, part: str) -> dict[FurtherFault, Injection]:
    """A node of a cluster of brokers loses the others; its own tools reach it by the loopback device."""
    inwards = ("iif lo accept", f"tcp dport {BROKER_PORTS} drop", f"tcp sport {BROKER_PORTS} drop")
    outwards = ("oif lo accept", *inwards[1:])
    rules: Rules = {_IN: inwards, _OUT: outwards}
    return {"partitioned": _injection(host, "broker", part, "partitioned", rules)}


def of_group(
    host: ControlHost, kind: PartKind, part: str, group: str, ports: Iterable[int]
) -> dict[FurtherFault, Injection]:
    """A service loses RabbitMQ: what the sockets of its cgroup send to the brokers' ports is dropped.

    `group` is the script that prints the cgroup; nft matches it on hosts with cgroup v2 only.
    """
    table = table_name(kind, part, "cut-off")
    brokers = f"{{ {', '.join(map(str, sorted(set(ports))))} }}"
    hook = "type filter hook output priority 0"
    # The shell fills in the cgroup and its depth, so this text is in double quotes.
    rule = f'socket cgroupv2 level $l \\"${{g#/}}\\" tcp dport {brokers} drop'
    text = f'"{_replace(table)}; table inet {table} {{ chain c0 {{ {hook}; {rule}; }}; }}"'
    inject = (
        f'g=$({group}) && l=$(printf %s "$g" | tr -cd / | wc -c) && {timed(host.words("nft") + " " + text)}'
    )
    return {"cut-off": Injection(inject=host.breaking(inject), heal=_removal(host, table))}


def _injection(
    host: ControlHost, kind: PartKind, part: str, fault: FurtherFault, rules: Rules
) -> Injection:
    table = table_name(kind, part, fault)
    chains = " ".join(
        f"chain c{number} {{ {hook}; {'; '.join(lines)}; }};"
        for number, (hook, lines) in enumerate(rules.items())
    )
    text = f"{_replace(table)}; table inet {table} {{ {chains} }}"
    return Injection(inject=host.breaking(timed(host.words("nft", text))), heal=_removal(host, table))


def _replace(table: str) -> str:
    """Removes a table, also one that is not there."""
    return f"add table inet {table}; delete table inet {table}"


def _removal(host: ControlHost, table: str) -> str:
    return host.script(host.words("nft", _replace(table)))
