"""Gates H: backend health and failure."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.health import checks_run, fault_trials, outage, recovery, service
from calorimeter.gates.health.proxy_states import proxy_states
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate

NEEDS = ("rest", "cfn", "proxy stats", "proxy log", "fault commands")


@gate("H1", guide="option  httpchk", needs=("proxy stats",))
def test_health_checks_really_run(context: Context, judge: Judge) -> None:
    """Health checks really run, on every backend.

    The guide sets `option httpchk`; whether anything is checked is read from the proxy's own state,
    not from its file.
    """
    judge(proxy_states(context), checks_run.checks_really_run)


@gate(
    "H2",
    guide="option  httpchk",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("kill"), Break("errors"), Break("refuse-checks")),
)
def test_crash_is_detected_in_time(context: Context, judge: Judge) -> None:
    """A crashed API is detected within its bound.

    So is one that answers 5xx, and one that refuses its health checks alone, where the owner gave commands
    for that.
    """
    judge(fault_trials.outages(context, "kill", "errors", "refuse-checks"), outage.detected_in_time)


@gate(
    "H3",
    guide="timeout  check 10s",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("freeze"), Break("slow")),
)
def test_freeze_is_detected_in_time(context: Context, judge: Judge) -> None:
    """A frozen API is detected within its bound.

    It still accepts connections, so only a check that waits for an answer sees it. The same holds for an
    API that answers too late, where the owner gave commands for that.
    """
    judge(fault_trials.outages(context, "freeze", "slow"), outage.detected_in_time)


@gate(
    "H4",
    guide="timeout  connect 10s",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("unreachable"),),
)
def test_unreachable_is_detected_in_time(context: Context, judge: Judge) -> None:
    """An unreachable API is detected within its bound.

    Its packets vanish: nothing refuses a connection, nothing answers.
    """
    judge(fault_trials.outages(context, "unreachable"), outage.detected_in_time)


@gate(
    "H5",
    guide="The APIs are load-balanced by HAProxy",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("kill"), Break("freeze"), Break("unreachable"), Break("refuse-checks")),
)
def test_recovery_is_in_time(context: Context, judge: Judge) -> None:
    """A healed API serves its own sources again within its bound.

    After each of the faults of H2, H3 and H4, and when it goes and comes again and again; while it
    returns no client with a connection per request sees an error.
    """
    judge(fault_trials.recoveries(context), recovery.recovered_in_time)


@gate("H6", guide="option  redispatch", needs=NEEDS, consent=Consent.INVASIVE, breaks=(Break("drain"),))
def test_drain_is_not_noticed(context: Context, judge: Judge) -> None:
    """A drained API loses no request.

    Clients with a connection per request go elsewhere at once; those that keep theirs stay, and are counted
    apart.
    """
    judge(fault_trials.drained(context), service.drain_unnoticed)


@gate(
    "H7",
    guide="option  redispatch",
    needs=NEEDS,
    consent=Consent.INVASIVE,
    breaks=(Break("drain", "every"), Break("stop", "every")),
)
def test_rolling_restart_is_not_noticed(context: Context, judge: Judge) -> None:
    """A rolling restart of all APIs loses no request.

    Each is drained, stopped when no session is left (or after a deadline, for the sake of kept-alive
    clients that never leave), started, and put back.
    """
    judge(fault_trials.rolled(context), service.rolling_restart_unnoticed)


@gate("H8", guide="retries  3", needs=NEEDS, consent=Consent.INVASIVE, breaks=(Break("kill", "every"),))
def test_service_comes_back_by_itself(context: Context, judge: Judge) -> None:
    """When all APIs die, clients get errors in time, and service comes back with the APIs."""
    judge(fault_trials.all_down(context), service.back_by_itself)


@gate(
    "H9",
    guide="option  httpchk",
    needs=("rest", "cfn", "identity", "proxy stats", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("cut-off"),),
)
def test_api_without_broker_is_taken_out(context: Context, judge: Judge) -> None:
    """An API that is cut off from RabbitMQ is taken out of service.

    Heat's own health check never touches RPC, so this needs a deeper one (docs/reference/gates-health.md).
    """
    judge(fault_trials.cut_off(context), service.cut_off_goes_down)
