"""Golden evidence for S5."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.persistence import LoadBetweenVisits, Persistence, sources_stay_under_load
from calorimeter.gates.clients.visits import LogCount, Visit, Visits

QUIET = {"1": "a", "2": "b"}
LOAD = LoadBetweenVisits(users=12, status=0, requests=100, requests_meanwhile=80, seconds=5.0)


def visits(places: dict[str, str | None], at_s: int = 0, **changes: object) -> Visits:
    """One visit of each source; the log is complete."""
    made = tuple(
        Visit(source=s, port=n, sent_ns=at_s * 10**9, done_ns=at_s * 10**9 + 1, status=300, server=server)
        for n, (s, server) in enumerate(places.items())
    )
    count = LogCount(source="udp", lines=len(made), logged=len(made), connections=len(made), dropped=0)
    fields: dict[str, object] = {
        "api": "rest", "section": "rest_api_proxy", "servers": ("a", "b"), "visits": made, "logs": (count,)
    }  # fmt: skip
    return Visits.model_validate(fields | changes)


def judged(loaded: Visits, load: LoadBetweenVisits = LOAD) -> Judgement:
    """The judgement on two sources that were on a and b without load."""
    return sources_stay_under_load(Persistence(quiet=(visits(dict(QUIET)),), loaded=(loaded,), load=load))


def test_sources_that_stay_under_load_pass() -> None:
    """The same backend without load and under it passes, with the time and the load among the figures."""
    judgement = judged(visits(dict(QUIET), 20, clients={"9": {"a": 3}}))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_span_s"] == 20.0
    assert judgement.figures["rest_load_requests_meanwhile"] == 80
    assert judgement.figures["rest_load_clients"] == 1


def test_source_that_moved_under_load_fails() -> None:
    """A source on another backend than without load is the counter-example."""
    judgement = judged(visits({"1": "b", "2": "b"}, 20))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 1: a 1 times, b 1 times, without and under load",)


def test_client_of_the_load_on_two_backends_fails() -> None:
    """The load's own clients are sources too."""
    judgement = judged(visits(dict(QUIET), 20, clients={"9": {"a": 1, "b": 1}}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 9 of the load: a 1 times, b 1 times",)


def test_no_load_is_inconclusive() -> None:
    """Without a request of the load during the visits nothing was shown under load."""
    idle = LOAD.model_copy(update={"requests_meanwhile": 0})
    assert judged(visits(dict(QUIET), 20), idle).outcome is Outcome.INCONCLUSIVE


def test_failed_load_is_inconclusive() -> None:
    """A load that failed does not count."""
    assert judged(visits(dict(QUIET), 20), LOAD.model_copy(update={"status": 2})).outcome is (
        Outcome.INCONCLUSIVE
    )


def test_missing_line_is_inconclusive() -> None:
    """A visit without a line could have gone anywhere."""
    assert judged(visits({"1": "a", "2": None}, 20)).outcome is Outcome.INCONCLUSIVE
