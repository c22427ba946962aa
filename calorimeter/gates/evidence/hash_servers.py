"""The servers that a proxy shows, as the source hash (`calorimeter.core.source_hash`) takes them."""

from __future__ import annotations

from collections.abc import Iterable

from calorimeter.core.source_hash import HashServer
from calorimeter.gates.evidence.proxy_state import ServerStat

FULL_THROTTLE = 100  # per cent of its weight, at the end of slowstart


def hash_servers(rows: Iterable[ServerStat], section: str) -> tuple[HashServer, ...]:
    """The servers of a section in the order of HAProxy's file, from the rows of one `show stat`."""
    return tuple(
        HashServer(
            name=row.name,
            puid=row.sid or 0,
            weight=row.weight or 0,
            up=row.takes_connections,
            backup=bool(row.bck),
            throttled=row.throttle is not None and row.throttle < FULL_THROTTLE,
        )
        for row in rows
        if row.section == section and row.kind == "server"
    )
