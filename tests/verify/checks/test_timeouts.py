"""Golden evidence for P5."""

from __future__ import annotations

from typing import Literal

from calorimeter.verdict import Outcome
from verify.checks.timeouts import Timeouts, Wait, What, timeouts_as_described


def wait(
    what: What, ended_s: float | None, mode: Literal["tcp", "http"] = "tcp", gave_up_s: float = 10.0
) -> Wait:
    """One wait on the REST API."""
    return Wait(api="rest", mode=mode, what=what, ended_s=ended_s, gave_up_s=gave_up_s, termination="cD")


def evidence(*waits: Wait, masked: dict[str, str] | None = None, **described: float) -> Timeouts:
    """Waits under described timeouts."""
    return Timeouts(
        described={name.replace("_", "-"): s for name, s in described.items()},
        waits=waits,
        masked=masked or {},
    )


def test_shortest_timeout_is_proven_and_the_longer_named_as_masked() -> None:
    """In mode tcp the shorter of client and server ends both waits; the other is masked."""
    judgement = timeouts_as_described(
        evidence(
            wait("silent", 2.0), wait("hung", 2.001), wait("connect", 1.0), client=2, server=3, connect=1
        )
    )
    assert judgement.outcome is Outcome.PASS
    assert "timeout client 2 s" in judgement.why
    assert "timeout server (3 s) is longer than timeout client" in judgement.why
    assert judgement.figures["masked"] == "server"
    assert judgement.figures["rest_silent_termination"] == "cD"


def test_mode_http_tells_client_and_server_apart() -> None:
    """In mode http each wait has its own timeout."""
    judgement = timeouts_as_described(
        evidence(
            wait("silent", 1.5, "http"), wait("upload", 2.0, "http"), client=3, server=2, http_request=1.5
        )
    )
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["masked"] == "client"


def test_too_early_fails() -> None:
    """A connection that was closed before the described time is the counter-example."""
    judgement = timeouts_as_described(evidence(wait("silent", 1.0), client=60, server=60))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "REST: a client that sends nothing was waited for 1.00 s (cD), timeout client is described as 60 s",
    )


def test_too_late_fails() -> None:
    """A connection that outlives the described time by more than the allowance is refuted."""
    assert timeouts_as_described(evidence(wait("silent", 3.5), client=2, server=2)).outcome is Outcome.FAIL
    still = wait("silent", None, gave_up_s=5.0)
    assert timeouts_as_described(evidence(still, client=2, server=2)).outcome is Outcome.FAIL


def test_late_timers_of_this_machine_are_allowed_for() -> None:
    """Where this machine's own timers were late, so may be what it saw."""
    late = evidence(wait("silent", 3.5), client=2, server=2).model_copy(update={"late_s": 0.6})
    assert timeouts_as_described(late).outcome is Outcome.PASS


def test_undescribed_timeouts_are_inconclusive() -> None:
    """Without descriptions there is nothing to judge by."""
    assert timeouts_as_described(evidence(wait("silent", 2.0))).outcome is Outcome.INCONCLUSIVE
    assert timeouts_as_described(evidence(wait("silent", 2.0), client=2)).outcome is Outcome.INCONCLUSIVE


def test_timeout_that_nothing_showed_is_inconclusive_unless_its_mask_is_named() -> None:
    """A described timeout that was not seen must have a reason."""
    made = wait("silent", 2.0)
    unseen = evidence(made, client=2, server=2, connect=10)
    assert timeouts_as_described(unseen).outcome is Outcome.INCONCLUSIVE
    named = evidence(
        made, masked={"connect": "is masked by the health checks"}, client=2, server=2, connect=10
    )
    judgement = timeouts_as_described(named)
    assert judgement.outcome is Outcome.PASS
    assert "timeout connect is masked by the health checks" in judgement.why


def test_wait_that_was_given_up_early_is_inconclusive() -> None:
    """A wait that was not watched until the latest moment tells nothing."""
    short = wait("silent", None, gave_up_s=1.0)
    assert timeouts_as_described(evidence(short, client=2, server=2)).outcome is Outcome.INCONCLUSIVE
