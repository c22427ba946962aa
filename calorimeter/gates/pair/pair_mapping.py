"""The evidence of V3: where the same sources were sent by one proxy of a pair, and then by another."""

from __future__ import annotations

from calorimeter.core.source_hash import HashServer
from calorimeter.core.toml import Model
from calorimeter.gates.clients.visits import Visits


class PairMapping(Model):
    """The visits to one API while `first` had the virtual address, and then while `second` had it.

    `proxies` are the names of the two. `servers` and `versions` are those that each proxy shows, in the
    order of its file, while all of them ran; `tables` is how many entries the section's stick table had on
    each of them after the first visits (a proxy without one is absent). Where no source has a server of its
    own, nobody visits.
    """

    proxies: tuple[str, str]
    servers: dict[str, tuple[HashServer, ...]]
    versions: dict[str, str | None] = {}
    tables: dict[str, int] = {}
    first: Visits
    second: Visits


class PairMappings(Model):
    """The visits to all APIs. `lacks` says why there are none: no address moves between proxies."""

    apis: tuple[PairMapping, ...] = ()
    lacks: str = ""
