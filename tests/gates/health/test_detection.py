"""Golden evidence for H2, H3 and H4."""

from typing import Any

import pytest

from calorimeter.core.deployment import Checks
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.health.detection import detected_in_time
from calorimeter.gates.health.trial import CUT_OFF, REFUSED, Expectations, FaultTrial, FaultTrials
from tests.gates.health.trials import CHECKS, at, attempt, change, direct, injected, log_line, steady, trial


def judged(*trials: FaultTrial) -> Judgement:
    """The judgement on some trials."""
    return detected_in_time(FaultTrials(trials=trials))


def test_a_crash_within_its_bound_passes_with_what_clients_saw() -> None:
    """DOWN after 1.5 s of 2 s is PASS, with the outage in seconds, requests and sources."""
    judgement = judged(trial())
    assert judgement.outcome is Outcome.PASS, judgement.why
    figures = judgement.figures
    assert figures["rest_kill_detection_s"] == 1.5
    assert figures["rest_kill_bound_s"] == 2.0
    assert figures["rest_kill_log_detection_s"] == 1.48
    assert (figures["rest_kill_failed"], figures["rest_kill_sources_hit"]) == (6, 1)
    assert figures["rest_kill_outage_s"] == 1.26
    assert figures["rest_kill_sources_moved"] == 0


def test_later_than_the_bound_fails() -> None:
    """The bound, one check and 0.1 s make 2.104 s; 2.18 s are too late."""
    judgement = judged(trial(down=12.2))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == "a: kill: DOWN 2.18 s after the fault, the configuration allows 2.00 s"


def test_a_gap_between_polls_at_another_time_excuses_nothing() -> None:
    """Only polls between the fault and its detection show how late the proxy may have been."""
    early = ((at(2), at(6)),)
    assert judged(trial(down=12.5, largest_gap_ns=at(4), gaps=early)).outcome is Outcome.FAIL


def test_a_proxy_that_stood_still_is_inconclusive_only_as_far_as_that_explains() -> None:
    """2.48 s where 2.004 s are allowed: 0.6 s without an answer explain the delay, 0.3 s do not."""
    judgement = judged(trial(down=12.5, gaps=((at(11.5), at(12.1)),)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "was paused for 0.60 s" in judgement.why
    assert judged(trial(down=12.5, gaps=((at(11.5), at(11.8)),))).outcome is Outcome.FAIL


def test_within_the_measured_allowance_passes() -> None:
    """A detection that the bound, one check in progress and 100 ms of resolution explain is no failure."""
    assert judged(trial(down=12.05)).outcome is Outcome.PASS


def test_a_fault_at_an_unknown_time_is_late_only_if_its_command_explains_less() -> None:
    """2.48 s where 2.004 s are allowed: 0.5 s of a command explain them, 0.3 s do not."""
    cases: tuple[tuple[dict[str, Any], Outcome], ...] = (
        ({"exact": False, "ended_ns": at(10.5)}, Outcome.INCONCLUSIVE),
        ({"exact": False, "ended_ns": at(10.3)}, Outcome.FAIL),
        ({"exact": True, "by_ns": at(10.5)}, Outcome.INCONCLUSIVE),
        ({"exact": True, "ended_ns": at(10.5)}, Outcome.FAIL),
    )
    for more, outcome in cases:
        assert judged(trial(down=12.5, injected=(injected(**more),))).outcome is outcome, more
    inexact = injected(exact=False, ended_ns=at(10.5))
    assert judged(trial(down=12.0, injected=(inexact,))).outcome is Outcome.PASS
    why = judged(trial(down=12.5, injected=(inexact,))).why
    assert "but the fault was at some time within 0.50 s" in why


def test_never_down_fails_with_the_reason() -> None:
    """With the guide's file the proxy shows `no check` until the server was healed."""
    unchecked = trial(down=None, changes=(change(5, "no check", gap=5), change(5, "no check", "b", gap=5)))
    judgement = judged(unchecked)
    assert judgement.outcome is Outcome.FAIL
    assert "not detected within 10.0 s, the proxy shows 'no check'" in judgement.why
    assert "need the word `check`" in judgement.why


def test_a_bound_beyond_what_the_owner_wants_fails() -> None:
    """`fall 100` keeps its own bound, which is far beyond `max_detection_s`."""
    patient = Checks(inter_s=1.0, fall=100, rise=2, timeout_check_s=1.0)
    judgement = judged(trial(down=None, checks=patient))
    assert judgement.outcome is Outcome.FAIL
    assert (
        judgement.why == "a: kill: the configuration allows 100 s to detect it, but max_detection_s is 5 s"
    )


def test_a_fault_that_did_not_happen_is_inconclusive() -> None:
    """After a kill command that does nothing the backend still answers at its own address."""
    alive = tuple(direct(n, 300) for n in range(5, 20))
    judgement = judged(trial(down=None, injected=(injected(directs=alive),)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith("the fault did not happen: a answered 9 times at its own address")


def test_a_backend_out_of_reach_is_proven_broken_by_the_proxy_alone() -> None:
    """Without direct answers only a DOWN proves the fault."""
    unseen = (injected(directs=()),)
    assert judged(trial(injected=unseen)).outcome is Outcome.PASS
    assert judged(trial(down=None, injected=unseen)).outcome is Outcome.INCONCLUSIVE


def test_log_and_state_that_disagree_are_inconclusive() -> None:
    """The log reports DOWN half a second before the state did: one of the readers is wrong."""
    assert judged(trial(said=(log_line(11.0, "DOWN"),))).outcome is Outcome.INCONCLUSIVE
    assert judged(trial(said=())).outcome is Outcome.INCONCLUSIVE
    assert judged(trial(said=(), logged=False)).outcome is Outcome.PASS


def test_no_checks_described_is_inconclusive() -> None:
    """A fault was detected, but no bound can be computed."""
    assert judged(trial(checks=None)).outcome is Outcome.INCONCLUSIVE


def test_a_deployment_that_failed_before_the_fault_is_inconclusive() -> None:
    """After failures before the fault, or hardly any request, the fault cannot be judged."""
    good = trial()
    failing = good.model_copy(update={"attempts": (*good.attempts, attempt(3, status=0))})
    assert "failed before the fault" in judged(failing).why
    few = good.model_copy(update={"attempts": tuple(a for a in good.attempts if a.sent_ns > at(8))})
    assert judged(few).outcome is Outcome.INCONCLUSIVE
    assert judged(good.model_copy(update={"injected": ()})).outcome is Outcome.INCONCLUSIVE


def test_failures_after_the_detection_fail() -> None:
    """Once it is DOWN, the other servers must serve its clients."""
    good = trial()
    late = good.model_copy(update={"attempts": (*good.attempts, attempt(15, status=503))})
    judgement = judged(late)
    assert judgement.outcome is Outcome.FAIL
    assert "1 requests failed after it was DOWN (127.16.0.98: status 503)" in judgement.why


@pytest.mark.parametrize(("cut", "outcome"), [(True, Outcome.FAIL), (False, Outcome.PASS)])
def test_hung_sessions_fail_only_if_they_should_be_cut(cut: bool, outcome: Outcome) -> None:
    """A request stays on a frozen server long after it is DOWN."""
    frozen = trial(down=13.5, fault="freeze", injected=(injected("freeze"),))
    hung = attempt(11, "a", took=9.2, status=300)
    frozen = frozen.model_copy(
        update={
            "attempts": (*frozen.attempts, hung),
            "wanted": Expectations(max_detection_s=5.0, cut_sessions=cut),
        }
    )
    judgement = judged(frozen)
    assert judgement.outcome is outcome, judgement.why
    if cut:
        assert "on-marked-down shutdown-sessions" in judgement.why


def test_connections_being_made_are_not_sessions_to_be_cut() -> None:
    """If packets vanish, a connection that is being made ends by `timeout connect`."""
    gone = trial(down=13.5, fault="unreachable", injected=(injected("unreachable"),))
    more: dict[str, Any] = {"took": 9.2, "status": 300}
    making = gone.model_copy(update={"attempts": (*gone.attempts, attempt(11, "a", **more))})
    assert judged(making).outcome is Outcome.PASS
    kept = gone.model_copy(update={"attempts": (*gone.attempts, attempt(11, "a", kept=True, **more))})
    assert judged(kept).outcome is Outcome.FAIL


def test_sources_that_moved_needlessly_are_counted() -> None:
    """A source of a healthy server was sent to another one while the failed one was DOWN."""
    three = trial(backends={"rest_api_proxy": ("a", "b", "c")})
    stray = steady(12, 14, "c", home="b")
    judgement = judged(three.model_copy(update={"attempts": (*three.attempts, *stray)}))
    assert judgement.figures["rest_kill_sources_moved"] == 1


def test_every_trial_counts() -> None:
    """One refuted trial refutes the gate."""
    refused = trial(
        down=None, up=None, fault="refuse-checks", injected=(injected("refuse-checks"),), checks=CHECKS
    )
    judgement = judged(trial(), refused)
    assert judgement.outcome is Outcome.FAIL
    assert "not /healthcheck" in judgement.why


def forgotten(waited_s: float, error: str = CUT_OFF, directs: bool = True) -> FaultTrial:
    """A crash after which one of a's clients, sent before DOWN, still waits when the trial ends."""
    usual = injected().direct
    refusing = tuple(d if d.status else d.model_copy(update={"error": REFUSED}) for d in usual)
    source = f"127.16.0.{ord('a')}"
    left = attempt(11.0, source=source, server=None, took=waited_s, status=0, error=error)
    crashed = trial(injected=(injected(directs=refusing if directs else usual),))
    return crashed.model_copy(update={"attempts": (*crashed.attempts, left)})


def test_a_client_that_is_never_answered_nor_closed_fails() -> None:
    """HAProxy 3.0.11 leaves a client waiting that is between two attempts when its server goes DOWN."""
    judgement = judged(forgotten(12.0))
    assert judgement.outcome is Outcome.FAIL
    assert "1 of 6 requests that came before it was DOWN got neither an answer nor an end" in judgement.why
    assert "in up to 12.0 s; HAProxy's attempts take 4 s at most" in judgement.why
    assert judgement.figures["rest_kill_forgotten"] == 1


@pytest.mark.parametrize(
    ("waited_s", "error", "directs"),
    [
        (6.0, CUT_OFF, True),  # the attempts may go on
        (12.0, "closed without an answer", True),
        (12.0, CUT_OFF, False),  # an attempt may take `timeout connect`: it is not known to be refused
    ],
)
def test_a_client_that_may_still_be_tried_or_was_closed_passes(
    waited_s: float, error: str, directs: bool
) -> None:
    """Only where attempts are refused at once is it known when they are over."""
    judgement = judged(forgotten(waited_s, error, directs))
    assert judgement.outcome is Outcome.PASS, judgement.why


def test_a_slow_client_of_another_server_is_not_forgotten() -> None:
    """Its own server may be slow."""
    crashed = forgotten(12.0)
    *others, left = crashed.attempts
    slow = left.model_copy(update={"source": f"127.16.0.{ord('b')}"})
    assert judged(crashed.model_copy(update={"attempts": (*others, slow)})).outcome is Outcome.PASS


def _slow(took_s: float, check_s: float) -> FaultTrial:
    """Server a answers so late, while its checks wait for so long; the proxy shows UP."""
    late = steady(11, 19, "a", took=took_s)
    others = [*steady(0, 10, "a"), *late, *steady(0, 25, "b")]
    patient = Checks(inter_s=1.0, fall=2, rise=2, timeout_check_s=check_s)
    return trial(
        down=None, fault="slow", checks=patient, attempts=tuple(others), injected=(injected("slow"),),
        wanted=Expectations(max_detection_s=60.0, max_recovery_s=60.0),
    )  # fmt: skip


def test_answers_that_come_before_a_check_gives_up_are_nothing_to_detect() -> None:
    """3 s are no failure for checks that wait 10 s, as kolla's do; for checks that wait 2 s they are."""
    tolerated = judged(trial(), _slow(3.0, 10.0))
    assert tolerated.outcome is Outcome.PASS, tolerated.why
    assert tolerated.why.endswith("slow servers answered within 3.0 s, which their checks allow")
    assert judged(trial(), _slow(3.0, 2.0)).outcome is Outcome.FAIL


def test_a_server_without_checks_is_not_excused_for_being_slow() -> None:
    """Nor is one whose clients show no late answer."""
    unchecked = (change(5, "no check", gap=5), change(5, "no check", "b", gap=5))
    bad = _slow(3.0, 10.0).model_copy(update={"changes": unchecked})
    assert judged(bad).outcome is Outcome.FAIL
    unseen = _slow(3.0, 10.0).model_copy(update={"attempts": tuple(steady(0, 25, "b"))})
    assert judged(unseen).outcome is Outcome.FAIL
