"""The prediction against the HAProxy that is installed: any address, any state, down and back."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.core.source_hash import HashServer, SourceHash
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.hash_servers import hash_servers
from tests.soak.prediction import (
    Case,
    PrivateHaproxy,
    cases,
    misses,
    private_haproxy,
    random_sources,
    read_answer,
)

pytestmark = pytest.mark.lab

SOURCES = 500
"""Of each family in each case; `tests/soak/prediction.py` asks 10,000."""

KINDS = {
    "map": "map-based",
    "mixed": "map-based sdbm avalanche",
    "ring": "consistent",
    "plain": "consistent wt6",
}


@pytest.fixture(scope="module")
def every_case() -> Iterator[PrivateHaproxy]:
    """One HAProxy with all supported configurations."""
    with private_haproxy(cases()) as proxy:
        yield proxy


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_supported_configurations(every_case: PrivateHaproxy, case: Case) -> None:
    """Every one of 1,000 random sources, half of them IPv6, goes where it was predicted."""
    chance = random.Random(case.name)
    sources = random_sources(SOURCES, 4, chance) + random_sources(SOURCES, 6, chance)
    assert misses(every_case, case, sources) == []


def status(proxy: PrivateHaproxy, section: str, name: str) -> str:
    """A server's status in `show stat`."""
    return next(row.status for row in proxy.stats.show_stat() if (row.section, row.name) == (section, name))


def agrees(proxy: PrivateHaproxy, section: str, servers: list[HashServer], case: Case, seed: int) -> None:
    """200 sources of each family go where the servers in this state are predicted to take them."""
    chance = random.Random(seed)
    sources = random_sources(200, 4, chance) + random_sources(200, 6, chance)
    chosen = proxy.chosen(section, sources)
    assert chosen == SourceHash(servers, case.rules).table(sources)
    shown = hash_servers(proxy.stats.show_stat(), section)
    assert chosen == SourceHash(shown, case.rules).table(sources)


@pytest.mark.parametrize("kind", KINDS)
def test_states_set_by_command(kind: str) -> None:
    """In maintenance, drained, with weight 0 % and back again, in any order, the prediction holds."""
    case = Case("x", KINDS[kind], (1, 2, 1, 3, 1))
    with private_haproxy([case]) as proxy:
        servers = list(case.servers)
        steps = [
            ("set server x/s2 state maint", 1, False),
            ("set server x/s5 state drain", 4, False),
            ("set server x/s1 weight 0%", 0, False),
            ("set server x/s2 state ready", 1, True),
            ("disable server x/s4", 3, False),
            ("set server x/s1 weight 100%", 0, True),
            ("set server x/s5 state ready", 4, True),
            ("enable server x/s4", 3, True),
        ]
        for seed, (command, index, up) in enumerate(steps):
            assert proxy.stats.ask(command).strip() == ""
            servers[index] = replace(servers[index], up=up)
            agrees(proxy, "x", servers, case, seed)
        assert servers == list(case.servers)


@pytest.mark.parametrize("kind", ["ring", "plain"])
def test_weights_set_by_command(kind: str) -> None:
    """On a ring a weight that is changed, up or down, counts at once."""
    case = Case("x", KINDS[kind], (2, 2, 2))
    with private_haproxy([case]) as proxy:
        servers = list(case.servers)
        for seed, (index, weight) in enumerate([(0, 1), (1, 2), (0, 2), (2, 0), (2, 1), (2, 5)]):
            assert proxy.stats.ask(f"set server x/s{index + 1} weight {weight}").strip() == ""
            servers[index] = replace(servers[index], weight=weight)
            agrees(proxy, "x", servers, case, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_down_by_checks_and_back(kind: str) -> None:
    """A server that its checks find down leaves as predicted, and all sources return when it recovers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as health:
        address = health.getsockname()
        check = f"check inter 50ms fall 1 rise 1 addr 127.0.0.1 port {address[1]}"
        case = Case("x", KINDS[kind], (1, 2, 1), words=("", check, ""))
        with private_haproxy([case]) as proxy:
            agrees(proxy, "x", list(case.servers), case, 1)
            health.close()
            until(lambda: status(proxy, "x", "s2") == "DOWN", 5)
            left = [replace(server, up=server.name != "s2") for server in case.servers]
            agrees(proxy, "x", left, case, 2)
            with socket.create_server(address, backlog=4096):
                until(lambda: status(proxy, "x", "s2") == "UP", 5)
                agrees(proxy, "x", list(case.servers), case, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_who_moves(kind: str) -> None:
    """Exactly the sources move that the prediction names, and to the servers it names."""
    case = Case("x", KINDS[kind], (1, 1, 1))
    with private_haproxy([case]) as proxy:
        sources = random_sources(500, 4, random.Random(7))
        before = proxy.chosen("x", sources)
        proxy.stats.ask("disable server x/s1")
        after = proxy.chosen("x", sources)
        left = [replace(server, up=server.name != "s1") for server in case.servers]
        assert before == SourceHash(case.servers, case.rules).table(sources)
        assert after == SourceHash(left, case.rules).table(sources)
        moved = [source for source in sources if before[source] not in ("s1", after[source])]
        assert (not moved) == ("consistent" in case.hash_type)


def ask_from(address: str, port: int, source: str) -> str:
    """The answer to a connection bound to `source`."""
    with socket.create_connection((address, port), 5, source_address=(source, 0)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return read_answer(client)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@pytest.mark.parametrize("kind", KINDS)
def test_bound_addresses(kind: str) -> None:
    """Bound addresses hash as announced ones do, and on an IPv6 socket as mapped ones."""
    ports = free_port(), free_port()
    binds = (f"bind 127.0.0.1:{ports[0]}", f"bind ::ffff:127.0.0.1:{ports[1]}")
    case = Case("x", KINDS[kind], (1, 2, 1), options=binds)
    sources = [f"127.0.{i}.{i * 3 + 1}" for i in range(80)]
    predicted = SourceHash(case.servers, case.rules)
    with private_haproxy([case]) as proxy:
        assert proxy.stats.show_stat()
        for source in sources:
            assert ask_from("127.0.0.1", ports[0], source) == predicted.server(source)
            assert ask_from("127.0.0.1", ports[1], source) == predicted.server(f"::ffff:{source}")


def test_nobody_left() -> None:
    """With every server away HAProxy closes the connection, and None is predicted."""
    case = Case("x", "map-based", (1, 1), down=(1, 2))
    with private_haproxy([case]) as proxy:
        assert proxy.chosen("x", ["10.0.0.1"]) == {"10.0.0.1": ""}
        assert SourceHash(case.servers, case.rules).server("10.0.0.1") is None


def test_unix_clients_are_taken_in_turn(tmp_path: Path) -> None:
    """A client without an address is not hashed: the refusal to predict it is right."""
    case = Case("x", "map-based", (1, 1, 1), options=(f"bind {tmp_path}/plain.sock",))
    answers = []
    with private_haproxy([case]):
        for _ in range(6):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{tmp_path}/plain.sock")
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answers.append(read_answer(client))
    assert sorted(answers) == ["s1", "s1", "s2", "s2", "s3", "s3"]
