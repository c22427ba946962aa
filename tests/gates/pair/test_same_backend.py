"""Golden evidence for V3."""

from __future__ import annotations

from typing import Any

from calorimeter.core.source_hash import HashRules, HashServer, SourceHash
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.visits import ExpectedBalance, Visit, Visits
from calorimeter.gates.pair.pair_mapping import PairMapping, PairMappings
from calorimeter.gates.pair.same_backend import same_backend_on_either_proxy

UP = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))
OTHER_WAY = (HashServer("c", 1), HashServer("b", 2), HashServer("a", 3))
SOURCES = tuple(f"10.0.0.{n}" for n in range(1, 61))


def visits(servers: tuple[HashServer, ...] = UP, balance: str = "source", **more: Any) -> Visits:
    """One visit of each source, where the hash over these servers puts it."""
    table = SourceHash(servers, HashRules.from_words("source", "map-based")).table(SOURCES)
    given: dict[str, Any] = {
        "api": "rest", "section": "r", "servers": ("a", "b", "c"), "before": servers, "after": servers,
        "described": ExpectedBalance(balance=balance),
        "visits": tuple(
            Visit(source=source, port=1, sent_ns=0, done_ns=1, status=300, server=server)
            for source, server in table.items()
        ),
    }  # fmt: skip
    return Visits(**{**given, **more})


def judged(first: Visits, second: Visits, **more: Any) -> Judgement:
    """The judgement on one API; each proxy shows the servers that the visits name."""
    shown = {"p1": first.before or (), "p2": second.before or ()}
    given: dict[str, Any] = {"proxies": ("p1", "p2"), "servers": shown, "first": first, "second": second}
    return same_backend_on_either_proxy(PairMappings(apis=(PairMapping(**{**given, **more}),)))


def test_the_same_servers_in_the_same_order_pass() -> None:
    """The prediction from each proxy's servers is what was seen on it."""
    judgement = judged(visits(), visits())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert "each of 60 sources is on the same backend on p1 and p2, the predicted one" in judgement.why
    assert judgement.figures["rest_sources_predicted"] == 60


def test_another_order_fails_and_is_shown() -> None:
    """The hash counts servers in the order of the file."""
    judgement = judged(visits(), visits(OTHER_WAY))
    assert judgement.outcome is Outcome.FAIL
    assert "40 of 60 sources are on another backend when p2 has the address" in judgement.why
    first, second, third, *_ = judgement.counter_examples
    assert first.endswith(
        "p1 has the servers a (number 1, weight 1), b (number 2, weight 1), c (number 3, weight 1)"
    )
    assert "p2 has the servers c (number 1" in second
    assert third.endswith("1 times on p2")


def test_a_third_proxy_with_another_order_fails_by_prediction() -> None:
    """It had the address in neither round."""
    three = {"p1": UP, "p2": UP, "p3": OTHER_WAY}
    judgement = judged(visits(), visits(), servers=three)
    assert judgement.outcome is Outcome.FAIL
    assert "by their servers the proxies send sources to different backends" in judgement.why
    assert "by p3" in judgement.why


def test_two_versions_whose_rings_differ_fail_by_prediction() -> None:
    """HAProxy 3.0 places the servers of `hash-type consistent` elsewhere than 2.x."""
    wanted = ExpectedBalance(hash_type="consistent")
    table = SourceHash(UP, HashRules.from_words("source", "consistent", haproxy="2.6.12")).table(SOURCES)
    seen = tuple(
        Visit(source=source, port=1, sent_ns=0, done_ns=1, status=300, server=server)
        for source, server in table.items()
    )
    given = visits(described=wanted, visits=seen)
    judgement = judged(given, given, versions={"p1": "2.6.12", "p2": "3.0.11"})
    assert judgement.outcome is Outcome.FAIL
    assert "p2 is HAProxy 3.0.11" in " ".join(judgement.counter_examples)


def test_a_shared_stick_table_counts_as_observed() -> None:
    """What the table knows is not predicted; a source that a failure moved is not judged."""
    wanted = ExpectedBalance(stick_on="src")
    given = visits(OTHER_WAY, before=UP, described=wanted)
    judgement = judged(given, given, tables={"p1": 60, "p2": 60})
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert "as observed (not predicted: `stick on src` keeps each client" in judgement.why
    assert "has a stick table (60 entries on p1, 60 entries on p2)" in judgement.why


def test_other_balances_are_not_run() -> None:
    """With turns, no source has a backend of its own."""
    judgement = judged(visits(balance="roundrobin"), visits(balance="roundrobin"))
    assert judgement.outcome is Outcome.NOT_RUN
    assert "`balance roundrobin` is wanted: the servers' turn decides" in judgement.why


def test_what_cannot_be_compared_is_inconclusive() -> None:
    """Different servers UP, no source seen twice, one backend for all."""
    down = (*UP[:2], HashServer("c", 3, up=False))
    differing = judged(visits(), visits(down))
    assert differing.outcome is Outcome.INCONCLUSIVE
    assert "the proxies had different servers UP" in differing.why
    assert judged(visits(), visits(visits=())).outcome is Outcome.INCONCLUSIVE
    one = visits((HashServer("a", 1),))
    assert "any rule may have sent them there" in judged(one, one).why


def test_one_proxy_is_not_run() -> None:
    """There is no other one."""
    judgement = same_backend_on_either_proxy(PairMappings(lacks="there is no pair of proxies"))
    assert judgement.outcome is Outcome.NOT_RUN
