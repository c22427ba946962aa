"""Golden evidence for H5."""

from calorimeter.verdict import Judgement, Outcome
from tests.verify.checks.trials import attempt, injected, steady, trial
from verify.checks.recovery import recovered_in_time
from verify.checks.trial import Trial, Trials, Wanted


def judged(*trials: Trial) -> Judgement:
    """The judgement on some trials."""
    return recovered_in_time(Trials(trials=trials))


def test_a_recovery_within_its_bound_passes() -> None:
    """UP 1.4 s after it served again, its source back on it: PASS."""
    judgement = judged(trial())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["rest_kill_recovery_s"] == 1.4
    assert judgement.figures["rest_kill_recovery_bound_s"] == 2.0
    assert judgement.figures["rest_kill_sources_back"] == 1


def test_later_than_the_bound_fails() -> None:
    """2.5 s, where downinter + fastinter, two checks and two looks make 2.13."""
    judgement = judged(trial(up=23.0))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == (
        "a: kill: UP only 2.50 s after it served again, its configuration promises 2.13 s"
    )


def test_never_up_again_fails() -> None:
    """It serves, and the proxy does not notice."""
    judgement = judged(trial(up=None))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == "a: kill: not UP 4.5 s after it served again"


def test_never_taken_out_fails() -> None:
    """What was never DOWN was met broken by its clients."""
    assert "never taken out of service" in judged(trial(down=None)).why
    assert judged(trial(down=None)).outcome is Outcome.FAIL


def test_a_bound_beyond_what_the_owner_wants_fails() -> None:
    """The configuration allows 2 s, wanted is 1."""
    assert judged(trial(wanted=Wanted(max_recovery_s=1.0))).outcome is Outcome.FAIL


def test_an_error_on_the_way_back_fails() -> None:
    """A request that failed after the healing had begun."""
    good = trial()
    judgement = judged(good.model_copy(update={"attempts": (*good.attempts, attempt(21, status=0))}))
    assert judgement.outcome is Outcome.FAIL
    assert "1 requests failed while it returned" in judgement.why


def test_sources_that_do_not_come_back_fail() -> None:
    """After it is UP its source is still served by the other."""
    good = trial()
    stray = [a for a in good.attempts if a.sent_ns < 22e9] + steady(22.1, 25, "b", home="a")
    judgement = judged(good.model_copy(update={"attempts": tuple(stray)}))
    assert judgement.outcome is Outcome.FAIL
    assert "1 of its 1 sources did not come back" in judgement.why


def test_no_source_of_the_broken_server_is_inconclusive() -> None:
    """Nobody was on it before: nobody can come back."""
    good = trial()
    others = tuple(a for a in good.attempts if a.source == "127.16.0.98")
    assert judged(good.model_copy(update={"attempts": others})).outcome is Outcome.INCONCLUSIVE


def test_unhealed_or_unproven_is_inconclusive() -> None:
    """A fault that was not healed, or for which no bound is described."""
    unhealed = (injected(healed_ns=0),)
    assert judged(trial(injected=unhealed)).outcome is Outcome.INCONCLUSIVE
    assert judged(trial(checks=None)).outcome is Outcome.INCONCLUSIVE
