"""Which server HAProxy's `balance source` gives to a client, as a pure function.

The facts (HAProxy 2.6: `src/backend.c`, `src/lb_map.c`, `src/lb_chash.c`, `src/cfgparse-listen.c`; the
configuration manual on `balance` and `hash-type`), agreed with HAProxy 2.6.12 by the tests:

- The hash of an IPv4 address is the address as a 32-bit number, that of an IPv6 address the exclusive or of
  its four 32-bit words. An IPv4 client on an IPv6 socket is `::ffff:a.b.c.d` and hashes as that.
- The hash function that `hash-type` names (sdbm, djb2, wt6, crc32) plays no part with `balance source`; the
  modifier `avalanche` does. `hash-type consistent` alone implies it, with a function named it does not.
- `map-based`: a table with one entry for each unit of weight, of the servers that are usable now and in the
  order of the file, smoothly interleaved; the hash modulo its length is the index.
- `consistent`: each server is on a ring of 2^32 places, 16 times for each unit of weight, at places made
  from its number (`id`, else its position from 1); the nearest place wins, and the lower one a draw.
- Backup servers count only where no other is usable, and then the first of them alone, unless
  `option allbackups` is given.

Nothing depends on what happened before: a server that returns finds the table and the ring as they were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from math import gcd, sqrt
from statistics import NormalDist
from typing import Literal, Self

FUNCTIONS = ("sdbm", "djb2", "wt6", "crc32", "none")
LARGEST_WEIGHT = 256
NODES_PER_WEIGHT = 16
_NODES_PER_SERVER = LARGEST_WEIGHT * NODES_PER_WEIGHT
_RING = 1 << 32
_MASK = _RING - 1


class Unpredictable(Exception):  # noqa: N818 - a fact about a configuration, not a defect here
    """A configuration or a client for which HAProxy's choice cannot be computed; the text says why."""


@dataclass(frozen=True, slots=True)
class HashServer:
    """A server as balancing sees it, in the order of HAProxy's file.

    `weight` is its weight now, 0 to 256; `up` is whether new connections may go to it (not
    DOWN, MAINT or DRAIN); `puid` is its number (`sid` in `show stat`); `throttled` is whether slowstart
    holds it below its weight.
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

    `overridden_by` names what in it decides before balancing does (`stick-table`, `cookie`, `use-server`).
    """

    balance: str = "source"
    hash_type: Literal["map-based", "consistent"] = "map-based"
    function: str = "sdbm"
    avalanche: bool = False
    balance_factor: int = 0
    hash_key: str = "id"
    all_backups: bool = False
    overridden_by: tuple[str, ...] = ()

    @classmethod
    def from_words(
        cls, balance: str = "source", hash_type: str = "map-based", *, overridden_by: Iterable[str] = ()
    ) -> Self:
        """The rules that `balance …` and `hash-type …` of a file mean, without those two words.

        Raises `Unpredictable` where the words are none that HAProxy 2.4 to 3.x document.
        """
        method, *rest = hash_type.split() or ["map-based"]
        function = rest[0] if rest else "sdbm"
        known = (
            method in ("map-based", "consistent")
            and function in FUNCTIONS
            and rest[1:] in ([], ["avalanche"])
        )
        if not known:
            raise Unpredictable(f"hash-type {hash_type!r} is not one that is known here")
        return cls(
            balance=balance.strip(),
            hash_type="consistent" if method == "consistent" else "map-based",
            function=function,
            avalanche="avalanche" in rest or (method == "consistent" and not rest),
            overridden_by=tuple(overridden_by),
        )

    def check(self) -> None:
        """Raise `Unpredictable` where these rules give no source hash, or one that depends on load."""
        if self.overridden_by:
            raise Unpredictable(f"{', '.join(self.overridden_by)} decides before the source hash does")
        if self.balance != "source":
            raise Unpredictable(f"balance {self.balance} does not hash the client's address alone")
        if self.balance_factor:
            raise Unpredictable("hash-balance-factor makes the choice depend on the load of each moment")
        if self.hash_key != "id" and self.hash_type == "consistent":
            raise Unpredictable(f"hash-key {self.hash_key} places servers by their addresses")


def source_hash(source: str) -> int:
    """The 32 bits that `balance source` makes of an address, before avalanche.

    Raises `Unpredictable` for a client without an IP address (one on a Unix socket).
    """
    try:
        packed = ip_address(source).packed
    except ValueError:
        raise Unpredictable(f"{source!r} is no IP address: HAProxy then takes servers in turn") from None
    value = 0
    for start in range(0, len(packed), 4):
        value ^= int.from_bytes(packed[start : start + 4], "big")
    return value


def avalanched(value: int) -> int:
    """HAProxy's 32-bit mixing of a number: Bob Jenkins's full avalanche, times 3·2^30 + 1.

    (http://burtleburtle.net/bob/hash/integer.html.) It is one-to-one, so no two places on the ring collide.
    """
    value = (value * 4097 + 0x7ED55D16) & _MASK
    value = value ^ 0xC761C23C ^ value >> 19
    value = (value * 33 + 0x165667B1) & _MASK
    value = ((value + 0xD3A2646C) ^ (value << 9)) & _MASK
    value = (value * 9 + 0xFD7046C5) & _MASK
    value = value ^ 0xB55A4F09 ^ value >> 16
    return value * 3221225473 & _MASK


class SourceHash:
    """HAProxy's choice for any source, with servers and rules as they are at one moment.

    Raises `Unpredictable` where there is no such function.
    """

    def __init__(self, servers: Sequence[HashServer], rules: HashRules) -> None:
        rules.check()
        _check(servers, rules)
        self._avalanche = rules.avalanche
        self._usable = _usable(servers, rules)
        self._table: list[str] = []
        self._ring: list[tuple[int, str]] = []
        self._places: list[int] = []
        if rules.hash_type == "map-based":
            self._table = _interleaved(self._usable)
        else:
            self._ring = _ring(self._usable)
            self._places = [place for place, _ in self._ring]

    def server(self, source: str) -> str | None:
        """The server's name; None where no server is usable. `Unpredictable` for no IP address."""
        value = source_hash(source)
        return self._of(avalanched(value) if self._avalanche else value)

    def table(self, sources: Iterable[str]) -> dict[str, str | None]:
        """Source → server."""
        return {source: self.server(source) for source in sources}

    @property
    def shares(self) -> dict[str, float]:
        """Server → its part of all hash values, 0 to 1: what evenly spread addresses would give it.

        `map-based`: its part of the weights. `consistent`: the part of the ring that is nearest to
        its places, which differs from its part of the weights.
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


def predict(source: str, servers: Sequence[HashServer], rules: HashRules) -> str | None:
    """The server that HAProxy gives to `source`, None where none is usable; see `SourceHash`."""
    return _source_hash(tuple(servers), rules).server(source)


_source_hash = lru_cache(maxsize=64)(SourceHash)


def _check(servers: Sequence[HashServer], rules: HashRules) -> None:
    names = [server.name for server in servers]
    if len(set(names)) != len(names):
        raise Unpredictable("two servers have the same name")
    for server in servers:
        if not 0 <= server.weight <= LARGEST_WEIGHT:
            raise Unpredictable(f"{server.name} has weight {server.weight}, outside 0 to {LARGEST_WEIGHT}")
        if server.throttled and rules.hash_type == "consistent":
            raise Unpredictable(f"{server.name} is in slowstart: its part of the ring grows by the second")


def _usable(servers: Sequence[HashServer], rules: HashRules) -> list[HashServer]:
    usable = [server for server in servers if server.up and server.weight]
    active = [server for server in usable if not server.backup]
    if active:
        return active
    return usable if rules.all_backups else usable[:1]


def _interleaved(servers: Sequence[HashServer]) -> list[str]:
    """The map: for each entry all servers gain their weight, the first that then holds most (in
    whole and started totals) is taken and pays the total."""
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


def _ring(servers: Sequence[HashServer]) -> list[tuple[int, str]]:
    return sorted(
        (avalanched((server.puid * _NODES_PER_SERVER + node) & _MASK), server.name)
        for server in servers
        for node in range(server.weight * NODES_PER_WEIGHT)
    )


@dataclass(frozen=True, slots=True)
class Moves:
    """What the hash says of some sources when a server leaves.

    `lost` had that server and must move: source → its server after. `moved` had a server that stays and
    move all the same: source → (before, after). `stayed` keep theirs. The least possible is that
    nothing is in `moved`.
    """

    lost: Mapping[str, str | None]
    moved: Mapping[str, tuple[str, str]]
    stayed: frozenset[str]

    @property
    def survivors(self) -> int:
        """How many sources were on the servers that stay."""
        return len(self.moved) + len(self.stayed)

    @property
    def moved_share(self) -> float:
        """The part of the survivors' sources that lost their place, 0 to 1 (0 where there are none)."""
        return len(self.moved) / self.survivors if self.survivors else 0.0


def moves_when_down(
    sources: Iterable[str], servers: Sequence[HashServer], rules: HashRules, name: str
) -> Moves:
    """Who moves when the server called `name` leaves; the way back is the same, read backwards.

    Raises `KeyError` where no server has that name, `Unpredictable` as `SourceHash` does.
    """
    if name not in {server.name for server in servers}:
        raise KeyError(name)
    before = SourceHash(servers, rules)
    after = SourceHash([_down(server) if server.name == name else server for server in servers], rules)
    lost: dict[str, str | None] = {}
    moved: dict[str, tuple[str, str]] = {}
    stayed = set()
    for source in sources:
        old, new = before.server(source), after.server(source)
        if old == name:
            lost[source] = new
        elif old is None or new is None or old == new:
            stayed.add(source)
        else:
            moved[source] = (old, new)
    return Moves(lost, moved, frozenset(stayed))


def _down(server: HashServer) -> HashServer:
    return HashServer(server.name, server.puid, server.weight, False, server.backup, server.throttled)


def moved_share_map_based(servers: int) -> float:
    """The part of surviving sources that move when one of `servers` equal servers goes, map-based hash.

    A source stays where its hash has the same index modulo n and, among those that remain, modulo n − 1:
    (n − 2) / (n − 1) of them do not, evenly spread addresses assumed. Measured on HAProxy: 0 of 2,
    half of 3, 67 % of 4, 75 % of 5.
    """
    return (servers - 2) / (servers - 1) if servers > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How some clients fall on the servers.

    `counts` server → sources (servers without any included); `fair` server → its part of the weights;
    `excess` is the largest of (part of the sources / part of the weights): 1 is even, 1.5 is
    a server with half as much again as its part.
    """

    counts: Mapping[str, int]
    fair: Mapping[str, float]

    @property
    def sources(self) -> int:
        """How many sources there are."""
        return sum(self.counts.values())

    @property
    def fullest(self) -> str:
        """The server with most sources for its weight."""
        return max(self.counts, key=self._ratio)

    @property
    def excess(self) -> float:
        """Part of the sources / part of the weights, of the fullest server."""
        return self._ratio(self.fullest)

    def _ratio(self, name: str) -> float:
        return self.counts[name] / self.sources / self.fair[name] if self.sources else 1.0


def spread(sources: Iterable[str], servers: Sequence[HashServer], rules: HashRules) -> Spread:
    """How `sources`, each counted once, fall on the usable servers; `Unpredictable` as `SourceHash`."""
    hashing = SourceHash(servers, rules)
    usable = _usable(servers, rules)
    weight = sum(server.weight for server in usable)
    counts = Counter(hashing.server(source) for source in set(sources))
    return Spread(
        {server.name: counts[server.name] for server in usable},
        {server.name: server.weight / weight for server in usable},
    )


def expected_excess(
    clients: int, servers: Sequence[HashServer], rules: HashRules, confidence: float = 0.95
) -> float:
    """The `Spread.excess` that a population of `clients` random addresses stays below, at `confidence`.

    Each server's count is binomial with its share of the hash values; the normal approximation with
    Bonferroni's correction for the number of servers bounds them together. Few clients mean
    a large skew even where the hash is perfect. Addresses that are not random (one subnet) can be far
    worse or better: use `spread` for those.
    """
    shares = SourceHash(servers, rules).shares
    usable = _usable(servers, rules)
    weight = sum(server.weight for server in usable)
    if not usable or clients < 1:
        return 1.0
    deviations = NormalDist().inv_cdf(1 - (1 - confidence) / len(usable)) if len(usable) > 1 else 0.0
    bounds = []
    for server in usable:
        share = shares[server.name]
        most = min(1.0, share + deviations * sqrt(share * (1 - share) / clients))
        bounds.append(most * weight / server.weight)
    return max(bounds)
