"""Gates H: backend health and failure."""

from __future__ import annotations

from calorimeter.deployment import Consent
from verify.bench import Bench
from verify.checks import health, outage, recovery, service
from verify.experiments import faults
from verify.experiments.state import proxy_states
from verify.gates import Break, gate
from verify.judge import Judge

NEEDS = ("rest", "cfn", "proxy stats", "proxy log", "fault commands")


@gate("H1", guide="option  httpchk", needs=("proxy stats",))
def test_health_checks_really_run(bench: Bench, judge: Judge) -> None:
    """Health checks really run, on every backend.

    The guide sets `option httpchk`; whether anything is checked is read from the proxy's own state,
    not from its file.
    """
    judge(proxy_states(bench), health.checks_really_run)


@gate(
    "H2",
    guide="option  httpchk",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("kill"), Break("errors"), Break("refuse-checks")),
)
def test_crash_is_detected_in_time(bench: Bench, judge: Judge) -> None:
    """A crashed API is detected within its bound.

    So is one that answers 5xx, and one that refuses its health checks alone, where the owner gave commands
    for that.
    """
    judge(faults.outages(bench, "kill", "errors", "refuse-checks"), outage.detected_in_time)


@gate(
    "H3",
    guide="timeout  check 10s",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("freeze"), Break("slow")),
)
def test_freeze_is_detected_in_time(bench: Bench, judge: Judge) -> None:
    """A frozen API is detected within its bound.

    It still accepts connections, so only a check that waits for an answer sees it. The same holds for an
    API that answers too late, where the owner gave commands for that.
    """
    judge(faults.outages(bench, "freeze", "slow"), outage.detected_in_time)


@gate(
    "H4",
    guide="timeout  connect 10s",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("unreachable"),),
)
def test_unreachable_is_detected_in_time(bench: Bench, judge: Judge) -> None:
    """An unreachable API is detected within its bound.

    Its packets vanish: nothing refuses a connection, nothing answers.
    """
    judge(faults.outages(bench, "unreachable"), outage.detected_in_time)


@gate(
    "H5",
    guide="The APIs are load-balanced by HAProxy",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("kill"), Break("freeze"), Break("unreachable"), Break("refuse-checks")),
)
def test_recovery_is_in_time(bench: Bench, judge: Judge) -> None:
    """A healed API serves its own sources again within its bound.

    After each of the faults of H2, H3 and H4, and when it goes and comes again and again; while it
    returns no client with a connection per request sees an error.
    """
    judge(faults.recoveries(bench), recovery.recovered_in_time)


@gate("H6", guide="option  redispatch", needs=NEEDS, consent=Consent.INVASIVE, breaks=(Break("drain"),))
def test_drain_is_not_noticed(bench: Bench, judge: Judge) -> None:
    """A drained API loses no request.

    Clients with a connection per request go elsewhere at once; those that keep theirs stay, and are counted
    apart.
    """
    judge(faults.drained(bench), service.drain_unnoticed)


@gate(
    "H7",
    guide="option  redispatch",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("drain", "every"), Break("stop", "every")),
)
def test_rolling_restart_is_not_noticed(bench: Bench, judge: Judge) -> None:
    """A rolling restart of all APIs loses no request.

    Each is drained, stopped when no session is left (or after a deadline, for the sake of kept-alive
    clients that never leave), started, and put back.
    """
    judge(faults.rolled(bench), service.rolling_restart_unnoticed)


@gate("H8", guide="retries  3", needs=NEEDS, consent=Consent.INVASIVE, breaks=(Break("kill", "every"),))
def test_service_comes_back_by_itself(bench: Bench, judge: Judge) -> None:
    """When all APIs die, clients get errors in time, and service comes back with the APIs."""
    judge(faults.all_down(bench), service.back_by_itself)


@gate(
    "H9",
    guide="option  httpchk",
    needs=("rest", "cfn", "identity", "proxy stats", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("cut-off"),),
)
def test_api_without_broker_is_taken_out(bench: Bench, judge: Judge) -> None:
    """An API that is cut off from RabbitMQ is taken out of service.

    Heat's own health check never touches RPC, so this needs a deeper one (see docs/gates-health.md).
    """
    judge(faults.cut_off(bench), service.cut_off_goes_down)
