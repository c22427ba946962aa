"""Golden evidence for V1."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.pair.pair_trial import PairTrial, PairTrials
from calorimeter.gates.pair.takeover import address_moves_in_time
from tests.gates.pair.pair_trials import (
    BACK,
    STAYS,
    at,
    attempt,
    fault,
    holding,
    served,
    steady,
    trial,
    trials,
)


def judged(*given: PairTrial) -> Judgement:
    """The judgement on some trials."""
    return address_moves_in_time(trials(*given))


def test_a_move_within_its_bound_passes_with_what_clients_saw() -> None:
    """3 announcements and a skew of 155/256 s make 3.605 s; clients were without an answer for 3 s."""
    judgement = judged(trial())
    assert judgement.outcome is Outcome.PASS, judgement.why
    figures = judgement.figures
    assert figures["host_unreachable_moved_s"] == 3.01
    assert figures["host_unreachable_bound_s"] == 3.605
    assert figures["host_unreachable_failed"] == 59
    assert figures["host_unreachable_gap_s"] == 3.05
    assert "host unreachable: the virtual address moved within its bound each time" in judgement.why


def test_later_than_the_bound_fails() -> None:
    """3.605 s, 0.05 s between two answers and 0.1 s are allowed."""
    assert judged(trial(moved=13.7)).outcome is Outcome.PASS
    judgement = judged(trial(moved=13.9))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == (
        "P1: unreachable: the address moved 3.91 s after it, its VRRP settings allow 3.61 s"
    )


def test_a_dead_proxy_has_the_time_of_its_check_too() -> None:
    """Two refused checks, a second apart."""
    killed = fault("proxy", "kill")
    assert judged(trial(moved=15.5, fault=killed)).outcome is Outcome.PASS
    assert judged(trial(moved=16, fault=killed)).outcome is Outcome.FAIL


def test_a_paused_machine_is_inconclusive_as_far_as_that_explains() -> None:
    """Its clients sent late, and may have been answered in time otherwise."""
    good = trial(moved=13.9)
    late = attempt(13.85, 0).model_copy(update={"due_ns": at(13.6)})
    judgement = judged(good.model_copy(update={"attempts": (*good.attempts, late)}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "but this machine was paused for 0.25 s in that time" in judgement.why
    far = trial(moved=14.5)
    assert judged(far.model_copy(update={"attempts": (*far.attempts, late)})).outcome is Outcome.FAIL


def test_a_fault_takes_effect_when_the_answers_end() -> None:
    """Its command began at 10 s and ended at 15 s: p1 answered until 10.26 s, as p2's counters tell."""
    long = fault(ended_ns=at(15))
    assert judged(trial(fault=long)).figures["host_unreachable_moved_s"] == 3.01
    dying = (*steady(5, 10.3), *steady(10.3, 13, 0), *steady(13, 32))
    judgement = judged(trial(fault=long, attempts=dying))
    assert judgement.figures["host_unreachable_moved_s"] == 2.75


def test_a_weight_that_is_too_small_is_named() -> None:
    """p1 keeps 102 − 1 = 101, which is not below p2's 101; with 20 the address moves."""
    for weight, moves in ((-1, False), (-20, True)):
        weighted = {name: each.model_copy(update={"check_weight": weight}) for name, each in BACK.items()}
        killed = trial(moved=13.5 if moves else None, vrrp=weighted, fault=fault("proxy", "kill"))
        judgement = judged(killed)
        assert judgement.outcome is (Outcome.PASS if moves else Outcome.FAIL), judgement.why
        named = (
            "a failed check (`weight`) leaves p1 the priority 101; the address moves to a proxy with "
            "`preempt` and a higher one only (p2 101)"
        )
        assert (named in judgement.why) is not moves


def test_an_address_that_does_not_move_fails_with_the_reason() -> None:
    """keepalived that does not ask its proxy goes on announcing."""
    unasked = {name: each.model_copy(update={"check_interval_s": None}) for name, each in STAYS.items()}
    judgement = judged(trial(moved=None, vrrp=unasked, fault=fault("proxy", "kill")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == (
        "p1: kill: no request was answered in the 10.0 s after it: keepalived of p1 does not ask whether "
        "its proxy works (`vrrp_script` and `track_script`)"
    )


def test_a_bound_beyond_what_the_owner_wants_fails() -> None:
    """Even if this once it was quicker."""
    judgement = judged(trial(max_failover_s=3.0))
    assert judgement.outcome is Outcome.FAIL
    assert "allow 3.61 s, but max_failover_s is 3 s" in judgement.why


def test_without_settings_it_is_inconclusive() -> None:
    """The move was seen; nothing says how long it may take."""
    judgement = judged(trial(vrrp={"p1": STAYS["p1"]}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "p2 has no [proxy.vrrp]" in judgement.why


def test_two_holders_before_the_fault_fail() -> None:
    """By the addresses of their hosts; or because clients got more answers than one proxy gave."""
    both = judged(trial(holding=tuple(holding(7, "p1", "p2"))))
    assert both.outcome is Outcome.FAIL
    assert both.why.startswith("p1 and p2 had the virtual address at once before P1: unreachable")
    shared = (*served("p1", 5, 10, 1), *served("p2", 5, 10, 1), *served("p2", 13, 32))
    assert judged(trial(served=shared, holding=())).outcome is Outcome.FAIL
    # Somebody else asks p2 at its own address: all of ours are accounted for by p1.
    others = (*served("p1", 5, 10), *served("p2", 5, 10, 1), *served("p2", 13, 32))
    assert judged(trial(served=others, holding=())).outcome is Outcome.PASS


def test_failures_after_the_move_fail() -> None:
    """The proxy that took the address cannot serve."""
    bad = (*steady(5, 10), *steady(13, 14), *steady(14, 20, 503), *steady(20, 32))
    judgement = judged(trial(attempts=bad))
    assert judgement.outcome is Outcome.FAIL
    assert "120 of 139 requests failed after the move (127.16.0.1: status 503)" in judgement.why


def test_failures_before_the_fault_and_no_clients_are_inconclusive() -> None:
    """Nothing is known of a deployment that was not healthy; a violation of another trial stays one."""
    unhealthy = trial(attempts=(*steady(5, 10), attempt(9, 503), *steady(13, 32)))
    assert judged(unhealthy).outcome is Outcome.INCONCLUSIVE
    assert "1 of 101 requests failed before the fault" in judged(unhealthy).why
    assert judged(trial(attempts=tuple(steady(13, 32)))).outcome is Outcome.INCONCLUSIVE
    assert judged().outcome is Outcome.INCONCLUSIVE
    assert judged(unhealthy, trial(moved=14.5)).outcome is Outcome.FAIL


def test_one_proxy_is_not_run() -> None:
    """There is nothing that could move."""
    judgement = address_moves_in_time(PairTrials(proxies=("p1",), lacks="there is no pair of proxies"))
    assert (judgement.outcome, judgement.why) == (Outcome.NOT_RUN, "there is no pair of proxies")
