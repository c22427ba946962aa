"""The trials of gates H: one fault each, injected into both APIs at once, and healed."""

from __future__ import annotations

import time
from itertools import zip_longest

from calorimeter.core import detection_bounds
from calorimeter.core.waiting import poll
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.health.detection import FORGOTTEN
from calorimeter.gates.health.fault_rig import FaultRig, FaultTarget, fault_targets
from calorimeter.gates.health.rpc_requests import RpcClient
from calorimeter.gates.health.trial import FaultTrial, FaultTrials

AFTER_S = 1.5
"""How long clients go on after each step: what they see then is judged."""

LATE_S = 2.0
"""How long beyond the bound a detection or a recovery is awaited: it is a FAIL by then, and its figure is
worth having."""

UNKNOWN_BOUND_S = 5.0
DRAIN_S = 3.0
"""Time for a drained server's sessions to end; those of keep-alive clients do not end in TCP mode."""

SERVING_S = 60.0
RPC_TRIES = 10
FLAPS = 2


def outages(context: Context, fault: str, *optional: str) -> FaultTrials:
    """The trials of a fault, and of those optional faults for which the owner gave commands."""
    able = [other for other in optional if _able(context, other)]
    paths = {"refuse-checks": "/healthcheck"}
    return FaultTrials(trials=tuple(outage(context, each, paths.get(each, "/")) for each in (fault, *able)))


def recoveries(context: Context) -> FaultTrials:
    """The trials that end with a recovery, as far as the owner gave commands; at least one."""
    chosen = [fault for fault in ("kill", "freeze", "unreachable") if _able(context, fault)]
    if not chosen:
        fault_targets(context, "kill")
    flaps = (flapping(context),) if _able(context, "refuse-checks") else ()
    return FaultTrials(trials=(*(outage(context, fault) for fault in chosen), *flaps))


def _able(context: Context, fault: str) -> bool:
    try:
        fault_targets(context, fault)
    except EvidenceUnavailable:
        return False
    return True


@shared
def outage(context: Context, fault: str, direct_path: str = "/") -> FaultTrial:
    """Inject a fault into one backend of each API, await its detection, heal it, await its recovery."""
    with FaultRig(context, fault, fault_targets(context, fault), direct_path) as rig:
        rig.inject()
        _await_status(rig, detection_wait_s(context, fault), "DOWN")
        time.sleep(AFTER_S)
        rig.heal()
        _await_back(rig, fault)
        return rig.trial(wait_s=FORGOTTEN * detection_bounds.attempts_s(0.0) + AFTER_S)


@shared
def flapping(context: Context) -> FaultTrial:
    """Make the health checks of one backend of each API fail and succeed in turns."""
    fault = "refuse-checks"
    with FaultRig(context, "flapping", fault_targets(context, fault), "/healthcheck") as rig:
        for _ in range(FLAPS):
            rig.inject()
            _await_status(rig, detection_wait_s(context, fault), "DOWN")
            rig.heal()
            _await_back(rig, fault)
        return rig.trial()


def _await_status(
    rig: FaultRig, within_s: float, *statuses: str, targets: list[FaultTarget] | None = None
) -> None:
    """Wait until the proxies show all targets with one of these statuses, `within_s` seconds at most."""
    poll(lambda: rig.shows(*statuses, targets=targets), within_s, every_s=0.02)


def _await_back(rig: FaultRig, fault: str) -> None:
    poll(rig.serving, SERVING_S, every_s=0.02)
    checks = rig.context.proxies[0].checks
    bound_s = detection_bounds.recovery_s(checks, fault) if checks else UNKNOWN_BOUND_S
    _await_status(rig, bound_s + LATE_S, "UP", "no check")
    time.sleep(AFTER_S)


def detection_wait_s(context: Context, fault: str) -> float:
    """How long to wait for a detection: `LATE_S` longer than the configuration's bound, or than
    `max_detection_s` if that is less (a later detection is a FAIL anyway)."""
    checks = context.proxies[0].checks
    limit_s = context.deployment.expect.max_detection_s
    bound_s = detection_bounds.detection_s(checks, fault) if checks else limit_s or UNKNOWN_BOUND_S
    return min(bound_s, limit_s or bound_s) + LATE_S


@shared
def drained(context: Context) -> FaultTrial:
    """Take one backend of each API out by the owner's `drain`, and put it back."""
    with FaultRig(context, "drain", fault_targets(context, "drain")) as rig:
        rig.inject()
        _await_status(rig, UNKNOWN_BOUND_S, "DRAIN", "MAINT")
        time.sleep(AFTER_S)
        rig.heal()
        _await_status(rig, UNKNOWN_BOUND_S, "UP", "no check")
        time.sleep(AFTER_S)
        return rig.trial()


@shared
def rolled(context: Context) -> FaultTrial:
    """Restart every API in turn: drain, wait until no session is left (at most `DRAIN_S`), stop, start,
    wait until it is back, undrain."""
    stops = fault_targets(context, "stop", every=True)
    drains = {target.key: target for target in fault_targets(context, "drain", every=True)}
    with FaultRig(context, "rolling restart", stops) as rig:
        for turn in _turns(stops):
            _restart(rig, turn, [drains[target.key] for target in turn])
        time.sleep(AFTER_S)
        return rig.trial()


def _restart(rig: FaultRig, turn: list[FaultTarget], drains: list[FaultTarget]) -> None:
    rig.inject(drains, record=False)
    _await_status(rig, UNKNOWN_BOUND_S, "DRAIN", "MAINT", targets=drains)
    poll(lambda: not any(rig.states.sessions[t.section, t.server] for t in turn), DRAIN_S, every_s=0.02)
    rig.inject(turn)
    time.sleep(AFTER_S / 3)
    rig.heal(turn)
    poll(lambda: rig.serving(turn), SERVING_S, every_s=0.02)
    _await_status(rig, detection_wait_s(rig.context, "stop"), "DRAIN", "MAINT", "no check", targets=turn)
    rig.heal(drains, record=False)
    _await_status(rig, UNKNOWN_BOUND_S, "UP", "no check", targets=turn)


def _turns(stops: list[FaultTarget]) -> list[list[FaultTarget]]:
    """The nth backends of all APIs together: the APIs do not depend on each other."""
    by_api: dict[str, list[FaultTarget]] = {}
    for target in stops:
        by_api.setdefault(target.api, []).append(target)
    return [[target for target in turn if target] for turn in zip_longest(*by_api.values())]


@shared
def all_down(context: Context) -> FaultTrial:
    """Kill every backend, and start them again."""
    with FaultRig(context, "kill", fault_targets(context, "kill", every=True)) as rig:
        rig.inject()
        _await_status(rig, detection_wait_s(context, "kill"), "DOWN")
        time.sleep(AFTER_S)
        rig.heal()
        _await_back(rig, "kill")
        return rig.trial(wait_s=rig.expectations.hang_s)


@shared
def cut_off(context: Context) -> FaultTrial:
    """Cut one API of each kind off from RabbitMQ, and ask it for what needs RPC, past the proxy."""
    chosen = fault_targets(context, "cut-off")
    client = RpcClient(context)

    with FaultRig(context, "cut-off", chosen, direct_path=None) as rig:

        def ask() -> None:
            for target in chosen:
                rig.note(target, client.ask(target.api, context.api(target.api), target.own))

        # The first request after a while may be slow: the token is validated, connections are made.
        for _ in range(RPC_TRIES):
            ask()
            if rig.serving():
                break
        rig.inject()
        began = time.monotonic()
        ask()
        _await_status(rig, detection_wait_s(context, "cut-off") - (time.monotonic() - began), "DOWN")
        time.sleep(AFTER_S)
        rig.heal()
        deadline = time.monotonic() + SERVING_S
        while not rig.serving() and time.monotonic() < deadline:
            ask()
        _await_back(rig, "cut-off")
        return rig.trial()
