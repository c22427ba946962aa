"""Golden evidence for kept-alive clients in gates S1 to S3."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.stability import each_source_on_one_backend
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, KeptClient
from tests.gates.affinity.test_failover_stuck import BEFORE, CLIENTS, DOWN, visits
from tests.gates.affinity.test_turns import TURNS
from tests.gates.affinity.test_turns import visits as turns


def judged(*kept: tuple[str, ...], **changes: object) -> Judgement:
    """S1, with kept-alive clients that have the first addresses (a, b, c, ...)."""
    clients = tuple(
        KeptClient(source=CLIENTS[n], requests=5, servers=servers) for n, servers in enumerate(kept)
    )
    return each_source_on_one_backend(visits(BEFORE, times=2, kept=clients, **changes))


def test_a_connection_has_one_server_in_mode_tcp() -> None:
    """One line for the connection."""
    found = judged(("a",), ("b",))
    assert found.outcome is Outcome.PASS
    assert "2 kept-alive clients sent 5 requests each over one connection, and each" in found.why
    assert "(`mode tcp`)" in found.why


def test_requests_that_stay_at_home_pass_in_mode_http() -> None:
    """One line for each request."""
    found = judged(("a",) * 5, ("b",) * 5)
    assert found.outcome is Outcome.PASS
    assert "HAProxy chose for each request (`mode http`), 0 of them met several" in found.why


@pytest.mark.parametrize("servers", [("a", "a", "c", "a", "a"), ("c",) * 5, ("c",)])
def test_requests_that_leave_their_home_fail(servers: tuple[str, ...]) -> None:
    """Some of one connection's, or all: the client's new connections go elsewhere."""
    found = judged(servers, ("b",) * 5)
    assert found.outcome is Outcome.FAIL
    assert "requests of 1 of 2 kept-alive clients went to another REST backend" in found.why
    assert found.counter_examples[0].startswith("10.0.0.1: new connections to a, ")


def test_what_the_log_lost_or_a_change_explains_is_no_violation() -> None:
    """No line of a client, or a server that went DOWN meanwhile."""
    assert judged((), ("b",)).outcome is Outcome.PASS
    assert judged(("c",), after=DOWN).outcome is Outcome.INCONCLUSIVE


def test_turns_say_what_kept_alive_clients_met() -> None:
    """In `mode http` each request takes its turn: no violation of anything."""
    kept = (KeptClient(source="10.0.0.1", requests=3, servers=("a", "b", "c")),)
    evidence = turns(TURNS, described=ExpectedBalance(balance="roundrobin"), kept=kept)
    found = mapping_is_the_predicted_one(AllVisits(apis=(evidence,)))
    assert found.outcome is Outcome.PASS
    assert "1 of them met several servers" in found.why
