"""Gates H: backend health and failure."""

from __future__ import annotations

from functools import partial

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.health import checks_run, fault_trials, outage, recovery, service
from calorimeter.gates.health.proxy_states import proxy_states
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate

NEEDS = ("rest", "cfn", "proxy stats", "proxy log", "fault commands")

trial_gate = partial(gate, needs=NEEDS, consent=Consent.INVASIVE)


@gate("H1", guide="option  httpchk", needs=("proxy stats",))
def test_health_checks_really_run(context: Context, judge: Judge) -> None:
    """Health checks really run, on every backend.

    The guide sets `option httpchk`. Whether the proxy checks its servers is read from its state, not from
    its file.
    """
    judge(proxy_states(context), checks_run.checks_really_run)


@trial_gate("H2", guide="option  httpchk", breaks=(Break("kill"), Break("errors"), Break("refuse-checks")))
def test_crash_is_detected_in_time(context: Context, judge: Judge) -> None:
    """A crashed API is detected within its bound.

    The same holds for an API that answers 5xx, and for one that refuses only its health checks, if the
    owner gave commands for these faults.
    """
    judge(fault_trials.outages(context, "kill", "errors", "refuse-checks"), outage.detected_in_time)


@trial_gate("H3", guide="timeout  check 10s", breaks=(Break("freeze"), Break("slow")))
def test_freeze_is_detected_in_time(context: Context, judge: Judge) -> None:
    """A frozen API is detected within its bound.

    It still accepts connections, so only a check that waits for an answer detects it. The same holds for
    an API that answers too late, if the owner gave a command for this fault.
    """
    judge(fault_trials.outages(context, "freeze", "slow"), outage.detected_in_time)


@trial_gate("H4", guide="timeout  connect 10s", breaks=(Break("unreachable"),))
def test_unreachable_is_detected_in_time(context: Context, judge: Judge) -> None:
    """An unreachable API is detected within its bound.

    Its packets are dropped: no connection is refused, and no request is answered.
    """
    judge(fault_trials.outages(context, "unreachable"), outage.detected_in_time)


@trial_gate(
    "H5",
    guide="The APIs are load-balanced by HAProxy",
    breaks=(Break("kill"), Break("freeze"), Break("unreachable"), Break("refuse-checks")),
)
def test_recovery_is_in_time(context: Context, judge: Judge) -> None:
    """A healed API serves its own sources again within its bound.

    Judged after each fault of H2, H3 and H4, and for an API that fails and returns repeatedly. While it
    returns, no client with a connection per request gets an error.
    """
    judge(fault_trials.recoveries(context), recovery.recovered_in_time)


@trial_gate("H6", guide="option  redispatch", breaks=(Break("drain"),))
def test_drain_is_not_noticed(context: Context, judge: Judge) -> None:
    """A drained API loses no request.

    Clients with a connection per request go to another backend at once; clients that keep their connection
    stay, and are counted separately.
    """
    judge(fault_trials.drained(context), service.drain_unnoticed)


@trial_gate("H7", guide="option  redispatch", breaks=(Break("drain", "every"), Break("stop", "every")))
def test_rolling_restart_is_not_noticed(context: Context, judge: Judge) -> None:
    """A rolling restart of all APIs loses no request.

    Each is drained, stopped when it has no session left (or after a deadline, because kept-alive clients
    never leave), started, and put back.
    """
    judge(fault_trials.rolled(context), service.rolling_restart_unnoticed)


@trial_gate("H8", guide="retries  3", breaks=(Break("kill", "every"),))
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

    Heat's own health check does not use RPC, so this needs a deeper one (docs/reference/gates-health.md).
    """
    judge(fault_trials.cut_off(context), service.cut_off_goes_down)
