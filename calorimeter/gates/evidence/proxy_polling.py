"""Looks at the proxies' own state: rows, servers and counters of a section, over all proxies."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

from calorimeter.core.deployment import Address, Api, address
from calorimeter.core.source_hash import HashServer
from calorimeter.gates.evidence.hash_servers import hash_servers
from calorimeter.gates.evidence.placement import ServerAt
from calorimeter.gates.evidence.proxy_state import ServerStat
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


def servers(sources: Sequence[StatsSource], section: str) -> tuple[HashServer, ...] | None:
    """The servers of a section in the order of the (first) proxy's file; None without a look at it."""
    return hash_servers(sources[0].show_stat(), section) if sources else None


def placed(sources: Sequence[StatsSource], section: str) -> tuple[ServerAt, ...]:
    """Where the proxies send what is for a section's servers, as far as they show it.

    `show servers state` shows it to everybody at a stats socket; `show stat` and a stats page do only with
    more rights (`level operator`, `stats show-legends`). A server on a Unix socket, or one that takes the
    client's port, has no address of its own.
    """
    return tuple(
        ServerAt(proxy=source.where, server=name, address=str(at), file_weight=weight)
        for source in sources
        for name, at, weight in _states(source, section)
        if at.port and _is_ip(at.host)
    )


def _states(source: StatsSource, section: str) -> list[tuple[str, Address, int | None]]:
    try:
        return [
            (state.server, Address(host=state.address, port=state.port), state.initial_weight)
            for state in source.show_servers_state()
            if state.section == section
        ]
    except EvidenceUnavailable:
        rows = server_rows([source], section)
        return [(row.name, at, None) for row in rows if (at := _parsed(row.addr)) is not None]


def _parsed(text: str | None) -> Address | None:
    try:
        return address(text) if text else None
    except ValueError:
        return None


def _is_ip(host: str) -> bool:
    try:
        return not ip_address(host).is_unspecified
    except ValueError:
        return False


def resolved(api: Api) -> dict[str, tuple[str, ...]]:
    """The described backends' addresses as `IP:PORT`, by name; none for a host that nobody resolves."""
    return {backend.name: _resolved(address(backend.address)) for backend in api.backends}


def _resolved(at: Address) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(Address(host=str(info[4][0]), port=at.port)) for info in found))


def same_place(one: Address, other: Address) -> bool:
    """Whether two addresses are the same one, written the same or by names for the same host."""
    return one == other or (one.port == other.port and bool({*_resolved(one)} & {*_resolved(other)}))


def server_rows(sources: Sequence[StatsSource], section: str) -> list[ServerStat]:
    """The rows of a section's servers, of all proxies."""
    return [
        row
        for source in sources
        for row in source.show_stat()
        if row.section == section and row.kind == "server"
    ]


def chosen(sources: Sequence[StatsSource], section: str) -> Counter[str]:
    """Server → sessions that it ever had, over all proxies."""
    counts: Counter[str] = Counter()
    for row in server_rows(sources, section):
        counts[row.name] += row.stot or 0
    return counts


def ended(sources: Sequence[StatsSource], section: str) -> int | None:
    """Connections of a section that have ended, over all proxies; None without a look at them."""
    if not sources:
        return None
    rows = [row for source in sources for row in source.show_stat()]
    backends = [row for row in rows if row.section == section and row.kind == "backend"]
    return sum((row.stot or 0) - (row.scur or 0) for row in backends)


def sessions(sources: Sequence[StatsSource], section: str) -> int | None:
    """Sessions that a section ever had, over all proxies; None where no proxy shows that section."""
    rows = [row for source in sources for row in source.show_stat()]
    found = [row.stot or 0 for row in rows if row.section == section and row.kind == "backend"]
    return sum(found) if found else None
