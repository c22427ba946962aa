"""Golden evidence for H6, H7, H8 and H9."""

from typing import Any

from calorimeter.core.verdict import Outcome
from calorimeter.gates.health.service import (
    back_by_itself,
    cut_off_goes_down,
    drain_unnoticed,
    rolling_restart_unnoticed,
)
from calorimeter.gates.health.trial import FaultTrial
from tests.gates.health.trials import HEALED, S, attempt, change, direct, injected, steady, trial

BOTH_UP = (change(5, "UP", gap=5), change(5, "UP", "b", gap=5))


def drain(*more: Any, shown: bool = True) -> FaultTrial:
    """Server a is drained from 10 to 20; its clients go to b during that time."""
    changes = (*BOTH_UP, change(10.1, "DRAIN"), change(20.1, "UP")) if shown else BOTH_UP
    attempts = (
        *steady(0, 10, "a"), *steady(10.2, 20, "b", home="a"), *steady(20.2, 25, "a"),
        *steady(0, 25, "b"), *more,
    )  # fmt: skip
    return trial(fault="drain", injected=(injected("drain", ()),), changes=changes, attempts=attempts)


def test_a_drain_without_errors_passes() -> None:
    """No new connection goes to the drained server, and no request fails."""
    judgement = drain_unnoticed(drain())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["rest_failed"] == 0


def test_a_failed_request_or_a_new_connection_on_a_drained_server_fails() -> None:
    """Either refutes a clean drain; a keep-alive client's loss is only counted."""
    assert drain_unnoticed(drain(attempt(15, status=0))).outcome is Outcome.FAIL
    assert "new connections still went to it" in drain_unnoticed(drain(attempt(15, "a"))).why
    kept = drain_unnoticed(drain(attempt(15, "a", status=0, kept=True)))
    assert kept.outcome is Outcome.PASS
    assert kept.figures["rest_kept_alive_failed"] == 1


def test_a_drain_that_was_not_seen_is_inconclusive() -> None:
    """The proxy never showed DRAIN."""
    assert drain_unnoticed(drain(shown=False)).outcome is Outcome.INCONCLUSIVE


def rolling(*more: Any, servers: str = "ab") -> FaultTrial:
    """Servers are stopped in turn."""
    stops = tuple(injected("stop", server=server) for server in servers)
    attempts = (*steady(0, 25, "a"), *steady(0, 25, "b"), *more)
    return trial(fault="rolling restart", injected=stops, changes=BOTH_UP, attempts=attempts)


def test_a_rolling_restart_is_judged_by_its_failures_and_its_extent() -> None:
    """No failure is PASS, one is FAIL; a server left out, or one that never stopped, is INCONCLUSIVE."""
    assert rolling_restart_unnoticed(rolling()).outcome is Outcome.PASS
    assert rolling_restart_unnoticed(rolling(attempt(15, status=0))).outcome is Outcome.FAIL
    assert rolling_restart_unnoticed(rolling(servers="a")).outcome is Outcome.INCONCLUSIVE
    alive = injected("stop", tuple(direct(n, 300) for n in range(5, 20)))
    never = rolling().model_copy(update={"injected": (alive, injected("stop", server="b"))})
    assert rolling_restart_unnoticed(never).outcome is Outcome.INCONCLUSIVE


def test_a_restart_that_nothing_proves_is_inconclusive() -> None:
    """If servers cannot be reached at their own addresses, nothing proves that they stopped."""
    unseen = tuple(injected("stop", (), server=server) for server in "ab")
    judgement = rolling_restart_unnoticed(rolling().model_copy(update={"injected": unseen}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "nothing proves that 'stop' happened: a cannot be reached at its own address"


def dead(*more: Any, took: float = 2.0, back: bool = True) -> FaultTrial:
    """Both servers die at 10, are DOWN at 11.5, serve again at 20.5 and are UP at 22."""
    changes = [*BOTH_UP, change(11.5, "DOWN"), change(11.5, "DOWN", "b")]
    if back:
        changes += [change(22, "UP"), change(22, "UP", "b")]
    attempts = (
        *steady(0, 10, "a"), *steady(0, 10, "b"), *steady(10.2, 20, "a", status=0, took=took),
        *steady(22.1, 25, "a"), *more,
    )  # fmt: skip
    both = (injected("kill"), injected("kill", server="b"))
    return trial(injected=both, changes=tuple(changes), attempts=attempts)


def test_errors_in_time_and_service_back_passes() -> None:
    """Clients got an error after 2 s, and are served when the servers are UP."""
    judgement = back_by_itself(dead())
    assert judgement.outcome is Outcome.PASS, judgement.why
    assert judgement.figures["rest_back_after_s"] == 1.5


def test_a_hang_an_error_afterwards_or_no_return_fails() -> None:
    """A wait beyond the timeouts, an error after service was back, and no return are each FAIL."""
    assert "waited longer than 60 s" in back_by_itself(dead(took=61.0)).why
    assert "failed after service was back" in back_by_itself(dead(attempt(24, status=0))).why
    assert "did not come back UP" in back_by_itself(dead(back=False)).why


def test_no_request_while_all_are_dead_is_inconclusive() -> None:
    """Without such a request nothing is known of the outage."""
    quiet = dead()
    idle = tuple(a for a in quiet.attempts if not 10 * S < a.sent_ns < HEALED)
    assert back_by_itself(quiet.model_copy(update={"attempts": idle})).outcome is Outcome.INCONCLUSIVE


def cut_off(down: float | None) -> FaultTrial:
    """Server a is cut off from RabbitMQ; clients' `GET /` does not need it."""
    changes = (*BOTH_UP, *((change(down, "DOWN"),) if down else ()))
    return trial(
        down=down,
        fault="cut-off",
        injected=(injected("cut-off"),),
        changes=changes,
        attempts=(*steady(0, 25, "a"), *steady(0, 25, "b")),
    )


def test_an_api_without_broker_fails_while_it_stays_up() -> None:
    """With the shallow check it stays UP. The verdict names the remedy and its price."""
    judgement = cut_off_goes_down(cut_off(None))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why.startswith("a stayed in service while cut off from RabbitMQ")
    assert "docs/reference/gates-health.md" in judgement.why


def test_a_deeper_check_takes_the_api_out() -> None:
    """It is DOWN within the bound of a check that is not answered."""
    assert cut_off_goes_down(cut_off(13.2)).outcome is Outcome.PASS


def test_an_api_that_still_has_its_broker_is_inconclusive() -> None:
    """It answers a request that needs RPC, so it was not cut off."""
    alive = injected("cut-off", tuple(direct(n, 200) for n in range(5, 20)))
    judgement = cut_off_goes_down(cut_off(None).model_copy(update={"injected": (alive,)}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
