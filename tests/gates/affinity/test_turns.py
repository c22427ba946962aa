"""Gates S where another policy than `source` is wanted: golden evidence."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import cycle, islice

import pytest

from calorimeter.core.source_hash import HashServer
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.failover import exactly_the_sources_move_that_must, sources_return
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.persistence import LoadBetweenVisits, Persistence, sources_stay_under_load
from calorimeter.gates.affinity.spreading import sources_spread_as_predicted
from calorimeter.gates.affinity.stability import each_source_on_one_backend, enough_distinct_sources
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, LogCount, Visit, Visits
from calorimeter.gates.evidence.placement import ServerAt
from calorimeter.gates.proxy.retries import retries_as_measured

SERVERS = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))
DOWN = (*SERVERS[:2], HashServer("c", 3, up=False))
Turns = Sequence[str | None]

TURNS = [*islice(cycle("abc"), 300)]


def visits(
    turns: Turns,
    balance: str = "roundrobin",
    servers: tuple[HashServer, ...] = SERVERS,
    **changes: object,
) -> Visits:
    """One visit for each turn, from a few sources."""
    made = tuple(
        Visit(source=f"10.0.0.{n % 7}", port=n, sent_ns=n, done_ns=n, status=300, server=server)
        for n, server in enumerate(turns)
    )
    held = sum(server is not None for server in turns)
    log = LogCount(source="udp", lines=held, logged=held, connections=len(made), dropped=0)
    fields: dict[str, object] = {
        "api": "rest",
        "section": "rest_api_proxy",
        "servers": ("a", "b", "c"),
        "visits": made,
        "logs": (log,),
        "described": ExpectedBalance(
            balance=balance, weights={server.name: server.weight for server in SERVERS}
        ),
        "before": servers,
        "after": servers,
        "counted": {name: turns.count(name) for name in "abc"},
    }
    return Visits.model_validate(fields | changes)


def placed(turns: Turns, balance: str = "roundrobin", **changes: object) -> Judgement:
    """The judgement of S3."""
    return mapping_is_the_predicted_one(AllVisits(apis=(visits(turns, balance, **changes),)))


@pytest.mark.parametrize(
    "balance", ["roundrobin", "static-rr", "leastconn", "random(2)", "first", "rdp-cookie"]
)
def test_clients_have_no_backend_of_their_own(balance: str) -> None:
    """S1, S2, P7 and S8 are NOT RUN: what is wanted is no violation."""
    evidence = visits(TURNS, balance)
    for judged in (
        each_source_on_one_backend(evidence),
        retries_as_measured(failover()),
    ):
        assert judged.outcome is Outcome.NOT_RUN
        assert "has no backend of its own" in judged.why
    assert enough_distinct_sources(AllVisits(apis=(evidence,))).outcome is Outcome.NOT_RUN


@pytest.mark.parametrize("balance", ["roundrobin", "static-rr"])
def test_turns_pass_with_what_would_have_been_seen(balance: str) -> None:
    """300 connections, one ahead or behind at most: a share that is off by 1/300."""
    for judged in (
        placed(TURNS, balance),
        sources_spread_as_predicted(AllVisits(apis=(visits(TURNS, balance),))),
    ):
        assert judged.outcome is Outcome.PASS
        assert judged.figures["rest_missed_rate_95"] == round(1 / 300, 6)
        assert judged.figures["rest_connections_a"] == 100


def test_a_server_that_misses_its_turns_fails_and_is_named() -> None:
    """By the worst run, even where the totals are right."""
    late = [*islice(cycle("ab"), 100), *["c"] * 50, *islice(cycle("abc"), 150)]
    judged = placed(late)
    assert judged.outcome is Outcome.FAIL
    assert (
        "c got up to 33.3 connections more than its share of 33.3% in a run" in judged.counter_examples[-2]
    )
    assert "c got up to 33.3 connections fewer" in judged.counter_examples[-1]


def test_chance_and_affinity_are_not_in_turn() -> None:
    """What `balance random` and `balance source` do refutes `roundrobin`."""
    chance = random.Random(7)
    assert placed([chance.choice("abc") for _ in range(300)]).outcome is Outcome.FAIL
    assert placed([["c", "a", "b", "c", "a", "b", "c"][n % 7] for n in range(300)]).outcome is Outcome.FAIL


def test_weights_are_those_that_the_owner_describes() -> None:
    """Equal turns refute weights of 1, 1 and 2, and the proxy's own weight is named."""
    judged = placed(
        TURNS, described=ExpectedBalance(balance="roundrobin", weights={"a": 1, "b": 1, "c": 2})
    )
    assert judged.outcome is Outcome.FAIL
    assert judged.counter_examples[0] == "REST c has weight 1 in the proxy, 2 is described"


@pytest.mark.parametrize(
    ("lost", "outcome"), [(1, Outcome.PASS), (3, Outcome.PASS), (100, Outcome.INCONCLUSIVE)]
)
def test_lost_lines_make_the_verdict_weaker(lost: int, outcome: Outcome) -> None:
    """A lost turn may have been anybody's: too many prove nothing; what was seen stays a violation."""
    gaps = set(random.Random(7).sample(range(300), lost))
    judged = placed([None if n in gaps else server for n, server in enumerate(TURNS)])
    assert judged.outcome is outcome
    wrong = ["a" if server == "c" and n < 150 else server for n, server in enumerate(TURNS)]
    assert placed([None if n in gaps else s for n, s in enumerate(wrong)]).outcome is Outcome.FAIL


def test_with_others_the_counters_decide() -> None:
    """Others take turns, too: our visits alone are no sequence, but all connections are in turn."""
    ours = [["a", "b"][n % 2] for n in range(100)]
    busy = placed(ours, counted={"a": 400, "b": 401, "c": 400})
    assert busy.outcome is Outcome.PASS
    assert "1201 connections of all clients took 3 REST backends in turn" in busy.why
    assert placed(ours, counted={"a": 400, "b": 400, "c": 350}).outcome is Outcome.FAIL


def test_counters_of_others_prove_nothing_if_a_server_changed() -> None:
    """c was DOWN for part of the time, which nobody's visits but theirs saw."""
    ours = [["a", "b"][n % 2] for n in range(100)]
    judged = placed(ours, counted={"a": 400, "b": 400, "c": 350}, after=DOWN)
    assert judged.outcome is Outcome.INCONCLUSIVE
    assert "c went down" in judged.why


def test_two_proxies_take_turns_of_their_own() -> None:
    """Each may be one ahead."""
    at = tuple(ServerAt(proxy=proxy, server="a", address="127.0.0.1:1") for proxy in ("p1", "p2"))
    turns = ["a", "a", *TURNS]
    assert placed(turns).outcome is Outcome.FAIL
    assert placed(turns, placed=at).outcome is Outcome.PASS


def test_few_connections_or_one_backend_prove_nothing() -> None:
    """INCONCLUSIVE, never PASS."""
    assert placed(TURNS[:9]).outcome is Outcome.INCONCLUSIVE
    one = (SERVERS[0], *(HashServer(s.name, s.puid, up=False) for s in SERVERS[1:]))
    assert placed(["a"] * 300, before=one, after=one).outcome is Outcome.INCONCLUSIVE
    assert placed([]).outcome is Outcome.INCONCLUSIVE


def test_held_connections_go_to_the_fewest() -> None:
    """`leastconn`: by weight, and only if they were held."""
    weights = {"a": 1, "b": 1, "c": 2}
    heavy = tuple(HashServer(s.name, s.puid, weights[s.name]) for s in SERVERS)
    wanted = {
        "described": ExpectedBalance(balance="leastconn", weights=weights), "before": heavy, "after": heavy,
    }  # fmt: skip
    turns = [*"abccc", *islice(cycle("abcc"), 55)]
    assert placed(turns, "leastconn", held=True, **wanted).outcome is Outcome.PASS
    judged = placed([*islice(cycle("abc"), 60)], "leastconn", held=True, **wanted)
    assert judged.outcome is Outcome.FAIL
    assert judged.counter_examples == (
        "REST held before: a 1 (weight 1), b 1 (weight 1), c 1 (weight 2); c had fewer",
    )
    assert placed(turns, "leastconn", **wanted).outcome is Outcome.NOT_RUN
    lost = [None if n == 5 else server for n, server in enumerate(turns)]
    assert placed(lost, "leastconn", held=True, **wanted).outcome is Outcome.INCONCLUSIVE
    others = {"counted": {"a": 50, "b": 50, "c": 50}}
    assert placed(turns, "leastconn", held=True, **wanted, **others).outcome is Outcome.INCONCLUSIVE


def test_first_gets_all() -> None:
    """`first`: one connection at a time never fills the first server."""
    assert placed(["a"] * 300, "first").outcome is Outcome.PASS
    assert placed(["a"] * 299 + ["b"], "first").outcome is Outcome.FAIL
    assert placed(["b"] * 300, "first", before=(HashServer("a", 1, up=False), *SERVERS[1:]),
                  after=(HashServer("a", 1, up=False), *SERVERS[1:])).outcome is Outcome.PASS  # fmt: skip


def test_chance_has_the_shares_of_the_ring() -> None:
    """`random`: 35, 30 and 35 % of three servers with weight 1, by the places of their numbers on it."""
    chance = random.Random(7)

    def drawn(weights: tuple[float, ...], number: int = 3000) -> Judgement:
        turns = chance.choices("abc", weights, k=number)
        return sources_spread_as_predicted(AllVisits(apis=(visits(turns, "random", haproxy="2.6.12"),)))

    assert placed(TURNS, "random").outcome is Outcome.NOT_RUN
    assert drawn((0.351, 0.295, 0.354)).outcome is Outcome.PASS
    assert drawn((1, 1, 2)).outcome is Outcome.FAIL


@pytest.mark.parametrize("balance", ["hash src", "rdp-cookie", "leastconn", "first"])
def test_shares_that_nothing_promises_are_not_run(balance: str) -> None:
    """S4."""
    judged = sources_spread_as_predicted(AllVisits(apis=(visits(TURNS, balance),)))
    assert judged.outcome is Outcome.NOT_RUN


def failover(
    during: Turns | Visits | None = None, after: Turns | Visits | None = None, **changes: object
) -> Failovers:
    """c was killed and came back."""
    both = [*islice(cycle("ab"), 300)] if during is None else during
    back = TURNS if after is None else after
    fields: dict[str, object] = {
        "api": "rest", "victim": "c", "checked": True, "happened": True, "meanwhile": (),
        "before": visits(TURNS),
        "during": both if isinstance(both, Visits) else visits(both, servers=DOWN),
        "after": back if isinstance(back, Visits) else visits(back),
        "killed_ns": 1, "down_ns": 2, "started_ns": 3, "up_ns": 4,
    }  # fmt: skip
    return Failovers(apis=(Failover.model_validate(fields | changes),))


def test_the_others_take_over_in_turn() -> None:
    """S6: none to the dead one, and turns among the others; S7: turns of all again."""
    assert exactly_the_sources_move_that_must(failover()).outcome is Outcome.PASS
    assert sources_return(failover()).outcome is Outcome.PASS
    strayed = exactly_the_sources_move_that_must(failover(during=[*islice(cycle("abc"), 300)]))
    assert strayed.outcome is Outcome.FAIL
    assert "100 of 300 visits were sent to c while it was DOWN" in strayed.why
    assert exactly_the_sources_move_that_must(failover(during=["a"] * 300)).outcome is Outcome.FAIL
    never = sources_return(failover(after=[*islice(cycle("ab"), 300)]))
    assert never.outcome is Outcome.FAIL
    assert "c got 100 of 300 visits before it failed, and none of 300 after" in never.why


def test_with_two_backends_the_other_gets_all() -> None:
    """There is no turn to judge, and nothing else to choose."""
    one = (HashServer("a", 1), HashServer("c", 3, up=False))
    described = {"servers": ("a", "c")}
    during = visits(["a"] * 300, servers=one).model_copy(update=described)
    judged = exactly_the_sources_move_that_must(failover(during=during))
    assert (judged.outcome, judged.why) == (Outcome.PASS, "REST: with c down every visit went to a")
    strayed = visits(["a"] * 299 + ["c"], servers=one).model_copy(update=described)
    assert exactly_the_sources_move_that_must(failover(during=strayed)).outcome is Outcome.FAIL


def test_a_failover_that_did_not_happen_is_inconclusive() -> None:
    """As with `balance source`."""
    for changes in ({"happened": False}, {"down_ns": None}):
        assert exactly_the_sources_move_that_must(failover(**changes)).outcome is Outcome.INCONCLUSIVE
    assert sources_return(failover(up_ns=None)).outcome is Outcome.INCONCLUSIVE
    assert exactly_the_sources_move_that_must(failover(checked=False)).outcome is Outcome.FAIL


def test_lost_lines_may_hide_visits_to_the_dead_backend() -> None:
    """Where the policy itself does not say where connections go, they must be seen."""
    by_chance = visits(TURNS, "random")
    both: Turns = [*islice(cycle("ab"), 300)]
    shown = visits(both, "random", servers=DOWN)
    seen = failover(during=shown, before=by_chance, after=by_chance)
    assert exactly_the_sources_move_that_must(seen).outcome is Outcome.PASS
    gone = [None if n % 10 == 0 else server for n, server in enumerate(both)]
    hidden = visits(gone, "random", servers=DOWN)
    unseen = failover(during=hidden, before=by_chance, after=by_chance)
    assert exactly_the_sources_move_that_must(unseen).outcome is Outcome.INCONCLUSIVE


def test_shares_of_a_server_in_slowstart_are_not_known() -> None:
    """It gets fewer turns, and more every second."""
    growing = (*SERVERS[:2], HashServer("c", 3, throttled=True))
    fewer = [*islice(cycle("ababc"), 300)]
    assert placed(fewer).outcome is Outcome.FAIL
    assert placed(fewer, before=growing).outcome is Outcome.INCONCLUSIVE


def test_an_api_that_is_not_judged_does_not_hide_the_other() -> None:
    """REST goes by the source, CFN by chance: S3 judges REST, and says why it does not judge CFN."""
    rest = visits([s for s in "abc" for _ in range(2)], "roundrobin")
    cfn = visits(TURNS, "random").model_copy(update={"api": "cfn"})
    judged = mapping_is_the_predicted_one(AllVisits(apis=(visits(TURNS), cfn)))
    assert judged.outcome is Outcome.PASS
    assert "CFN: `balance random` chooses by chance" in judged.why
    assert mapping_is_the_predicted_one(AllVisits(apis=(rest, cfn))).outcome is not Outcome.NOT_RUN


def test_shares_under_load() -> None:
    """S5, by the counters of all connections."""

    def judged(**changes: object) -> Judgement:
        load = LoadBetweenVisits(users=12, status=0, requests=100, requests_meanwhile=80, seconds=5.0)
        loaded = visits(TURNS, **changes)
        return sources_stay_under_load(Persistence(quiet=(visits(TURNS),), loaded=(loaded,), load=load))

    assert judged(counted={"a": 5000, "b": 5001, "c": 5000}).outcome is Outcome.PASS
    assert judged(counted={"a": 5000, "b": 5000, "c": 4900}).outcome is Outcome.FAIL
    assert judged(counted=None).outcome is Outcome.INCONCLUSIVE
    assert judged(described=ExpectedBalance(balance="leastconn")).outcome is Outcome.NOT_RUN
