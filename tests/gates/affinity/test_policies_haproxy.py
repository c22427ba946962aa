"""What `calorimeter.core.balance_policy` says of HAProxy's balance algorithms, on the installed HAProxy."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from calorimeter.core.balance_policy import (
    in_turn_bound,
    out_of_order,
    out_of_turn,
    random_shares,
)
from calorimeter.core.deployment import Address
from calorimeter.core.request_key import RequestKey
from calorimeter.core.source_hash import HashRules, HashServer, weight_shares
from calorimeter.core.statistics.binomial import binomial_bounds
from calorimeter.gates.affinity.described_servers import visit_hash
from calorimeter.gates.clients.http_get import request
from calorimeter.gates.clients.visits import ExpectedBalance, Visit, Visits
from calorimeter.gates.evidence.hash_servers import hash_servers
from tests.soak.prediction import Case, PrivateHaproxy, installed_version, private_haproxy, random_sources

pytestmark = pytest.mark.slow

WEIGHTS = ((1, 1, 1), (1, 2), (1, 2, 3), (3, 5, 7), (1, 1, 10), (7, 3, 2, 2, 1), (100, 1))
IN_TURN = {
    f"{balance}-{'-'.join(map(str, weights))}": Case(
        f"{balance}-{'-'.join(map(str, weights))}", "map-based", weights, balance=balance
    )
    for balance in ("roundrobin", "static-rr")
    for weights in WEIGHTS
}
FEWEST = {
    name: Case(name, "map-based", weights, balance="leastconn")
    for weights in WEIGHTS
    for name in [f"leastconn-{'-'.join(map(str, weights))}"]
}
BY_CHANCE = {
    name: Case(name, "map-based", weights, balance=balance)
    for balance in ("random", "random(1)")
    for weights in ((1, 1, 1), (1, 2, 3))
    for name in [f"{balance.replace('(1)', '-once')}-{'-'.join(map(str, weights))}"]
}
BY_REQUEST = {
    name: Case(name, hash_type, (1, 2, 1), balance=balance, options=("mode http",))
    for balance in ("uri", "hdr(x-key)", "hdr(host)", "url_param k")
    for hash_type in (
        *("map-based", "consistent", "map-based djb2", "map-based wt6", "map-based crc32"),
        *("consistent djb2 avalanche", "map-based sdbm avalanche", "consistent wt6"),
    )
    for name in [re.sub(r"\W+", "-", f"{balance} {hash_type}")]
}
FIRST = Case("first", "map-based", (1, 2, 3), balance="first", down=(1,))


@pytest.fixture(scope="module")
def proxy() -> Iterator[PrivateHaproxy]:
    """One HAProxy with a section for each case."""
    cases = (*IN_TURN.values(), *FEWEST.values(), *BY_CHANCE.values(), *BY_REQUEST.values(), FIRST)
    with private_haproxy(cases) as running:
        yield running


def shown(proxy: PrivateHaproxy, section: str) -> tuple[HashServer, ...]:
    """The servers as the proxy shows them."""
    return hash_servers(proxy.stats.show_stat(), section)


@pytest.mark.parametrize("name", IN_TURN)
def test_turns_stay_within_their_bound(proxy: PrivateHaproxy, name: str) -> None:
    """In any run, also after servers went and came back at random."""
    chance, names = random.Random(name), [server.name for server in IN_TURN[name].servers]
    for _ in range(4):
        shares = weight_shares(shown(proxy, name), HashRules())
        turns = proxy.turns(name, 120)
        worst = max(max(out_of_turn(turns, server, share)) for server, share in shares.items())
        assert worst <= in_turn_bound(shares.values()) + 1e-9
        assert set(turns) <= set(shares)
        away = chance.sample(names, chance.randrange(len(names)))
        for server in names:
            state = "maint" if server in away else "ready"
            proxy.stats.ask(f"set server {name}/{server} state {state}")


@pytest.mark.parametrize("name", BY_CHANCE)
def test_chance_is_not_in_turn_and_has_the_shares_of_the_ring(proxy: PrivateHaproxy, name: str) -> None:
    """So `random` is told from `roundrobin`, and its shares are not those of the weights."""
    turns, servers = proxy.turns(name, 1500), shown(proxy, name)
    fair, ring = weight_shares(servers, HashRules()), random_shares(servers, installed_version())
    assert max(max(out_of_turn(turns, server, share)) for server, share in fair.items()) > 2
    found = Counter(turns)
    for server, share in ring.items():
        low, high = binomial_bounds(len(turns), share, 1e-5)
        assert low <= found[server] <= high


@pytest.mark.parametrize("name", FEWEST)
def test_held_connections_go_to_the_fewest(proxy: PrivateHaproxy, name: str) -> None:
    """By weight."""
    weights = {server.name: server.weight for server in shown(proxy, name)}
    assert out_of_order(proxy.held(name, 60), weights) is None


@pytest.mark.parametrize("name", ["roundrobin-1-2-3", "roundrobin-100-1", "random-1-1-1"])
def test_other_policies_do_not_take_the_fewest(proxy: PrivateHaproxy, name: str) -> None:
    """What the check is for."""
    weights = {server.name: server.weight for server in shown(proxy, name)}
    assert out_of_order(proxy.held(name, 60), weights) is not None


@pytest.mark.parametrize("name", BY_REQUEST)
def test_a_part_of_the_request_is_hashed_as_predicted(proxy: PrivateHaproxy, name: str) -> None:
    """By its path, a header or a parameter, with each function, as text: 100 addresses, v4 and v6."""
    case, chance = BY_REQUEST[name], random.Random(name)
    key = RequestKey.of(case.balance)
    assert key is not None
    clients = random_sources(50, 4, chance) + random_sources(50, 6, chance)
    front = Address(host="127.0.0.1", port=80)
    requests = [request(front, key.path(each), headers=key.headers(each)) for each in clients]
    evidence = Visits(
        api="rest",
        section=name,
        servers=tuple(server.name for server in case.servers),
        visits=(),
        described=ExpectedBalance(balance=case.balance, hash_type=case.hash_type),
        haproxy=installed_version(),
    )
    hashing = visit_hash(evidence, shown(proxy, name))
    visits = [Visit(source=each, port=1, sent_ns=0, done_ns=0, status=300) for each in clients]
    assert proxy.asked(name, requests) == [hashing.server(visit) for visit in visits]


def test_first_takes_the_first_that_is_usable(proxy: PrivateHaproxy) -> None:
    """By id."""
    assert set(proxy.turns("first", 20)) == {"s2"}
