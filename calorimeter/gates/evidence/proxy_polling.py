"""Reads a section's servers and counters from the state of all proxies."""

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
    """The servers of a section in the order of the first proxy's file; None without a stats source."""
    return hash_servers(sources[0].show_stat(), section) if sources else None


def version(sources: Sequence[StatsSource]) -> str | None:
    """The version of the first proxy; None if it does not show it, as on a stats page."""
    try:
        return sources[0].show_info().get("Version") if sources else None
    except EvidenceUnavailable:
        return None


def placed(sources: Sequence[StatsSource], section: str) -> tuple[ServerAt, ...]:
    """The addresses of a section's servers, as far as the proxies show them.

    `show servers state` shows them at every stats socket; `show stat` and a stats page only with more
    rights (`level operator`, `stats show-legends`). A server on a Unix socket, or one that uses the
    client's port, has no address of its own and is left out.
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
    """Name → addresses as `IP:PORT` of the described backends; empty for a host that does not resolve."""
    return {backend.name: _resolved(address(backend.address)) for backend in api.backends}


def _resolved(at: Address) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(Address(host=str(info[4][0]), port=at.port)) for info in found))


def same_place(one: Address, other: Address) -> bool:
    """Whether two addresses are equal or resolve to a common address."""
    return one == other or (one.port == other.port and bool({*_resolved(one)} & {*_resolved(other)}))


def server_rows(sources: Sequence[StatsSource], section: str) -> list[ServerStat]:
    """The rows of a section's servers in all proxies."""
    return _rows(sources, section, "server")


def _rows(sources: Sequence[StatsSource], section: str, kind: str) -> list[ServerStat]:
    rows = [row for source in sources for row in source.show_stat()]
    return [row for row in rows if row.section == section and row.kind == kind]


def chosen(sources: Sequence[StatsSource], section: str) -> Counter[str]:
    """Server → the number of sessions that it has had, over all proxies."""
    counts: Counter[str] = Counter()
    for row in server_rows(sources, section):
        counts[row.name] += row.stot or 0
    return counts


def ended(sources: Sequence[StatsSource], section: str) -> int | None:
    """The number of a section's connections that have ended, over all proxies; None without a source."""
    if not sources:
        return None
    return sum((row.stot or 0) - (row.scur or 0) for row in _rows(sources, section, "backend"))


def sessions(sources: Sequence[StatsSource], section: str) -> int | None:
    """The number of sessions that a section has had, over all proxies; None if no proxy shows it."""
    found = [row.stot or 0 for row in _rows(sources, section, "backend")]
    return sum(found) if found else None
