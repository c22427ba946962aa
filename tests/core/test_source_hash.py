"""The source hash: choices observed on HAProxy 2.6.12, and properties that hold for all inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.source_hash import (
    HashRules,
    HashServer,
    SourceHash,
    Spread,
    Unpredictable,
    avalanched,
    expected_excess,
    moved_share_map_based,
    source_hash,
    spread,
)

MAP = HashRules()
CONSISTENT = HashRules.from_words("source", "consistent")
PLAIN_RING = HashRules.from_words("source", "consistent djb2")
RULES = (MAP, replace(MAP, avalanche=True), CONSISTENT, PLAIN_RING)


def servers(*weights: int) -> list[HashServer]:
    """Servers s1, s2, … with these weights."""
    return [HashServer(f"s{i}", i, weight) for i, weight in enumerate(weights, 1)]


def predict(source: str, group: list[HashServer], rules: HashRules) -> str | None:
    """The server that is predicted for one source."""
    return SourceHash(group, rules).server(source)


def without(name: str, group: list[HashServer]) -> list[HashServer]:
    """The same servers, the one of this name DOWN."""
    return [replace(server, up=server.up and server.name != name) for server in group]


def went(sources: list[str], weights: tuple[int, ...], rules: HashRules) -> str:
    """The numbers of the servers that are predicted for the sources."""
    return "".join(str(predict(source, servers(*weights), rules))[1:] for source in sources)


LOOPBACK = [f"127.0.0.{i}" for i in range(10, 22)]
SUBNET6 = [f"2001:db8::{i:x}" for i in range(1, 13)]

OBSERVED = [
    # (sources, weights, rules, the servers that HAProxy 2.6.12 chose)
    (LOOPBACK, (1, 1, 1), MAP, "312312312312"),
    (SUBNET6, (1, 1, 1), MAP, "123123112312"),
    (LOOPBACK, (1, 2, 1), MAP, "231223122312"),
    (SUBNET6, (1, 2, 1), MAP, "223122312231"),
    (LOOPBACK, (5, 1, 3, 2), MAP, "313412131413"),
    (SUBNET6, (5, 1, 3, 2), MAP, "134121341213"),
    (LOOPBACK, (1, 1, 1), replace(MAP, avalanche=True), "211221311312"),
    (SUBNET6, (1, 1, 1), replace(MAP, avalanche=True), "133312121222"),
    (LOOPBACK, (1, 2, 1), replace(MAP, avalanche=True), "232311113132"),
    (SUBNET6, (1, 2, 1), replace(MAP, avalanche=True), "122311233322"),
    (LOOPBACK, (5, 1, 3, 2), replace(MAP, avalanche=True), "424133133341"),
    (SUBNET6, (5, 1, 3, 2), replace(MAP, avalanche=True), "123234142311"),
    (LOOPBACK, (1, 1, 1), CONSISTENT, "323331113111"),
    (SUBNET6, (1, 1, 1), CONSISTENT, "132222331222"),
    (LOOPBACK, (1, 2, 1), CONSISTENT, "223332113111"),
    (SUBNET6, (1, 2, 1), CONSISTENT, "122222331222"),
    (LOOPBACK, (5, 1, 3, 2), CONSISTENT, "134334113131"),
    (SUBNET6, (5, 1, 3, 2), CONSISTENT, "111112111144"),
    (LOOPBACK, (1, 1, 1), PLAIN_RING, "222222222222"),
    (SUBNET6, (1, 1, 1), PLAIN_RING, "111111111111"),
    (LOOPBACK, (1, 2, 1), PLAIN_RING, "222222222222"),
    (SUBNET6, (1, 2, 1), PLAIN_RING, "111111111111"),
    (LOOPBACK, (5, 1, 3, 2), PLAIN_RING, "111111111111"),
    (SUBNET6, (5, 1, 3, 2), PLAIN_RING, "111111111111"),
]


@pytest.mark.parametrize(("sources", "weights", "rules", "chosen"), OBSERVED)
def test_observed(sources: list[str], weights: tuple[int, ...], rules: HashRules, chosen: str) -> None:
    """The prediction equals what a real HAProxy chose."""
    assert went(sources, weights, rules) == chosen


def test_hash_of_ipv4_is_the_address() -> None:
    """An IPv4 address hashes as its 32 bits."""
    assert source_hash("127.0.0.10") == 0x7F00000A


def test_hash_of_ipv6_is_the_xor_of_its_words() -> None:
    """An IPv6 address hashes as the exclusive or of its words; its scope is ignored."""
    assert source_hash("2001:db8:1:2:3:4:5:6") == 0x20010DB8 ^ 0x00010002 ^ 0x00030004 ^ 0x00050006
    assert source_hash("fe80::1%eth0") == source_hash("fe80::1")


def test_hash_of_mapped_ipv4_differs_from_ipv4() -> None:
    """An IPv4 client has another hash on an IPv6 socket than on an IPv4 socket."""
    assert source_hash("::ffff:127.0.0.10") == 0x7F00000A ^ 0x0000FFFF


def test_a_client_without_address_cannot_be_predicted() -> None:
    """A client on a Unix socket has no address, and HAProxy takes servers in turn."""
    with pytest.raises(Unpredictable, match="'unix' is not an IP address"):
        source_hash("unix")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_avalanche_is_one_to_one(one: int, other: int) -> None:
    """Different numbers have different results, so places on the ring never collide."""
    assert (avalanched(one) == avalanched(other)) == (one == other)
    assert 0 <= avalanched(one) < 2**32


WEIGHTS = st.lists(st.integers(0, 12), min_size=1, max_size=7)


@given(WEIGHTS, st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_common_factor_of_weights_changes_nothing_in_a_map(
    weights: list[int], factor: int, value: int
) -> None:
    """Weights 2, 4, 2 give the same map as 1, 2, 1; servers of weight 0 are left out."""
    source = f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    scaled = [weight * factor for weight in weights]
    assert predict(source, servers(*weights), MAP) == predict(source, servers(*scaled), MAP)


@given(WEIGHTS)
@settings(max_examples=50)
def test_shares_of_a_map_are_those_of_the_weights(weights: list[int]) -> None:
    """In a map each server has its share of the weights; the shares of a ring sum to 1."""
    total = sum(weights)
    assert SourceHash(servers(*weights), MAP).shares == {
        f"s{i}": pytest.approx(weight / total) for i, weight in enumerate(weights, 1) if weight
    }
    assert sum(SourceHash(servers(*weights), CONSISTENT).shares.values()) == pytest.approx(
        1 if total else 0
    )


def test_shares_of_a_ring_are_the_shares_of_sources() -> None:
    """Of 20,000 addresses each server gets its computed share of the ring, within sampling error."""
    chosen = SourceHash(servers(1, 2, 1), CONSISTENT)
    sources = [f"10.{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(20_000)]
    table = list(chosen.table(sources).values())
    for name, share in chosen.shares.items():
        assert table.count(name) / len(sources) == pytest.approx(share, abs=0.015)


@given(WEIGHTS.filter(any), st.sampled_from(RULES), st.data())
@settings(max_examples=60)
def test_a_ring_moves_only_sources_of_the_lost_server(
    weights: list[int], rules: HashRules, data: st.DataObject
) -> None:
    """When a server leaves, each source still gets a usable server, and on a ring no survivor moves."""
    group = servers(*weights)
    name = data.draw(st.sampled_from([server.name for server in group]))
    sources = [f"192.168.{i}.{i * 7 % 256}" for i in range(256)]
    before = SourceHash(group, rules).table(sources)
    after = SourceHash(without(name, group), rules).table(sources)
    assert name not in after.values()
    if rules.hash_type == "consistent":
        assert all(after[source] == server for source, server in before.items() if server != name)


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6])
def test_survivors_that_a_map_moves(number: int) -> None:
    """(n − 2)/(n − 1) of the survivors' sources move when one of n equal servers leaves."""
    period = number * (number - 1)
    sources = [f"10.0.{i // 256}.{i % 256}" for i in range(period * 20)]
    group = servers(*[1] * number)
    before = SourceHash(group, MAP).table(sources)
    after = SourceHash(without("s1", group), MAP).table(sources)
    survivors = [source for source, server in before.items() if server != "s1"]
    moved = sum(after[source] != before[source] for source in survivors)
    assert moved / len(survivors) == pytest.approx(moved_share_map_based(number))
    assert len(survivors) == period * 20 * (number - 1) // number


def test_where_sources_move_when_a_server_leaves() -> None:
    """A map of three servers and then of two: the third address loses its server, the others swap."""
    sources = ["127.0.0.10", "127.0.0.11", "127.0.0.12"]
    assert list(SourceHash(servers(1, 1, 1), MAP).table(sources).values()) == ["s3", "s1", "s2"]
    left = without("s3", servers(1, 1, 1))
    assert list(SourceHash(left, MAP).table(sources).values()) == ["s1", "s2", "s1"]


def test_no_server_usable() -> None:
    """With every server DOWN, no server is chosen."""
    down = [replace(server, up=False) for server in servers(1, 1)]
    for rules in RULES:
        assert predict("10.0.0.1", down, rules) is None


def test_only_the_first_backup_serves_and_only_alone() -> None:
    """The first backup takes all sources if no other server is usable; with allbackups they share."""
    group = [HashServer("a", 1), HashServer("b", 2, backup=True), HashServer("c", 3, backup=True)]
    sources = [f"10.0.0.{i}" for i in range(50)]
    for rules in RULES:
        assert set(SourceHash(group, rules).table(sources).values()) == {"a"}
        left = [replace(group[0], up=False), *group[1:]]
        assert set(SourceHash(left, rules).table(sources).values()) == {"b"}
        shared = SourceHash(left, replace(rules, all_backups=True)).table(sources)
        assert set(shared.values()) <= {"b", "c"}
    assert set(SourceHash(left, replace(MAP, all_backups=True)).table(sources).values()) == {"b", "c"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("map-based", ("map-based", "sdbm", False)),
        ("consistent", ("consistent", "sdbm", True)),
        ("consistent djb2", ("consistent", "djb2", False)),
        ("consistent wt6 avalanche", ("consistent", "wt6", True)),
        ("map-based crc32 avalanche", ("map-based", "crc32", True)),
        ("", ("map-based", "sdbm", False)),
    ],
)
def test_hash_type_words(words: str, expected: tuple[str, str, bool]) -> None:
    """`hash-type consistent` implies avalanche unless it names a function."""
    rules = HashRules.from_words("source", words)
    assert (rules.hash_type, rules.function, rules.avalanche) == expected


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (HashRules(balance="roundrobin"), "balance roundrobin does not hash"),
        (HashRules(balance="hdr(x)"), r"balance hdr\(x\) does not hash"),
        (HashRules(balance_factor=150), "hash-balance-factor makes the choice depend on the current load"),
        (HashRules(overridden_by=("stick-table", "cookie")), "stick-table, cookie takes precedence"),
        (HashRules(hash_type="consistent", hash_key="addr"), "hash-key addr places servers"),
    ],
)
def test_unpredictable_rules(rules: HashRules, sentence: str) -> None:
    """A configuration whose choice does not depend on the source alone is refused with the reason."""
    with pytest.raises(Unpredictable, match=sentence):
        predict("10.0.0.1", servers(1, 1), rules)


@pytest.mark.parametrize("words", ["consistent md5", "rendezvous", "map-based sdbm avalanche more"])
def test_unknown_hash_types(words: str) -> None:
    """A hash-type that is not in HAProxy's manual is refused."""
    with pytest.raises(Unpredictable, match="is unknown"):
        HashRules.from_words("source", words)


def test_slowstart_on_a_ring_cannot_be_predicted() -> None:
    """A server in slowstart has a growing share of the ring; a map ignores slowstart."""
    group = [HashServer("a", 1, throttled=True), HashServer("b", 2)]
    with pytest.raises(Unpredictable, match="a is in slowstart"):
        SourceHash(group, CONSISTENT)
    assert predict("10.0.0.0", group, MAP) == "a"


def spread_over(sources: list[str]) -> Spread:
    """How three equal servers share these sources, each counted once."""
    group = servers(1, 1, 1)
    return spread(SourceHash(group, MAP).table(sources).values(), group, MAP)


def test_spread_of_few_sources() -> None:
    """A spread counts each source once and names the server with most sources for its weight."""
    figures = spread_over(["127.0.0.10", "127.0.0.13", "127.0.0.11", "127.0.0.11"])
    assert figures.counts == {"s1": 1, "s2": 0, "s3": 2}
    assert (figures.sources, figures.fullest) == (3, "s3")
    assert figures.excess == pytest.approx(2.0)


def test_spread_of_every_third_address() -> None:
    """Addresses in steps of the number of servers all get the same server."""
    figures = spread_over([f"10.0.0.{i}" for i in range(0, 255, 3)])
    assert figures.excess == pytest.approx(3.0)


def test_expected_excess_falls_with_the_population() -> None:
    """On three servers, 100 clients stay below 1.31 times the fair share, 10,000 clients below 1.04."""
    few = expected_excess(100, servers(1, 1, 1), MAP)
    many = expected_excess(10_000, servers(1, 1, 1), MAP)
    assert few == pytest.approx(1.30, abs=0.01)
    assert many == pytest.approx(1.03, abs=0.01)


def test_expected_excess_of_a_ring_does_not_vanish() -> None:
    """A ring is uneven by construction: even the largest population stays uneven."""
    shares = SourceHash(servers(1, 1, 1), CONSISTENT).shares
    assert expected_excess(10**9, servers(1, 1, 1), CONSISTENT) == pytest.approx(
        max(shares.values()) * 3, rel=1e-3
    )


@pytest.mark.parametrize(
    ("version", "rehashed"),
    [
        (None, False),
        ("2.6.12-1+deb12u3", False),
        ("2.8.16", False),
        ("3.0.11-1+deb13u5", True),
        ("3.2.6", True),
        ("3.2.7", False),
        ("3.2.26-1", False),
    ],
)
def test_the_ring_depends_on_the_version(version: str | None, rehashed: bool) -> None:
    """HAProxy 3.0 computed other places, 3.2.7 those of 2.x again; the map-based table never changed."""
    rules = HashRules.from_words("source", "consistent", haproxy=version)
    group = servers(1, 2, 1)
    sources = [f"10.0.{n}.{n}" for n in range(200)]
    chosen = SourceHash(group, rules).table(sources)
    assert (chosen != SourceHash(group, CONSISTENT).table(sources)) is rehashed
    assert SourceHash(group, HashRules(haproxy=version)).table(sources) == SourceHash(group, MAP).table(
        sources
    )


def test_a_ring_of_an_unknown_version_cannot_be_predicted() -> None:
    """It is not known when 3.0 and 3.1 went back to the places of 2.x."""
    for version in ("3.0.12", "3.1.5"):
        with pytest.raises(Unpredictable, match=f"where HAProxy {version} places servers"):
            SourceHash(servers(1, 1), HashRules.from_words("source", "consistent", haproxy=version))
        assert SourceHash(servers(1, 1), HashRules(haproxy=version)).server("10.0.0.1")
