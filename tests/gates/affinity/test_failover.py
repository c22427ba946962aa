"""Golden evidence for S6, S7 and P7."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calorimeter.core.source_hash import HashRules, HashServer, SourceHash
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.failover import exactly_the_sources_move_that_must, sources_return
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers
from calorimeter.gates.clients.visits import ExpectedBalance, LogCount, Visit, Visits
from calorimeter.gates.proxy.retries import retries_as_measured

SECOND = 1_000_000_000
UP = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))
DOWN = (*UP[:2], HashServer("c", 3, up=False))
SOURCES = tuple(f"10.0.0.{n}" for n in range(1, 61))

Places = dict[str, str | None]


def hashed(servers: tuple[HashServer, ...], hash_type: str = "map-based") -> Places:
    """Where the hash puts all sources."""
    return SourceHash(servers, HashRules.from_words("source", hash_type)).table(SOURCES)


def visit(source: str, server: str | None, at_s: float = 0.0, **changes: object) -> Visit:
    """One visit that was answered if it has a server."""
    at = int(at_s * SECOND)
    fields: dict[str, object] = {
        "source": source,
        "port": 1,
        "sent_ns": at,
        "done_ns": at + 1000,
        "status": 300 if server else 0,
        "server": server,
    }
    return Visit.model_validate(fields | changes)


def visits(places: Places, servers: tuple[HashServer, ...], hash_type: str = "map-based") -> Visits:
    """One visit of each source."""
    count = LogCount(
        source="udp", lines=len(places), logged=len(places), connections=len(places), dropped=0
    )
    return Visits(
        api="rest",
        section="rest_api_proxy",
        servers=tuple(server.name for server in servers),
        visits=tuple(visit(source, server) for source, server in places.items()),
        logs=(count,),
        described=ExpectedBalance(hash_type=hash_type),
        before=servers,
        after=servers,
    )


def evidence(
    during: Places | Visits | None = None,
    after: Places | None = None,
    hash_type: str = "map-based",
    **changes: object,
) -> Failovers:
    """Three servers, of which c is killed at 10 s, DOWN at 12 s, started at 20 s, UP at 22 s."""
    before = hashed(UP, hash_type)
    fields: dict[str, object] = {
        "api": "rest",
        "victim": "c",
        "checked": True,
        "happened": True,
        "before": visits(before, UP, hash_type),
        "meanwhile": (),
        "during": during
        if isinstance(during, Visits)
        else visits(hashed(DOWN, hash_type) if during is None else during, DOWN, hash_type),
        "after": visits(before if after is None else after, UP, hash_type),
        "killed_ns": 10 * SECOND,
        "down_ns": 12 * SECOND,
        "started_ns": 20 * SECOND,
        "up_ns": 22 * SECOND,
    }
    return Failovers(apis=(Failover.model_validate(fields | changes),))


def test_moves_of_the_hash_pass_with_the_share_of_survivors_that_moved() -> None:
    """With the map-based hash of three servers half of the survivors' sources move; a figure says so."""
    judgement = exactly_the_sources_move_that_must(evidence())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_survivors_moved_share"] == 0.5
    assert judgement.figures["rest_predicted_moved_share"] == 0.5
    assert judgement.figures["rest_down_after_s"] == 2.0
    assert judgement.figures["rest_connections"] == judgement.figures["rest_requests"] == 120
    assert judgement.figures["rest_missed_rate_95"] == 0.048703  # 60 sources: 1 - 0.05^(1/60)


def test_consistent_hash_moves_no_survivor() -> None:
    """With the consistent hash none of the survivors' sources moves."""
    judgement = exactly_the_sources_move_that_must(evidence(hash_type="consistent"))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_survivors_moved"] == 0


def test_source_that_should_have_moved_fails_and_is_named() -> None:
    """A survivor's source that stays although the hash moves it is the counter-example (a stick table)."""
    sticky = {s: now if was == "c" else was for (s, was), now in
              zip(hashed(UP).items(), hashed(DOWN).values(), strict=True)}  # fmt: skip
    judgement = exactly_the_sources_move_that_must(evidence(during=sticky))
    assert judgement.outcome is Outcome.FAIL
    assert "the hash predicts" in judgement.counter_examples[0]


def test_without_a_prediction_the_sources_of_the_victim_are_observed() -> None:
    """Served elsewhere passes, not served fails; without a source of the victim it is INCONCLUSIVE."""

    def observed(before: Places, during: Places) -> Judgement:
        unknown = ExpectedBalance(hash_type="unheard-of")
        rounds = {
            name: visits(places, UP).model_copy(update={"described": unknown})
            for name, places in (("before", before), ("during", during))
        }
        seen = evidence().apis[0].model_copy(update=rounds)
        return exactly_the_sources_move_that_must(Failovers(apis=(seen,)))

    moved = observed({"10.0.0.1": "c", "10.0.0.2": "c", "10.0.0.3": "a"},
                     {"10.0.0.1": "a", "10.0.0.2": "b", "10.0.0.3": "a"})  # fmt: skip
    assert moved.outcome is Outcome.PASS
    assert moved.figures["rest_missed_rate_95"] == 0.776393  # two sources: 1 - 0.05^(1/2)
    stuck = observed({"10.0.0.1": "c", "10.0.0.3": "a"}, {"10.0.0.1": "c", "10.0.0.3": "a"})
    assert (stuck.outcome, stuck.counter_examples) == (Outcome.FAIL, ("REST 10.0.0.1",))
    assert observed({"10.0.0.3": "a"}, {"10.0.0.3": "a"}).outcome is Outcome.INCONCLUSIVE


def test_two_servers_show_that_all_sources_move_but_not_by_which_hash() -> None:
    """All sources of the failed one go to the other, whatever the hash; one that does not is named."""
    two, one = UP[1:], DOWN[1:]
    before = visits(hashed(two), two)
    places: Places = dict.fromkeys(SOURCES, "b")
    judgement = exactly_the_sources_move_that_must(evidence(before=before, during=visits(places, one)))
    assert judgement.outcome is Outcome.PASS
    assert "(with two backends no hash type can be told from another)" in judgement.why
    stuck = visits(places | {SOURCES[0]: "c"}, one)
    judgement = exactly_the_sources_move_that_must(evidence(before=before, during=stuck))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0].startswith(f"REST {SOURCES[0]}: ")


def test_unchecked_servers_fail_with_the_reason() -> None:
    """Without checks nothing ever moves, and both gates say so."""
    dead: Places = {source: None if server == "c" else server for source, server in hashed(UP).items()}
    unchecked = evidence(during=dead, checked=False, down_ns=None)
    for check in (exactly_the_sources_move_that_must, sources_return):
        judgement = check(unchecked)
        assert judgement.outcome is Outcome.FAIL
        assert "without health checks no source ever moves" in judgement.why


def test_server_never_taken_out_is_inconclusive() -> None:
    """If the proxy never took the victim down, nothing is known about moves."""
    assert exactly_the_sources_move_that_must(evidence(down_ns=None)).outcome is Outcome.INCONCLUSIVE
    assert sources_return(evidence(down_ns=None)).outcome is Outcome.INCONCLUSIVE


def test_lost_lines_are_inconclusive() -> None:
    """Visits without a line of the log are no evidence."""
    unseen = visits(hashed(DOWN), DOWN)
    unseen = unseen.model_copy(update={"visits": (*unseen.visits, visit("10.0.0.1", None, status=300))})
    assert exactly_the_sources_move_that_must(evidence(before=unseen)).outcome is Outcome.INCONCLUSIVE


def test_sources_that_return_pass() -> None:
    """All are back where they were."""
    judgement = sources_return(evidence())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_sources_moved"] == 40


def test_source_that_stays_away_fails() -> None:
    """One that did not return is the counter-example."""
    judgement = sources_return(evidence(after=hashed(UP) | {"10.0.0.1": "a"}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 10.0.0.1: c before, b while it was down, a after",)


ALL = (exactly_the_sources_move_that_must, sources_return, retries_as_measured)


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("checked", [True, False])
def test_a_kill_that_did_nothing_is_inconclusive(
    check: Callable[[Failovers], Judgement], checked: bool
) -> None:
    """A backend that still answers at its own address was not dead, whatever its sources met."""
    alive = (visit("10.0.0.1", "c", 11.0), visit("10.0.0.3", "b", 11.0))
    judgement = check(evidence(happened=False, checked=checked, down_ns=None, meanwhile=alive))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "the fault did not happen: c answered at its own address" in judgement.why


@pytest.mark.parametrize("check", ALL)
def test_a_kill_that_nobody_can_see_is_inconclusive(check: Callable[[Failovers], Judgement]) -> None:
    """A backend that cannot be reached itself must at least be shown DOWN."""
    judgement = check(evidence(happened=None, checked=False, down_ns=None))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "nothing shows that c died" in judgement.why


def test_never_up_again_is_inconclusive() -> None:
    """If the proxy did not take it back in time, no source could return."""
    assert sources_return(evidence(up_ns=None)).outcome is Outcome.INCONCLUSIVE


def meanwhile(*given: Visit) -> Failovers:
    """Visits between the kill and the proxy's notice; 10.0.0.3 is at home on b, 10.0.0.1 on c."""
    return evidence(meanwhile=given)


def test_retries_are_a_measured_fact() -> None:
    """Whether rescued or not, the visits of the victim's sources are counted; others were unharmed."""
    judgement = retries_as_measured(
        meanwhile(
            visit("10.0.0.1", "c", 9.0),
            visit("10.0.0.1", None, 11.0, retries=3, redispatched=False),
            visit("10.0.0.1", "a", 11.5, retries=3, redispatched=True),
            visit("10.0.0.3", "b", 11.0),
        )
    )
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_visits_of_the_victims_sources"] == 2
    assert judgement.figures["rest_answered"] == 1
    assert judgement.figures["rest_redispatched"] == 1
    told = [judgement.figures[f"rest_{name}"] for name in ("sources", "connections", "requests")]
    assert told == [2, 3, 3]
    assert judgement.figures["rest_missed_rate_95"] == 0.95  # one visit of another source


def test_visit_that_the_victim_answered_itself_was_not_rescued() -> None:
    """The backend serves until the command takes effect: only visits to a dead one count."""
    alive, failed = visit("10.0.0.1", "c", 10.1, retries=0), visit("10.0.0.1", None, 11.0, retries=3)
    other = visit("10.0.0.3", "b", 11.0)
    judgement = retries_as_measured(meanwhile(alive, failed, other))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_visits_of_the_victims_sources"] == 1
    assert judgement.figures["rest_answered"] == 0
    assert "of 1 visits to the dead c retries and redispatch rescued 0" in judgement.why
    judgement = retries_as_measured(meanwhile(alive, other))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "no source of c visited between its death and its detection" in judgement.why


def test_a_visit_that_never_ends_fails() -> None:
    """HAProxy 3.0.11 leaves a client waiting that is between two attempts when its server goes DOWN."""
    other = visit("10.0.0.3", "b", 11.0)
    left = visit("10.0.0.1", None, 11.0, error="no answer within 30 s")
    evidence = meanwhile(left, other)
    assert retries_as_measured(evidence).outcome is Outcome.PASS  # the timeout of an attempt is not known
    (one,) = evidence.apis
    known = evidence.model_copy(update={"apis": (one.model_copy(update={"retries_s": 12.0}),)})
    judgement = retries_as_measured(known)
    assert judgement.outcome is Outcome.FAIL
    assert "1 of 1 visits to the dead c got neither an answer nor an end in 30 s" in judgement.why
    slow = evidence.model_copy(update={"apis": (one.model_copy(update={"retries_s": 44.0}),)})
    assert retries_as_measured(slow).outcome is Outcome.PASS


def test_answer_of_an_unknown_server_is_no_rescue() -> None:
    """Without a log line the victim itself may have answered."""
    told = visit("10.0.0.1", "a", 11.0, redispatched=True)
    unknown = visit("10.0.0.1", None, 11.0, status=300)
    judgement = retries_as_measured(meanwhile(told, unknown, visit("10.0.0.3", "b", 11.0)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "no log shows which backend answered 1 of 2 answered visits of sources of c" in judgement.why


def test_checks_that_never_took_the_victim_out_are_named() -> None:
    """It died, and the proxy did not show it in time: there is no moment to name."""
    given = (visit("10.0.0.1", None, 11.0, retries=3), visit("10.0.0.3", "b", 11.0))
    judgement = retries_as_measured(evidence(meanwhile=given, down_ns=None))
    assert judgement.outcome is Outcome.PASS
    assert (
        "3 retries, 0 redispatched, 0.0 s at most), and the checks did not mark it DOWN in time; the"
        in (judgement.why)
    )


def test_sources_that_do_not_stay_are_inconclusive() -> None:
    """A source of another backend that met the dead one was not harmed by retries, but by `balance`."""
    places = hashed(UP)
    ours = next(source for source, server in places.items() if server == "c")
    other = next(source for source, server in places.items() if server == "a")
    strayed = (visit(ours, "c", 10.5), visit(other, "c", 10.5, status=0))
    judgement = retries_as_measured(evidence(meanwhile=strayed))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "1 of 1 visits of sources of other backends met a dead backend" in judgement.why
    rescued = (visit(ours, "c", 10.5), visit(other, "b", 10.5, retries=1, redispatched=True))
    assert retries_as_measured(evidence(meanwhile=rescued)).outcome is Outcome.INCONCLUSIVE


def test_harmed_source_of_another_backend_fails() -> None:
    """A source of a living backend that was not answered is the counter-example."""
    judgement = retries_as_measured(
        meanwhile(visit("10.0.0.1", None, 11.0), visit("10.0.0.3", None, 11.0, error="timeout"))
    )
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 10.0.0.3 (of b): timeout",)


def test_harm_that_began_before_the_crash_is_not_attributed_to_it() -> None:
    """A proxy that drops visits anyway, as from a queue that is too short, harms no more than before."""
    judgement = retries_as_measured(
        meanwhile(
            visit("10.0.0.3", None, 9.0),
            visit("10.0.0.1", None, 11.0),
            visit("10.0.0.3", None, 11.0, error="timeout"),
        )
    )
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "1 visits were not answered before c died" in judgement.why


def test_no_visit_in_the_window_is_inconclusive() -> None:
    """Without a visit of the victim's sources retries were not seen, and without one of others no harm."""
    assert retries_as_measured(meanwhile(visit("10.0.0.1", "a", 11.0))).outcome is Outcome.INCONCLUSIVE
    assert retries_as_measured(meanwhile(visit("10.0.0.3", "b", 11.0))).outcome is Outcome.INCONCLUSIVE
