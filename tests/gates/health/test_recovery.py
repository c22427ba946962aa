"""Golden evidence for H5."""

from collections.abc import Callable

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.health.detection import detected_in_time
from calorimeter.gates.health.recovery import recovered_in_time
from calorimeter.gates.health.trial import Attempt, Expectations, FaultTrial, FaultTrials
from tests.gates.health.trials import at, attempt, change, direct, injected, log_line, steady, trial


def judged(*trials: FaultTrial) -> Judgement:
    """The judgement on some trials."""
    return recovered_in_time(FaultTrials(trials=trials))


def test_a_recovery_within_its_bound_passes() -> None:
    """UP 1.4 s after it served again, with its source back on it, is PASS."""
    judgement = judged(trial())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["rest_kill_recovery_s"] == 1.4
    assert judgement.figures["rest_kill_recovery_bound_s"] == 2.0
    assert judgement.figures["rest_kill_sources_back"] == 1


def test_later_than_the_bound_fails() -> None:
    """downinter + fastinter, two checks and 0.1 s make 2.108 s; 2.5 s are too late."""
    judgement = judged(trial(up=23.0))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == ("a: kill: UP 2.50 s after it served again, the configuration allows 2.01 s")


def test_never_up_again_fails() -> None:
    """The server serves again, but the proxy never shows it UP."""
    judgement = judged(trial(up=None))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == "a: kill: not UP 4.5 s after it served again"


def test_never_taken_out_fails() -> None:
    """Clients were sent to the broken server all the time."""
    assert "never taken out of service" in judged(trial(down=None)).why
    assert judged(trial(down=None)).outcome is Outcome.FAIL


def test_a_bound_beyond_what_the_owner_wants_fails() -> None:
    """The configuration allows 2 s, max_recovery_s is 1 s."""
    assert judged(trial(wanted=Expectations(max_recovery_s=1.0))).outcome is Outcome.FAIL


def test_an_error_on_the_way_back_fails() -> None:
    """A request failed after healing had begun."""
    good = trial()
    judgement = judged(good.model_copy(update={"attempts": (*good.attempts, attempt(21, status=0))}))
    assert judgement.outcome is Outcome.FAIL
    assert "1 requests failed while it returned" in judgement.why


def flapping(*more: Attempt) -> FaultTrial:
    """Server a fails at 10 and again at 30; it is DOWN at 11.5 and 31.5, UP at 21.9 and 41.9."""
    first = trial()
    again = injected(
        at_ns=at(30), ended_ns=at(30.1), heal_began_ns=at(40), healed_ns=at(41),
        directs=(direct(29, 300), *(direct(n, 0, 0.0) for n in range(31, 40)), direct(40.5, 300, 0.0)),
    )  # fmt: skip
    return trial(
        injected=(*first.injected, again),
        changes=(*first.changes, change(31.5, "DOWN"), change(41.9, "UP")),
        said=(*first.said, log_line(31.48, "DOWN"), log_line(41.88, "UP")),
        attempts=(
            *first.attempts,
            *steady(25, 31.4, "a"),
            *steady(42, 45, "a"),
            *steady(25, 45, "b"),
            *more,
        ),
        ended_ns=at(45),
    )


def test_a_request_cut_by_the_next_fault_is_no_failed_recovery() -> None:
    """In a flapping trial the second DOWN ends a request in progress (recorded on a healthy lab: sent 27 ms
    before, closed without an answer)."""
    judgement = judged(flapping(attempt(31.473, "a", took=0.001, status=0)))
    assert judgement.outcome is Outcome.PASS, judgement.why


def test_an_error_between_two_faults_fails() -> None:
    """In a flapping trial a request failed after the first recovery and before the second fault."""
    judgement = judged(flapping(attempt(28, "a", status=0)))
    assert judgement.outcome is Outcome.FAIL
    assert "1 requests failed while it returned" in judgement.why


def test_not_up_before_the_next_fault_fails() -> None:
    """In a flapping trial the UP after the second fault is not the recovery from the first."""
    good = flapping()
    changes = tuple(c for c in good.changes if c.seen_ns != at(21.9))
    judgement = judged(good.model_copy(update={"changes": changes}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == "a: kill: not UP 9.5 s after it served again"


def test_sources_that_do_not_come_back_fail() -> None:
    """After it is UP, the other server still serves its source."""
    good = trial()
    stray = [a for a in good.attempts if a.sent_ns < 22e9] + steady(22.1, 25, "b", home="a")
    judgement = judged(good.model_copy(update={"attempts": tuple(stray)}))
    assert judgement.outcome is Outcome.FAIL
    assert "1 of its 1 sources did not come back" in judgement.why


def test_no_source_of_the_broken_server_is_inconclusive() -> None:
    """No source was on it before, so none can come back."""
    good = trial()
    others = tuple(a for a in good.attempts if a.source == "127.16.0.98")
    assert judged(good.model_copy(update={"attempts": others})).outcome is Outcome.INCONCLUSIVE


def test_without_a_log_sources_cannot_be_placed() -> None:
    """The gate is about sources, so it is INCONCLUSIVE; what the state alone refutes is FAIL."""
    judgement = judged(trial(logged=False, said=()))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "kill: without a log its sources' servers are unknown"
    assert judgement.figures["rest_kill_sources_back"] is None
    assert judged(trial(up=23.0, logged=False, said=())).outcome is Outcome.FAIL


def test_unhealed_or_unproven_is_inconclusive() -> None:
    """The fault was not healed, or the deployment file describes no checks."""
    unhealed = (injected(healed_ns=0),)
    assert judged(trial(injected=unhealed)).outcome is Outcome.INCONCLUSIVE
    assert judged(trial(checks=None)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("check", [recovered_in_time, detected_in_time])
def test_lines_lost_by_chance_hide_nothing(check: Callable[[FaultTrials], Judgement]) -> None:
    """Clients send requests all the time: what the log does not show of one, it shows of others."""
    good = trial()
    found = check(FaultTrials(trials=(losing(good, lambda n, _: n % 7 == 3),)))
    assert found.outcome is check(FaultTrials(trials=(good,))).outcome is Outcome.PASS, found


@pytest.mark.parametrize("check", [recovered_in_time, detected_in_time])
def test_lines_lost_from_one_backend_are_inconclusive(check: Callable[[FaultTrials], Judgement]) -> None:
    """What the log does not show may have happened, also if it shows hardly anything."""
    doubted = trial().model_copy(update={"log_doubts": ("udp://x: 3 lines were lost",)})
    one = losing(doubted, lambda n, server: server == "a" and n % 2 == 0)
    most = losing(doubted, lambda n, _: n % 5 != 0)
    for evidence, why in ((one, "depends on the backend"), (most, "not in the log; udp://x: 3 lines")):
        judgement = check(FaultTrials(trials=(evidence,)))
        assert judgement.outcome is Outcome.INCONCLUSIVE, judgement
        assert why in judgement.why
    assert doubted.log_gap() is None
    assert losing(doubted, lambda n, _: True).log_gap() is None


def losing(evidence: FaultTrial, gone: Callable[[int, str | None], bool]) -> FaultTrial:
    """The trial without the lines of some requests, chosen by their number and server."""
    attempts = tuple(
        a.model_copy(update={"server": None}) if gone(n, a.server) else a
        for n, a in enumerate(evidence.attempts)
    )
    return evidence.model_copy(update={"attempts": attempts})


def test_where_no_source_has_a_server_it_must_get_requests_again() -> None:
    """`balance roundrobin`: a source that is elsewhere then is no failure; a server left out is one."""
    good = trial()
    turns = {"wanted": good.wanted.model_copy(update={"balance": {"rest": "roundrobin"}})}
    moved = tuple(
        a.model_copy(update={"server": "b" if a.sent_ns > at(23) else "a"}) if a.sent_ns > at(22) else a
        for a in good.attempts
    )
    assert judged(good.model_copy(update={"attempts": moved})).outcome is Outcome.FAIL
    judgement = judged(good.model_copy(update={"attempts": moved, **turns}))
    assert judgement.outcome is Outcome.PASS, judgement
    assert "; it got requests again and no request failed" in judgement.why
    never = tuple(
        a.model_copy(update={"server": "b"}) if a.sent_ns > at(21) and a.server else a
        for a in good.attempts
    )
    judgement = judged(good.model_copy(update={"attempts": never, **turns}))
    assert judgement.outcome is Outcome.FAIL
    assert "requests went to it after it was UP" in judgement.why


def test_each_of_two_proxies_has_its_own_line() -> None:
    """The slower proxy's line comes after the faster one's: the log does not disagree with the state."""
    good = trial()
    second = [c.model_copy(update={"proxy": "proxy-2"}) for c in good.changes]
    late = [c.model_copy(update={"seen_ns": c.seen_ns + at(1), "last_ns": c.last_ns + at(1)})
            if c.status == "DOWN" else c for c in second]  # fmt: skip
    said = [*good.said, *(line.model_copy(update={"received_ns": line.received_ns + at(1)})
                          for line in good.said if line.state == "DOWN")]  # fmt: skip
    both = good.model_copy(
        update={"proxies": ("proxy", "proxy-2"), "changes": (*good.changes, *late), "said": tuple(said)}
    )
    judgement = detected_in_time(FaultTrials(trials=(both,)))
    assert "disagree" not in judgement.why, judgement
