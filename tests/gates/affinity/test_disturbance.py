"""Golden evidence for visits in whose midst a server went: S1, S3, S4 and S5."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calorimeter.core.source_hash import HashServer
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.persistence import LoadBetweenVisits, Persistence, sources_stay_under_load
from calorimeter.gates.affinity.spreading import sources_spread_as_predicted
from calorimeter.gates.affinity.stability import each_source_on_one_backend, enough_distinct_sources
from calorimeter.gates.clients.visits import GIVEN_UP, AllVisits, LogCount, StateLine, Visit, Visits

S = 1_000_000_000
SERVERS = (HashServer("a", 1), HashServer("b", 2))
B_DOWN = (SERVERS[0], replace(SERVERS[1], up=False))
ALL_ANSWERED = [(0.0, "10.0.0.2", "a"), (0.1, "10.0.0.3", "b"), (5.0, "10.0.0.2", "a")]
DOWN = StateLine(server="b", state="DOWN", received_ns=8 * S, reason="Layer4 connection problem")


def visit(at_s: float, source: str, server: str | None, error: str = "", **more: object) -> Visit:
    """One visit; with an `error` it was not answered."""
    given = {
        "source": source, "port": 1, "sent_ns": int(at_s * S), "done_ns": int((at_s + 0.01) * S),
        "status": 0 if error else 300, "error": error, "server": server,
    }  # fmt: skip
    return Visit.model_validate(given | more)


def evidence(*visits: Visit, **changes: object) -> Visits:
    """Visits to two servers of equal weight (map-based: even addresses to a), with a whole log."""
    count = LogCount(
        source="udp", lines=len(visits), logged=len(visits), connections=len(visits), dropped=0
    )
    fields: dict[str, object] = {
        "api": "rest", "section": "rest_api_proxy", "servers": ("a", "b"), "visits": visits,
        "logs": (count,), "before": SERVERS, "after": SERVERS,
    }  # fmt: skip
    return Visits.model_validate(fields | changes)


def quiet() -> tuple[Visit, ...]:
    """Visits before anything happened: all were answered, from the right servers."""
    return tuple(visit(*each) for each in ALL_ANSWERED)


def of_all_gates(visits: Visits) -> dict[str, Judgement]:
    """Gate → judgement."""
    load = LoadBetweenVisits(users=12, status=0, requests=100, requests_meanwhile=80, seconds=5.0)
    whole = AllVisits(apis=(visits,))
    before = evidence(*quiet())
    return {
        "S1": each_source_on_one_backend(visits),
        "S3": mapping_is_the_predicted_one(whole),
        "S4": sources_spread_as_predicted(whole),
        "S5": sources_stay_under_load(Persistence(quiet=(before,), loaded=(visits,), load=load)),
    }


@pytest.mark.parametrize("gate", ["S1", "S3", "S4", "S5"])
def test_backend_killed_during_the_visits_is_inconclusive_and_named(gate: str) -> None:
    """With checks: b dies, its source is refused, then served by a. That is no violation of affinity."""
    refused = visit(7.0, "10.0.0.3", "b", "closed without an answer")
    moved = visit(9.0, "10.0.0.3", "a")
    judgement = of_all_gates(evidence(*quiet(), refused, moved, told=(DOWN,), after=B_DOWN))[gate]
    assert judgement.outcome is Outcome.INCONCLUSIVE, judgement.why
    assert "b went down" in judgement.why
    assert "reports b DOWN (Layer4 connection problem)" in judgement.why
    assert (
        "1 of 5 visits were not answered (closed without an answer, 1 times), 1 of them were sent to b"
        in (judgement.why)
    )


@pytest.mark.parametrize("gate", ["S1", "S3", "S4", "S5"])
def test_dead_backend_without_checks_is_inconclusive_and_named(gate: str) -> None:
    """The guide's proxy: its sources stay on the dead b, are not answered, and the visits are given up."""
    dead = [visit(7 + n, "10.0.0.3", "b", "closed without an answer") for n in range(20)]
    ours = visit(27, "10.0.0.2", "a", GIVEN_UP)
    judgement = of_all_gates(evidence(*quiet(), *dead, ours, planned=5000))[gate]
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "20 of 24 visits were not answered" in judgement.why
    assert "20 of them were sent to b" in judgement.why
    assert "sent to a" not in judgement.why
    assert "stopped after 24 of 5000 visits" in judgement.why


@pytest.mark.parametrize(("gate", "outcome"), [("S1", "FAIL"), ("S3", "FAIL"), ("S5", "FAIL")])
def test_source_on_two_servers_before_the_disturbance_is_still_proof(gate: str, outcome: str) -> None:
    """Round robin, and later a server dies: the source that was on both before refutes affinity."""
    torn = visit(6.0, "10.0.0.2", "b")
    refused = visit(9.0, "10.0.0.3", "b", "closed without an answer")
    judgement = of_all_gates(evidence(*quiet(), torn, refused, told=(DOWN,), after=B_DOWN))[gate]
    assert judgement.outcome.value == outcome, judgement.why
    assert "10.0.0.2" in " ".join(judgement.counter_examples)


def test_change_without_a_moment_leaves_no_visit() -> None:
    """Two readings of the proxy differ, and nothing shows since when: no source on two servers is proof."""
    judgement = each_source_on_one_backend(evidence(*quiet(), visit(6.0, "10.0.0.3", "a"), after=B_DOWN))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "b went down" in judgement.why


def test_redispatch_is_a_disturbance() -> None:
    """A visit that was sent elsewhere after its server refused it."""
    elsewhere = visit(6.0, "10.0.0.3", "a", redispatched=True, retries=3)
    judgement = each_source_on_one_backend(evidence(*quiet(), elsewhere))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "1 visits were redispatched (1 to a)" in judgement.why


def test_drain_is_a_disturbance_even_if_all_visits_were_answered() -> None:
    """The proxy's log names the server that was drained and put back between two readings."""
    drained = StateLine(server="b", state="DRAIN", received_ns=int(5.9 * S))
    judgement = each_source_on_one_backend(evidence(*quiet(), visit(6.0, "10.0.0.3", "a"), told=(drained,)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "reports b DRAIN" in judgement.why


def test_too_few_sources_because_of_giving_up_are_not_called_nat() -> None:
    """S8: visits that were given up do not show all sources, and the verdict says why."""
    dead = [visit(7 + n, "10.0.0.3", "b", "timeout") for n in range(20)]
    judgement = enough_distinct_sources(AllVisits(apis=(evidence(*quiet(), *dead, planned=5000),)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "20 of them were sent to b" in judgement.why
