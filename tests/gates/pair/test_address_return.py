"""Golden evidence for V2."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.pair.address_return import address_returns_as_configured
from calorimeter.gates.pair.pair_trial import PairTrial, PairTrials, Served
from tests.gates.pair.pair_trials import BACK, at, attempt, holding, steady, trial, trials


def judged(*given: PairTrial) -> Judgement:
    """The judgement on some trials."""
    return address_returns_as_configured(trials(*given))


def test_an_address_that_stays_as_configured_passes() -> None:
    """`nopreempt`: the healed proxy leaves it where it is."""
    judgement = judged(trial())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert "stayed where it was as configured, 1 times; of 239 requests" in judgement.why
    assert judgement.figures["host_unreachable_returns"] is False


def test_an_address_that_returns_as_configured_passes() -> None:
    """`preempt`: 2 s of its check and 3.602 s; a request in flight at the move is cut, and not judged."""
    cut = attempt(24.98, 0, took=0.1)
    back = trial(returned=25.0, vrrp=BACK)
    judgement = judged(back.model_copy(update={"attempts": (*back.attempts, cut)}))
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["host_unreachable_returned_s"] == 5.0
    assert judgement.figures["host_unreachable_return_bound_s"] == 5.602
    assert judgement.figures["host_unreachable_back_cut"] == 1


def test_what_a_proxy_served_before_the_fault_is_no_return() -> None:
    """Its counters cannot be read while it is cut off: the first poll after the healing counts it."""
    back = trial(returned=25.0, vrrp=BACK)
    first = Served(proxy="p1", since_ns=at(9.9), seen_ns=at(20.2), connections=2)
    judgement = judged(back.model_copy(update={"served": (first, *back.served)}))
    assert judgement.figures["host_unreachable_returned_s"] == 5.0


def test_a_late_return_fails() -> None:
    """5.602 s and the time between two polls are allowed."""
    judgement = judged(trial(returned=26.0, vrrp=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert "returned 6.00 s after it was healed, its settings allow 5.60 s" in judgement.why


def test_a_return_that_was_not_configured_fails() -> None:
    """With `nopreempt`, and with a lower priority."""
    judgement = judged(trial(returned=25.0))
    assert judgement.outcome is Outcome.FAIL
    assert "went from p2 to p1, although p1 has `nopreempt`" in judgement.why
    lower = {"p1": BACK["p1"].model_copy(update={"priority": 90}), "p2": BACK["p2"]}
    assert "although p1 has a lower priority" in judged(trial(returned=25.0, vrrp=lower)).why


def test_a_return_that_does_not_take_place_fails() -> None:
    """The owner wants the first proxy back."""
    judgement = judged(trial(vrrp=BACK))
    assert judgement.outcome is Outcome.FAIL
    assert "healed p1 did not take the address back from p2" in judgement.why


def test_clients_sent_to_a_proxy_that_cannot_serve_fail_with_the_remedy() -> None:
    """It answers 503 until its own checks are up."""
    back = trial(returned=21.0, vrrp=BACK)
    bad = (*steady(5, 10), *steady(13, 21), *steady(21.2, 22.5, 503), *steady(22.5, 32))
    judgement = judged(back.model_copy(update={"attempts": bad}))
    assert judgement.outcome is Outcome.FAIL
    assert (
        "26 of 235 requests failed within 1.3 s when p1 was back (127.16.0.1: status 503)" in judgement.why
    )
    assert "its servers UP (up to 3 s); `nopreempt`, or a `preempt_delay` that is longer" in judgement.why


def test_two_holders_after_the_healing_fail() -> None:
    """Both believe that the other one is gone."""
    judgement = judged(trial(holding=(*holding(7, "p1"), *holding(31, "p1", "p2"))))
    assert judgement.outcome is Outcome.FAIL
    assert "P1: unreachable was healed, and p1 and p2 had the address at once" in judgement.why


def test_an_address_that_never_left_is_inconclusive() -> None:
    """That it does not move is V1's matter. So is what the settings do not say."""
    judgement = judged(trial(moved=None))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "did not leave p1, so it cannot return (V1)" in judgement.why
    assert judged(trial(vrrp={})).outcome is Outcome.INCONCLUSIVE
    assert judged(trial(attempts=tuple(steady(13, 32)))).outcome is Outcome.INCONCLUSIVE


def test_one_proxy_is_not_run() -> None:
    """There is nothing that could return."""
    evidence = PairTrials(proxies=("p1",), lacks="there is no pair of proxies")
    assert address_returns_as_configured(evidence).outcome is Outcome.NOT_RUN
