"""Attribution of visits to servers through a real HAProxy, by each kind of evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calorimeter.core import deployment
from calorimeter.gates.clients.attribution import Attribution
from calorimeter.gates.clients.log_attribution import LogAttribution
from calorimeter.gates.clients.lost_lines import unseen, why_no_proof
from calorimeter.gates.clients.stats_attribution import CounterAttribution, SessionAttribution
from calorimeter.gates.clients.visit_rounds import KINDS, round_of_visits, strongest
from calorimeter.gates.clients.visits import by_source
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.repeated_work import RepeatedWork
from tests.gates.small_proxy import small_proxy

pytestmark = pytest.mark.slow

SOURCES = [f"127.16.1.{n}" for n in range(1, 13)]


@pytest.fixture(scope="module", params=["tcp", "http"])
def mode(request: pytest.FixtureRequest) -> str:
    """The mode of the proxy's section."""
    return str(request.param)


@pytest.fixture(scope="module")
def context(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A small proxy's deployment."""
    with small_proxy(tmp_path_factory.mktemp("proxy"), mode) as at:
        yield changed(
            Context(deployment.read(at.file), Settings()), stats=(f"unix://{at.file.parent}/operator.sock",)
        )


def changed(context: Context, **proxy: object) -> Context:
    """The same deployment with changes in its proxy."""
    (one,) = context.deployment.proxy
    update = {"proxy": (one.model_copy(update=proxy),)}
    return Context(context.deployment.model_copy(update=update), Settings())


def test_all_kinds_name_the_same_servers(context: Context, mode: str) -> None:
    """A source's server is the same by log, sessions and counters; `mode http` has no sessions to see."""
    kinds = [kind for kind in KINDS if mode == "tcp" or kind is not SessionAttribution]
    found: list[dict[str, Counter[str | None]]] = []
    for kind in kinds:
        with kind.opened(context, proxy_stats(context.deployment)) as attribution:
            visits = attribution.visits(context.api("rest"), SOURCES * 2).visits
        servers = {source: Counter(v.server for v in visits if v.source == source) for source in SOURCES}
        found.append(servers)
    assert all(servers == found[0] for servers in found)
    assert {server for servers in found[0].values() for server in servers} == {"a", "b"}
    assert {n for servers in found[0].values() for n in servers.values()} == {2}


@pytest.mark.parametrize("kind", KINDS)
def test_rounds_since_the_start_are_counted_together(
    kind: type[Attribution], context: Context, mode: str
) -> None:
    """What was seen before the start does not count; each round's sessions, lines and visits do."""
    api = context.api("rest")
    with kind.opened(context, proxy_stats(context.deployment)) as attribution:
        if mode == "http" and kind is SessionAttribution:
            assert "names no server" in str(attribution.doubt(api))
            return
        assert attribution.doubt(api) is None
        attribution.start([api])
        visits = [visit for _ in range(3) for visit in attribution.visit(api, SOURCES[:2])]
        found = attribution.attributed(api, visits)
    assert {client: sum(servers.values()) for client, servers in found.clients.items()} == {
        SOURCES[0]: 3,
        SOURCES[1]: 3,
    }
    assert {v.server for v in found.visits} <= {"a", "b"}


@contextmanager
def losing_every_third(log: Path, copy: Path) -> Iterator[None]:
    """The lines that a log gains are copied, but for each third."""
    copy.touch()
    number = 0

    def pass_on() -> None:
        nonlocal number
        lines = log.read_text().splitlines(keepends=True)
        new, number = [line for n, line in enumerate(lines) if n >= number and n % 3], len(lines)
        with copy.open("a") as file:
            file.writelines(new)

    number = len(log.read_text().splitlines())
    with RepeatedWork("copy", 0.02, pass_on):
        yield


def test_lines_that_a_log_file_lost_are_asked_for_again(context: Context, tmp_path: Path) -> None:
    """Each source is seen in the end, and the visits that left no line are kept as such."""
    copy = tmp_path / "lossy.log"
    other = changed(context, logs=(copy.as_uri(),))
    with (
        losing_every_third(other.deployment.path.parent / "haproxy.log", copy),
        LogAttribution.opened(other, proxy_stats(other.deployment)) as attribution,
    ):
        found = round_of_visits(other, "rest", attribution, SOURCES, 2)
    assert found.planned == 2 * len(SOURCES)
    assert len(found.visits) == found.planned + found.asked_again
    assert found.asked_again > 0
    assert unseen(found.visits) == ()
    assert why_no_proof(found) is None
    assert set(by_source(found)) == set(SOURCES)


def test_strongest_says_why_stronger_kinds_were_passed_over(context: Context, mode: str) -> None:
    """The log if there is one; else sessions in `mode tcp`; else counters."""
    api, stats = context.api("rest"), proxy_stats(context.deployment)
    with strongest(context, api, stats) as attribution:
        assert (type(attribution), attribution.passed_over) == (LogAttribution, ())
    other = changed(context, logs=())
    no_logs = f"{context.deployment.path}: proxy 'proxy' names no logs"
    with strongest(other, api, stats) as attribution:
        if mode == "tcp":
            assert (type(attribution), attribution.passed_over) == (SessionAttribution, (no_logs,))
        else:
            no_server = "the table of live sessions names no server after an answer"
            assert (type(attribution), attribution.passed_over) == (
                CounterAttribution,
                (no_logs, no_server),
            )
    with (
        pytest.raises(EvidenceUnavailable, match="names no logs; no stats socket shows"),
        strongest(other, api, ()),
    ):
        pass


def test_socket_that_refuses_sessions_leaves_the_counters(context: Context) -> None:
    """A stats socket of the lowest level shows counters, and refuses `show sess`."""
    (stats,) = context.deployment.proxy[0].stats
    other = changed(context, logs=(), stats=(stats.replace("operator", "user"),))
    with strongest(other, other.api("rest"), proxy_stats(other.deployment)) as attribution:
        assert type(attribution) is CounterAttribution
        assert attribution.passed_over[1].endswith("'show sess' is refused: the socket's level is too low")
