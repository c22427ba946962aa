"""Computes which server HAProxy's `balance source` chooses for a client.

The rules (HAProxy 2.6: `src/backend.c`, `src/lb_map.c`, `src/lb_chash.c`, `src/cfgparse-listen.c`; the
configuration manual on `balance` and `hash-type`), compared by the tests with the HAProxy that is installed
(2.6.12, 3.0.11 and 3.2.26 were):

- The hash of an IPv4 address is the address as a 32-bit number. The hash of an IPv6 address is the
  exclusive or of its four 32-bit words. An IPv4 client on an IPv6 socket has the address `::ffff:a.b.c.d`.
- `balance source` ignores the hash function that `hash-type` names (sdbm, djb2, wt6, crc32), but not the
  modifier `avalanche`. `hash-type consistent` implies `avalanche` unless it names a function.
- `map-based`: a table has one entry per unit of weight of the servers that are usable now, in the order of
  the file, smoothly interleaved. The hash modulo the table's length is the index.
- `consistent`: each server has 16 places per unit of weight on a ring of 2^32, computed from its number
  (`id`, else its position from 1). The nearest place wins; of two equally near ones, the lower. HAProxy 3.0
  computes other places than 2.x; 3.2.7 went back ("fix key calculation when using default hash-key id").
- Backup servers are used only if no other server is usable; then only the first of them, unless
  `option allbackups` is given.

The choice does not depend on history: when a server returns, the table and the ring are as before.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from math import gcd, sqrt
from statistics import NormalDist
from typing import Literal, Self

FUNCTIONS = ("sdbm", "djb2", "wt6", "crc32", "none")
LARGEST_WEIGHT = 256
NODES_PER_WEIGHT = 16
_NODES_PER_SERVER = LARGEST_WEIGHT * NODES_PER_WEIGHT
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)
_RING = 1 << 32
_MASK = _RING - 1


class Unpredictable(Exception):  # noqa: N818 - a fact about a configuration, not a defect here
    """HAProxy's choice cannot be computed for this configuration or client. The message says why."""


@dataclass(frozen=True, slots=True)
class HashServer:
    """A server's state, as far as balancing depends on it. Servers are in the order of HAProxy's file.

    `puid` is its number (`sid` in `show stat`), `weight` its current weight, 0 to 256. `up` is false if it
    takes no new connections (DOWN, MAINT or DRAIN). `throttled` is true while slowstart reduces its weight.
    """

    name: str
    puid: int
    weight: int = 1
    up: bool = True
    backup: bool = False
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class HashRules:
    """How a `listen` or `backend` section balances.

    `overridden_by` names directives of the section that take precedence (`stick-table`, `cookie`,
    `use-server`). `haproxy` is HAProxy's version (None: one whose ring is that of 2.x).
    """

    balance: str = "source"
    hash_type: Literal["map-based", "consistent"] = "map-based"
    function: str = "sdbm"
    avalanche: bool = False
    balance_factor: int = 0
    hash_key: str = "id"
    haproxy: str | None = None
    all_backups: bool = False
    overridden_by: tuple[str, ...] = ()

    @classmethod
    def from_words(
        cls,
        balance: str = "source",
        hash_type: str = "map-based",
        *,
        overridden_by: Iterable[str] = (),
        haproxy: str | None = None,
    ) -> Self:
        """The rules for the arguments of `balance` and `hash-type` in a file.

        Raises Unpredictable for a `hash-type` that HAProxy 2.4 to 3.x do not document.
        """
        method, *rest = hash_type.split() or ["map-based"]
        function = rest[0] if rest else "sdbm"
        known = (
            method in ("map-based", "consistent")
            and function in FUNCTIONS
            and rest[1:] in ([], ["avalanche"])
        )
        if not known:
            raise Unpredictable(f"hash-type {hash_type!r} is unknown")
        return cls(
            balance=balance.strip(),
            hash_type="consistent" if method == "consistent" else "map-based",
            function=function,
            avalanche="avalanche" in rest or (method == "consistent" and not rest),
            overridden_by=tuple(overridden_by),
            haproxy=haproxy,
        )

    @property
    def rehashed(self) -> bool:
        """Whether this HAProxy hashes a server's number before it counts its places from there.

        3.0.0 to 3.0.11 and 3.2.0 to 3.2.6 do. Raises Unpredictable for the versions between, of which it is
        not known.
        """
        found = _VERSION.match(self.haproxy or "")
        version = tuple(int(number) for number in found.groups()) if found else (0, 0, 0)
        if not (3, 0, 0) <= version < (3, 2, 7):
            return False
        if (3, 0, 12) <= version < (3, 2, 0):
            raise Unpredictable(f"where HAProxy {self.haproxy} places servers on its ring is not known")
        return True

    def check(self) -> None:
        """Raise Unpredictable unless the choice depends on the source alone."""
        if self.overridden_by:
            raise Unpredictable(f"{', '.join(self.overridden_by)} takes precedence over the source hash")
        if self.balance != "source":
            raise Unpredictable(f"balance {self.balance} does not hash the client's address alone")
        if self.balance_factor:
            raise Unpredictable("hash-balance-factor makes the choice depend on the current load")
        if self.hash_key != "id" and self.hash_type == "consistent":
            raise Unpredictable(f"hash-key {self.hash_key} places servers by their addresses")


def source_hash(source: str) -> int:
    """The 32-bit hash of an address with `balance source`, before `avalanche`.

    Raises Unpredictable if `source` is not an IP address (a client on a Unix socket).
    """
    try:
        packed = ip_address(source).packed
    except ValueError:
        raise Unpredictable(
            f"{source!r} is not an IP address: HAProxy takes servers in turn for it"
        ) from None
    value = 0
    for start in range(0, len(packed), 4):
        value ^= int.from_bytes(packed[start : start + 4], "big")
    return value


def avalanched(value: int) -> int:
    """HAProxy's `avalanche`: Bob Jenkins's 32-bit integer hash (full avalanche), times 3·2^30 + 1.

    Source: http://burtleburtle.net/bob/hash/integer.html. It is one-to-one, so places of one server
    never collide.
    """
    value = (value * 4097 + 0x7ED55D16) & _MASK
    value = value ^ 0xC761C23C ^ value >> 19
    value = (value * 33 + 0x165667B1) & _MASK
    value = ((value + 0xD3A2646C) ^ (value << 9)) & _MASK
    value = (value * 9 + 0xFD7046C5) & _MASK
    value = value ^ 0xB55A4F09 ^ value >> 16
    return value * 3221225473 & _MASK


class SourceHash:
    """HAProxy's choice for any source, for the servers and rules of one moment.

    Raises Unpredictable if the choice cannot be computed.
    """

    def __init__(self, servers: Sequence[HashServer], rules: HashRules) -> None:
        rules.check()
        _check(servers, rules)
        self._avalanche = rules.avalanche
        self._usable = usable(servers, rules)
        self._table: list[str] = []
        self._ring: list[tuple[int, str]] = []
        self._places: list[int] = []
        if rules.hash_type == "map-based":
            self._table = _interleaved(self._usable)
        else:
            self._ring = _ring(self._usable, rehashed=rules.rehashed)
            self._places = [place for place, _ in self._ring]

    def server(self, source: str) -> str | None:
        """The chosen server's name, None if none is usable. Raises Unpredictable (see `source_hash`)."""
        return self.at(source_hash(source))

    def at(self, value: int) -> str | None:
        """The chosen server's name for a 32-bit hash, before `avalanche`; None if none is usable."""
        return self._of(avalanched(value) if self._avalanche else value)

    def table(self, sources: Iterable[str]) -> dict[str, str | None]:
        """Source → server."""
        return {source: self.server(source) for source in sources}

    @property
    def shares(self) -> dict[str, float]:
        """Server → its share of all hash values, 0 to 1: its share of uniformly distributed addresses.

        `map-based`: its share of the weights. `consistent`: the share of the ring that is nearest to its
        places, which differs from its share of the weights.
        """
        if not self._ring:
            counts = Counter(self._table)
            return {name: count / len(self._table) for name, count in counts.items()}
        nearest: Counter[str] = Counter()
        for (place, name), (before, other) in zip(
            self._ring, self._ring[-1:] + self._ring[:-1], strict=True
        ):
            gap = (place - before) % _RING or _RING
            nearest[other] += gap // 2
            nearest[name] += gap - gap // 2
        return {server.name: nearest[server.name] / _RING for server in self._usable}

    def _of(self, value: int) -> str | None:
        if self._table:
            return self._table[value % len(self._table)]
        if not self._ring:
            return None
        after = bisect_left(self._places, value) % len(self._ring)
        before = after - 1
        to_before = (value - self._places[before]) & _MASK
        to_after = (self._places[after] - value) & _MASK
        return self._ring[before if to_before <= to_after else after][1]


def _check(servers: Sequence[HashServer], rules: HashRules) -> None:
    names = [server.name for server in servers]
    if len(set(names)) != len(names):
        raise Unpredictable("two servers have the same name")
    for server in servers:
        if not 0 <= server.weight <= LARGEST_WEIGHT:
            raise Unpredictable(f"{server.name} has weight {server.weight}, outside 0 to {LARGEST_WEIGHT}")
        if server.throttled and rules.hash_type == "consistent":
            raise Unpredictable(f"{server.name} is in slowstart: its share of the ring grows every second")


def usable(servers: Sequence[HashServer], rules: HashRules) -> list[HashServer]:
    """The servers that get connections: the active ones that are up, else backups."""
    takers = [server for server in servers if server.up and server.weight]
    active = [server for server in takers if not server.backup]
    if active:
        return active
    return takers if rules.all_backups else takers[:1]


def _interleaved(servers: Sequence[HashServer]) -> list[str]:
    """The table of `map-based`. For each entry, every server gains its weight as credit; the first server
    with the most credit (rounded up to whole totals) gets the entry and pays the total of all weights."""
    divisor = gcd(*(server.weight for server in servers)) if servers else 1
    weights = [server.weight // divisor for server in servers]
    total = sum(weights)
    credit = [0] * len(servers)
    table = []
    for _ in range(total):
        credit = [have + gain for have, gain in zip(credit, weights, strict=True)]
        chosen = max(range(len(servers)), key=lambda i: (credit[i] + total) // total)
        credit[chosen] -= total
        table.append(servers[chosen].name)
    return table


def _ring(servers: Sequence[HashServer], *, rehashed: bool) -> list[tuple[int, str]]:
    ring = sorted(
        (avalanched((_first(server.puid, rehashed=rehashed) + node) & _MASK), server.name)
        for server in servers
        for node in range(server.weight * NODES_PER_WEIGHT)
    )
    if len({place for place, _ in ring}) < len(ring):
        raise Unpredictable("two servers have the same place on the ring")
    return ring


def _first(puid: int, *, rehashed: bool) -> int:
    return avalanched(puid) if rehashed else puid * _NODES_PER_SERVER


def moved_share_map_based(servers: int) -> float:
    """The share of surviving sources that move when one of `servers` equal servers leaves (`map-based`).

    A source keeps its server if its hash gives the same server modulo n and modulo n − 1. For uniformly
    distributed addresses, (n − 2) / (n − 1) do not. Measured on HAProxy: 0 of 2 servers, half of 3, 67 % of
    4, 75 % of 5.
    """
    return (servers - 2) / (servers - 1) if servers > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How sources are distributed over the servers.

    `counts`: server → number of sources (0 included). `fair`: server → its share of the weights. `excess`
    is the largest ratio of a server's share of the sources to its share of the weights: 1 is even, 1.5
    means that a server has half as much again as its fair share.
    """

    counts: Mapping[str, int]
    fair: Mapping[str, float]

    @property
    def sources(self) -> int:
        """The number of sources."""
        return sum(self.counts.values())

    @property
    def fullest(self) -> str:
        """The server with the most sources for its weight."""
        return max(self.counts, key=self._ratio)

    @property
    def excess(self) -> float:
        """Share of the sources / share of the weights, of the fullest server."""
        return self._ratio(self.fullest)

    def _ratio(self, name: str) -> float:
        return self.counts[name] / self.sources / self.fair[name] if self.sources else 1.0


def weight_shares(servers: Sequence[HashServer], rules: HashRules) -> dict[str, float]:
    """Usable server → its share of the weights."""
    takers = usable(servers, rules)
    total = sum(server.weight for server in takers)
    return {server.name: server.weight / total for server in takers}


def spread(chosen: Iterable[str | None], servers: Sequence[HashServer], rules: HashRules) -> Spread:
    """The distribution over the usable servers of sources, each counted once, whose servers are known."""
    counts, fair = Counter(chosen), weight_shares(servers, rules)
    return Spread({name: counts[name] for name in fair}, fair)


def expected_excess(
    clients: int, servers: Sequence[HashServer], rules: HashRules, confidence: float = 0.95
) -> float:
    """The `Spread.excess` that `clients` random addresses do not exceed, with probability `confidence`.

    Each server's count is binomial with its share of the hash values. The bound is the normal approximation
    with Bonferroni's correction for the number of servers. With few clients the skew is large even for a
    perfect hash. Addresses that are not random (one subnet) can be far worse or better: use `spread` for
    them.
    """
    shares = SourceHash(servers, rules).shares
    takers = usable(servers, rules)
    weight = sum(server.weight for server in takers)
    if not takers or clients < 1:
        return 1.0
    deviations = NormalDist().inv_cdf(1 - (1 - confidence) / len(takers)) if len(takers) > 1 else 0.0
    bounds = []
    for server in takers:
        share = shares[server.name]
        most = min(1.0, share + deviations * sqrt(share * (1 - share) / clients))
        bounds.append(most * weight / server.weight)
    return max(bounds)
