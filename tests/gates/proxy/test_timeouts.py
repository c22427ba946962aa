"""Golden evidence for P5."""

from __future__ import annotations

import pytest

from calorimeter.core.deployment import Checks
from calorimeter.core.verdict import Outcome
from calorimeter.gates.proxy.timeouts import (
    MEANS,
    Mode,
    TimeoutWait,
    TimeoutWaits,
    WaitKind,
    masked_by_checks,
    timeouts_as_described,
)


def wait(
    what: WaitKind, ended_s: float | None, mode: Mode = "tcp", gave_up_s: float = 10.0, api: str = "rest"
) -> TimeoutWait:
    """One wait, on the REST API by default."""
    return TimeoutWait(
        api=api, mode=mode, what=what, ended_s=ended_s, gave_up_s=gave_up_s, termination="cD"
    )


def evidence(
    *waits: TimeoutWait, masked: dict[str, dict[str, str]] | None = None, **described: float
) -> TimeoutWaits:
    """Waits under described timeouts."""
    return TimeoutWaits(
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
    assert judgement.figures["rest_masked"] == "server"
    assert judgement.figures["rest_silent_termination"] == "cD"


def test_mode_http_separates_client_and_server() -> None:
    """In mode http each wait has its own timeout."""
    judgement = timeouts_as_described(
        evidence(
            wait("silent", 1.5, "http"), wait("upload", 2.0, "http"), client=3, server=2, http_request=1.5
        )
    )
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_masked"] == "client"


def test_too_early_fails() -> None:
    """A connection that was closed before the described time is the counter-example."""
    judgement = timeouts_as_described(evidence(wait("silent", 1.0), client=60, server=60))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "REST: a client that sends nothing: ended after 1.00 s (cD), but timeout client is described as 60 "
        "s",
    )


def test_too_late_fails() -> None:
    """A connection that outlives the described time by more than the allowance is refuted."""
    assert timeouts_as_described(evidence(wait("silent", 3.5), client=2, server=2)).outcome is Outcome.FAIL
    still = wait("silent", None, gave_up_s=5.0)
    assert timeouts_as_described(evidence(still, client=2, server=2)).outcome is Outcome.FAIL


def test_wait_that_is_late_by_no_more_than_timers_were_proves_nothing() -> None:
    """It may be a late timer or a longer timeout; up to a second late, it is no other timeout."""
    late = evidence(wait("silent", 3.5), client=2, server=2).model_copy(update={"late_s": 0.6})
    judgement = timeouts_as_described(late)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "a client that sends nothing: ended after 3.50 s, timeout client is described as 2 s, and "
        "timers were up to 0.60 s late during the waits"
    )
    good = evidence(wait("silent", 2.9), client=2, server=2).model_copy(update={"late_s": 0.6})
    assert timeouts_as_described(good).outcome is Outcome.PASS


def test_time_before_the_start_may_have_counted_for_the_timer() -> None:
    """The proxy's timer runs from accept; this machine may stand still before it reads its clock."""
    made = wait("silent", 1.9)
    assert timeouts_as_described(evidence(made, client=2, server=2)).outcome is Outcome.FAIL
    slow = made.model_copy(update={"begun_s": 0.1})
    assert timeouts_as_described(evidence(slow, client=2, server=2)).outcome is Outcome.PASS
    stood = wait("silent", 0.2).model_copy(update={"begun_s": 2.5})
    judgement = timeouts_as_described(evidence(stood, client=2, server=2))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "a client that sends nothing: ended after 0.20 s, timeout client is described as 2 s, and "
        "2.50 s passed before it started"
    )


@pytest.mark.parametrize(
    "made",
    [
        wait("silent", 1.0).model_copy(update={"termination": "SD"}),
        wait("hung", 1.0).model_copy(update={"termination": "--"}),
        wait("hung", 1.0).model_copy(update={"termination": None, "ended_by": "HTTP/1.1 408 Timeout"}),
        wait("upload", 0.1, "http").model_copy(
            update={"termination": None, "ended_by": "HTTP/1.1 400 Bad Request"}
        ),
    ],
)
def test_wait_that_the_api_ended_says_nothing_of_the_proxy(made: TimeoutWait) -> None:
    """A web server before Heat has its own, shorter timeouts; that those fire is no fault of the proxy."""
    judgement = timeouts_as_described(evidence(made, client=60, server=60))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    if made.mode == "tcp":  # one wait shows both timeouts
        assert judgement.why.startswith("no timeout was observed to fire: proven: none; masked: timeout ")
        assert f"(60 s) is masked by the API, which ends {MEANS[made.what]} after" in judgement.why
    late = made.model_copy(update={"ended_s": 90.0})
    assert timeouts_as_described(evidence(late, client=60, server=60)).outcome is Outcome.FAIL


def test_an_api_that_gives_up_first_masks_the_proxys_timeout() -> None:
    """uWSGI waits 4 s for a body: what else was seen to fire stands, and the rest is said."""
    early = wait("upload", 4.09, "http").model_copy(update={"termination": "CD--"})
    request = wait("silent", 10.0, "http").model_copy(update={"termination": "cR--"})
    made = evidence(request, early, **{"http-request": 10, "client": 60, "server": 60})
    judgement = timeouts_as_described(made)
    assert judgement.outcome is Outcome.PASS
    assert (
        "timeout server (60 s) is masked by the API, which ends a client whose request body is never"
        in (judgement.why)
    )
    assert judgement.figures["rest_masked"] == "client, server"


def test_undescribed_timeouts_are_inconclusive() -> None:
    """Without described timeouts there is no bound to judge by."""
    assert timeouts_as_described(evidence(wait("silent", 2.0))).outcome is Outcome.INCONCLUSIVE
    assert timeouts_as_described(evidence(wait("silent", 2.0), client=2)).outcome is Outcome.INCONCLUSIVE


def test_timeout_that_nothing_showed_is_inconclusive_unless_its_mask_is_named() -> None:
    """A described timeout that was not seen must have a reason."""
    made = wait("silent", 2.0)
    unseen = evidence(made, client=2, server=2, connect=10)
    assert timeouts_as_described(unseen).outcome is Outcome.INCONCLUSIVE
    named = evidence(
        made, masked={"rest": {"connect": "is masked by the health checks"}}, client=2, server=2, connect=10
    )
    judgement = timeouts_as_described(named)
    assert judgement.outcome is Outcome.PASS
    assert "timeout connect is masked by the health checks" in judgement.why


def test_apis_are_named_if_they_differ() -> None:
    """What one API showed proves nothing about the other: each section may have its own timeouts."""
    rest = (wait("silent", 2.0), wait("connect", 1.0))
    half = evidence(*rest, wait("silent", 2.0, api="cfn"), client=2, server=3, connect=1)
    judgement = timeouts_as_described(half)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "timeout connect was not observed to fire, for an unknown reason"
    told = half.model_copy(update={"masked": {"cfn": {"connect": "is not proven: it may not be broken"}}})
    judgement = timeouts_as_described(told)
    assert judgement.outcome is Outcome.PASS
    assert judgement.why.startswith("REST: proven: timeout client 2 s, timeout connect 1 s; masked: ")
    assert "; CFN: proven: timeout client 2 s; masked: timeout connect is not proven" in judgement.why
    assert judgement.figures["cfn_masked"] == "connect, server"
    assert judgement.figures["connections"] == 3


def test_apis_with_the_same_proof_share_a_sentence() -> None:
    """Neither is named."""
    judgement = timeouts_as_described(
        evidence(wait("silent", 2.0), wait("silent", 2.0, api="cfn"), client=2, server=3)
    )
    assert judgement.why.startswith("proven: timeout client 2 s; masked: timeout server (3 s)")


def test_wait_that_could_not_be_made_is_inconclusive() -> None:
    """It masks nothing, and what the other waits refute stays refuted."""
    why = "heat_api: 9 of 40 sources are on more than one backend: none can be sent to rest-3"
    missed = {"missed": {"rest": (why,)}}
    good = evidence(wait("silent", 2.0), client=2, server=2, connect=1).model_copy(update=missed)
    judgement = timeouts_as_described(good)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == why
    early = evidence(wait("silent", 1.0), client=2, server=2, connect=1).model_copy(update=missed)
    assert timeouts_as_described(early).outcome is Outcome.FAIL


def test_timeout_of_the_other_mode_is_not_expected_of_an_api() -> None:
    """`http-request` does not apply in `mode tcp`, even if the other API's section is `mode http`."""
    tcp, http = wait("silent", 2.0), wait("silent", 1.0, "http", api="cfn")
    judgement = timeouts_as_described(evidence(tcp, http, client=2, server=2, http_request=1))
    assert judgement.outcome is Outcome.INCONCLUSIVE  # CFN's `server` was not seen
    http_upload = wait("upload", 2.0, "http", api="cfn")
    judgement = timeouts_as_described(evidence(tcp, http, http_upload, client=2, server=2, http_request=1))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_proven"] == "client"
    assert judgement.figures["cfn_proven"] == "http-request, server"


def test_wait_that_was_given_up_early_is_inconclusive() -> None:
    """A wait that was not watched until the latest moment proves nothing."""
    short = wait("silent", None, gave_up_s=1.0)
    assert timeouts_as_described(evidence(short, client=2, server=2)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("fault", "timeout_s", "why"),
    [
        # inter 2 + fall 3 · min(connect, inter) + 2 · 2; `timeout check` begins with the connection
        (
            "unreachable",
            12,
            "(12 s) is masked by the health checks, which mark the server DOWN within 12 s",
        ),
        ("unreachable", 10, "(10 s) and the health checks (2 to 12 s) race"),
        ("unreachable", 2, None),
        ("freeze", 12, "(12 s) and the health checks (2 to 36 s) race"),
        ("freeze", 36, "(36 s) is masked by the health checks, which mark the server DOWN within 36 s"),
    ],
)
def test_health_checks_mask_by_the_bound_of_the_fault(
    fault: str, timeout_s: float, why: str | None
) -> None:
    """An unreachable backend is taken out sooner than a frozen one: its checks fail at the connection."""
    checks = Checks(inter_s=2, fall=3, timeout_check_s=10, timeout_connect_s=10)
    assert masked_by_checks(checks, fault, timeout_s) == why


def test_health_checks_may_fail_within_their_interval() -> None:
    """With `fall 1` a fault just before a check is detected after one failed check."""
    checks = Checks(inter_s=10, fall=1, timeout_check_s=2)
    assert masked_by_checks(checks, "freeze", 5) == "(5 s) and the health checks (2 to 12 s) race"
    assert masked_by_checks(None, "freeze", 5) == (
        "may be masked by the health checks, which [[proxy]] does not describe"
    )
