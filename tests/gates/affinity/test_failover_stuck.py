"""Golden evidence for gates S where clients stick, by a stick table or a cookie."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from calorimeter.core.source_hash import HashServer
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.failover import exactly_the_sources_move_that_must, sources_return
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.spreading import sources_spread_as_predicted
from calorimeter.gates.affinity.stability import each_source_on_one_backend, enough_distinct_sources
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, LogCount, Visit, Visits

SECOND = 1_000_000_000
UP = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))
DOWN = (*UP[:2], HashServer("c", 3, up=False))
CLIENTS = tuple(f"10.0.0.{n}" for n in range(1, 61))

BEFORE: dict[str, str | None] = {client: "abc"[n % 3] for n, client in enumerate(CLIENTS)}
DURING = {client: "ab"[n % 2] if home == "c" else home for n, (client, home) in enumerate(BEFORE.items())}

Homes = Mapping[str, str | None]


def visits(homes: Homes, servers: tuple[HashServer, ...] = UP, times: int = 1, **changes: object) -> Visits:
    """Visits of each client to its backend; None: not answered."""
    made = tuple(
        Visit(source=client, port=1, sent_ns=0, done_ns=1, status=300 if home else 0, server=home)
        for client, home in homes.items()
        for _ in range(times)
    )
    count = LogCount(source="udp", lines=len(made), logged=len(made), connections=len(made), dropped=0)
    fields: dict[str, object] = {
        "api": "rest",
        "section": "rest_api_proxy",
        "servers": ("a", "b", "c"),
        "visits": made,
        "logs": (count,),
        "described": ExpectedBalance(balance="roundrobin", stick_on="src"),
        "before": servers,
        "after": servers,
        "clients": {client: {home or "": times} for client, home in homes.items()},
    }
    return Visits.model_validate(fields | changes)


def failover(during: Homes | Visits = DURING, after: Homes = DURING, **changes: object) -> Failovers:
    """c is killed at 10 s, DOWN at 12 s, started at 20 s, UP at 22 s."""
    fields: dict[str, object] = {
        "api": "rest",
        "victim": "c",
        "checked": True,
        "happened": True,
        "before": visits(BEFORE),
        "meanwhile": (),
        "during": during if isinstance(during, Visits) else visits(during, DOWN),
        "after": visits(after),
        "killed_ns": 10 * SECOND,
        "down_ns": 12 * SECOND,
        "started_ns": 20 * SECOND,
        "up_ns": 22 * SECOND,
    }
    return Failovers(apis=(Failover.model_validate(fields | changes),))


def moves(during: Homes | Visits = DURING, **changes: object) -> Judgement:
    """S6."""
    return exactly_the_sources_move_that_must(failover(during, **changes))


def returns(during: Homes = DURING, after: Homes = DURING, **changes: object) -> Judgement:
    """S7."""
    return sources_return(failover(during, after, **changes))


def test_only_the_clients_of_the_dead_backend_move_and_stay() -> None:
    """S6 and S7 pass, and say how many moved."""
    judged = moves()
    assert judged.outcome is Outcome.PASS
    assert "its 20 clients were served elsewhere, and the other 40 stayed" in judged.why
    judged = returns()
    assert judged.outcome is Outcome.PASS
    assert "each of 60 clients stayed where it was, the 20 that had moved too" in judged.why


def test_a_survivors_client_that_moves_fails_s6() -> None:
    """A hash over the servers that are left would move it; what sticks may not."""
    judged = moves(DURING | {"10.0.0.1": "b"})
    assert judged.outcome is Outcome.FAIL
    assert judged.counter_examples == ("REST 10.0.0.1: a → b",)


@pytest.mark.parametrize("then", [None, "c"])
def test_a_client_that_is_not_rescued_fails_s6(then: str | None) -> None:
    """Not answered, or still sent to the dead backend; also where nothing is checked."""
    during = {client: then if home == "c" else home for client, home in BEFORE.items()}
    # Visits that were sent to the victim and not answered are no sign of another failure.
    made = visits(during, DOWN)
    lost = tuple(v if v.served else v.model_copy(update={"server": "c"}) for v in made.visits)
    sent = made.model_copy(update={"visits": lost})
    assert moves(sent).outcome is Outcome.FAIL
    assert moves(sent, checked=False, down_ns=None).outcome is Outcome.FAIL


def test_a_client_that_goes_back_fails_s7() -> None:
    """It was given another server meanwhile, and that one is in the table."""
    judged = returns(after=BEFORE)
    assert judged.outcome is Outcome.FAIL
    assert judged.counter_examples[0] == "REST 10.0.0.3: c before, a meanwhile, c after"


@pytest.mark.parametrize(
    "changes", [{"down_ns": None}, {"happened": False}, {"happened": None, "down_ns": None}]
)
def test_a_fault_that_was_not_seen_is_inconclusive(changes: dict[str, object]) -> None:
    """Neither gate says anything."""
    assert moves(**changes).outcome is Outcome.INCONCLUSIVE
    assert returns(**changes).outcome is Outcome.INCONCLUSIVE


def test_another_failure_is_inconclusive() -> None:
    """A client of a survivor was not answered."""
    during = DURING | {"10.0.0.1": None}
    assert moves(during).outcome is Outcome.INCONCLUSIVE
    assert returns(during).outcome is Outcome.INCONCLUSIVE


def test_without_clients_of_the_victim_nothing_is_proven() -> None:
    """INCONCLUSIVE, never PASS."""
    homes: Homes = {client: "ab"[n % 2] for n, client in enumerate(CLIENTS)}
    assert moves(homes, before=visits(homes)).outcome is Outcome.INCONCLUSIVE
    assert returns(homes, homes, before=visits(homes)).outcome is Outcome.INCONCLUSIVE
    assert returns(up_ns=None).outcome is Outcome.INCONCLUSIVE


def test_clients_that_stick_have_a_home_that_no_hash_predicts() -> None:
    """S1 and S8 as for `balance source`, S3 by observation, S4 NOT RUN."""
    evidence = visits(BEFORE, times=2)
    assert each_source_on_one_backend(evidence).outcome is Outcome.PASS
    judged = mapping_is_the_predicted_one(AllVisits(apis=(evidence,)))
    assert judged.outcome is Outcome.PASS
    assert "`stick on src` keeps each client where it came first" in judged.why
    assert sources_spread_as_predicted(AllVisits(apis=(evidence,))).outcome is Outcome.NOT_RUN
    torn = evidence.model_copy(
        update={"visits": (*evidence.visits, evidence.visits[0].model_copy(update={"server": "b"}))}
    )
    assert each_source_on_one_backend(torn).outcome is Outcome.FAIL
    assert mapping_is_the_predicted_one(AllVisits(apis=(torn,))).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("stick_on", "outcome"), [("src", Outcome.INCONCLUSIVE), ("cookie", Outcome.NOT_RUN)]
)
def test_the_address_counts_only_for_a_table(stick_on: str, outcome: Outcome) -> None:
    """S8: clients behind one address keep cookies of their own."""
    described = ExpectedBalance.model_validate({"balance": "roundrobin", "stick_on": stick_on})
    evidence = visits(BEFORE, described=described)
    assert enough_distinct_sources(AllVisits(apis=(evidence,))).outcome is outcome
