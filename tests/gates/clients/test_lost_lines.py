"""Gates S on evidence with holes: what is missing is asked for again, and the loss itself is judged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import pytest

from calorimeter.core import deployment
from calorimeter.core.deployment import Api
from calorimeter.core.source_hash import HashRules, HashServer, SourceHash
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.failover import exactly_the_sources_move_that_must, sources_return
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.spreading import sources_spread_as_predicted
from calorimeter.gates.affinity.stability import each_source_on_one_backend, enough_distinct_sources
from calorimeter.gates.clients.attribution import Attributed, Attribution, counts_of_clients
from calorimeter.gates.clients.lost_lines import CHANCE, at_least
from calorimeter.gates.clients.visit_rounds import round_of_visits
from calorimeter.gates.clients.visiting import IN_FLIGHT, Sources
from calorimeter.gates.clients.visits import AllVisits, LogCount, Visit, Visits
from calorimeter.gates.context import Context, Settings

SERVERS = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))
DOWN = (*SERVERS[:2], HashServer("c", 3, up=False))
SOURCES = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]

Lost = Callable[[str], float]
"""Server → the probability that the line of its connection is lost."""

Chooses = Callable[[str], str]
"""Source → server."""


def lost(share: float, *servers: str) -> Lost:
    """Lines of these servers are lost in that share, without servers those of all."""
    return lambda server: share if not servers or server in servers else 0.0


class LossyLog(Attribution):
    """A proxy whose log loses lines: each connection has a server, and perhaps a line."""

    kind = "log"

    def __init__(self, context: Context, chooses: Chooses, loses: Lost, seed: int) -> None:
        super().__init__(context, ())
        self.chooses, self.loses, self.chance = chooses, loses, random.Random(seed)
        self.ports, self.lines = count(1024), dict[int, str]()

    def doubt(self, api: Api) -> str | None:
        """None: the log names servers."""
        return None

    def visit(
        self, api: Api, sources: Sources, in_flight: int = IN_FLIGHT, give_up: int | None = None
    ) -> list[Visit]:
        """All are answered; the line of each may be lost."""
        return [self._visit(source or "") for source in sources]

    def _visit(self, source: str) -> Visit:
        port, server = next(self.ports), self.chooses(source)
        if self.chance.random() >= self.loses(server):
            self.lines[port] = server
        return Visit(source=source, port=port, sent_ns=port, done_ns=port, status=300)

    def attributed(self, api: Api, visits: Sequence[Visit]) -> Attributed:
        """The visits with the servers of their lines."""
        found = tuple(
            v.model_copy(update={"server": self.lines[v.port]}) if v.port in self.lines else v
            for v in visits
        )
        held = len(self.lines)
        log = LogCount(source="udp", lines=held, logged=held, connections=len(visits), dropped=0)
        return Attributed(found, (log,), counts_of_clients((v.source, v.server) for v in found if v.server))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A deployment with one API of three backends."""
    file = tmp_path_factory.mktemp("deployment") / "deployment.toml"
    backends = "".join(
        f'[[rest.backends]]\nname = "{server.name}"\naddress = "127.0.0.1:{port}"\n'
        for port, server in enumerate(SERVERS, start=8001)
    )
    file.write_text(
        'name = "t"\n[rest]\nurl = "http://127.0.0.1:8004/v1"\nproxy_section = "rest_api_proxy"\n'
        + backends
    )
    return Context(deployment.read(file), Settings())


def hashed(servers: Sequence[HashServer] = SERVERS) -> Chooses:
    """`balance source`."""
    return SourceHash(tuple(servers), HashRules.from_words("source", "map-based")).server


def visits(
    context: Context,
    loses: Lost,
    seed: int,
    chooses: Chooses | None = None,
    servers: Sequence[HashServer] = SERVERS,
    times: int = 2,
) -> Visits:
    """The visits of all sources through a proxy with a log that loses lines."""
    log = LossyLog(context, chooses or hashed(servers), loses, seed)
    found = round_of_visits(context, "rest", log, SOURCES, times)
    return found.model_copy(update={"before": tuple(servers), "after": tuple(servers), "haproxy": "2.6.12"})


def failover(context: Context, loses: Lost, seed: int) -> Failovers:
    """c is killed and comes back."""
    rounds = {
        name: visits(context, loses, seed + n, servers=servers, times=1)
        for n, (name, servers) in enumerate((("before", SERVERS), ("during", DOWN), ("after", SERVERS)))
    }
    moments = {"killed_ns": 1, "down_ns": 2, "started_ns": 3, "up_ns": 4}
    fields = {"api": "rest", "victim": "c", "checked": True, "happened": True, "meanwhile": ()}
    return Failovers(apis=(Failover.model_validate(fields | rounds | moments),))


def judgements(context: Context, loses: Lost, seed: int) -> dict[str, Judgement]:
    """Gate → its judgement."""
    found = visits(context, loses, seed)
    both = AllVisits(apis=(found,))
    moved = failover(context, loses, seed)
    return {
        "S1": each_source_on_one_backend(found),
        "S3": mapping_is_the_predicted_one(both),
        "S4": sources_spread_as_predicted(both),
        "S6": exactly_the_sources_move_that_must(moved),
        "S7": sources_return(moved),
        "S8": enough_distinct_sources(both),
    }


def outcomes(found: Iterable[Judgement]) -> set[Outcome]:
    """All different outcomes."""
    return {each.outcome for each in found}


MOST = pytest.param(0.6, marks=pytest.mark.slow)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, MOST])
def test_lines_lost_by_chance_change_no_verdict(context: Context, share: float) -> None:
    """Sources without a line visit again; each verdict says how much was lost."""
    found = judgements(context, lost(share), 7)
    assert outcomes(found.values()) == {Outcome.PASS}, found
    assert all("answered visits left no trace" in each.why for each in found.values())


@pytest.mark.parametrize("share", [0.01, 0.1, MOST, 1.0])
def test_loss_that_depends_on_the_backend_is_inconclusive(context: Context, share: float) -> None:
    """c may lose the lines of just those connections that should not be there."""
    found = judgements(context, lost(share, "c"), 7)
    assert outcomes(found[gate] for gate in ("S1", "S3", "S4", "S8")) == {Outcome.INCONCLUSIVE}, found
    assert found["S6"].outcome is not Outcome.PASS
    assert found["S7"].outcome is not Outcome.PASS


def test_how_often_loss_by_chance_is_called_dependent() -> None:
    """In one of a hundred logs that lose lines, or fewer, as the bound says."""
    chance, wrong = random.Random(7), 0
    for _ in range(1000):
        gone = [number % 3 for number in chance.sample(range(600), 30)]
        wrong += any(at_least(gone.count(k), 600, 200, 30) < CHANCE / 3 for k in range(3))
    assert wrong <= 20


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, MOST])
@pytest.mark.parametrize("where", [(), ("c",)])
def test_a_violation_that_was_seen_is_fail(context: Context, share: float, where: tuple[str, ...]) -> None:
    """Round robin, whatever the log loses: a source is seen on two backends, or on a wrong one."""
    turn = count()
    found = visits(context, lost(share, *where), 7, lambda _: SERVERS[next(turn) % 3].name, times=2)
    assert each_source_on_one_backend(found).outcome is Outcome.FAIL
    assert mapping_is_the_predicted_one(AllVisits(apis=(found,))).outcome is Outcome.FAIL


def test_a_backend_whose_lines_are_all_lost_hides_nothing(context: Context) -> None:
    """Each fifth visit goes to c, whose lines never come: what is seen looks like a perfect affinity."""
    turn, home = count(), hashed(DOWN)

    def chooses(source: str) -> str:
        return "c" if next(turn) % 5 == 0 else home(source)

    found = visits(context, lost(1.0, "c"), 7, chooses)
    judgement = each_source_on_one_backend(found)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.endswith("none that is left names c: all its lines may be lost")


def test_a_log_that_shows_none_of_our_connections_is_asked_once(context: Context) -> None:
    """As behind address translation: more visits would show no more."""
    found = visits(context, lost(1.0), 7)
    assert len(found.visits) == 2 * len(SOURCES)
    assert each_source_on_one_backend(found).outcome is Outcome.INCONCLUSIVE


def test_tail_of_the_hypergeometric_distribution() -> None:
    """Of 2 drawn out of 4 with 2 marked: both in 1 of 6 cases, at least one in 5 of 6."""
    assert at_least(2, 4, 2, 2) == pytest.approx(1 / 6)
    assert at_least(1, 4, 2, 2) == pytest.approx(5 / 6)
    assert at_least(0, 4, 2, 2) == pytest.approx(1)
