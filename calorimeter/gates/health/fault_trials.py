"""The trials of gates H: one fault each, carried out on both APIs at once, and healed."""

from __future__ import annotations

import time

from calorimeter.core import detection_bounds
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.health.fault_rig import Stage, Target, targets
from calorimeter.gates.health.rpc_requests import Rpc
from calorimeter.gates.health.trial import Trial, Trials

AFTER_S = 1.5
"""How long clients go on after each step: what they meet then is judged."""

LATE_S = 2.0
"""How long beyond the bound a detection or a recovery is waited for: it is a FAIL by then, and its
figure is worth having."""

UNKNOWN_BOUND_S = 5.0
DRAIN_S = 3.0
"""Time for a drained server's sessions to end; those of kept-alive clients do not, in TCP mode."""

SERVING_S = 60.0
RPC_TRIES = 10
FLAPS = 2


def outage(context: Context, fault: str, direct_path: str = "/") -> Trial:
    """Give one backend of each API a fault, wait until it is detected, heal it, wait until it is back."""
    return context.once(f"outage-{fault}", lambda: _outage(context, fault, direct_path))


def outages(context: Context, fault: str, *further: str) -> Trials:
    """The trial of a fault, and those of further ones for which the owner gave commands."""
    able = [other for other in further if _able(context, other)]
    paths = {"refuse-checks": "/healthcheck"}
    return Trials(trials=tuple(outage(context, each, paths.get(each, "/")) for each in (fault, *able)))


def recoveries(context: Context) -> Trials:
    """The trials that end with a recovery: a crash, a freeze, and packets that vanish where that can be."""
    chosen = [fault for fault in ("kill", "freeze", "unreachable") if _able(context, fault)]
    if not chosen:
        targets(context, "kill")
    flaps = (flapping(context),) if _able(context, "refuse-checks") else ()
    return Trials(trials=(*(outage(context, fault) for fault in chosen), *flaps))


def flapping(context: Context) -> Trial:
    """One backend of each API goes and comes again and again: its health checks are refused in turns."""
    return context.once("flapping", lambda: _flapping(context))


def _flapping(context: Context) -> Trial:
    fault = "refuse-checks"
    with Stage(context, "flapping", targets(context, fault), "/healthcheck") as stage:
        for _ in range(FLAPS):
            stage.inject()
            stage.until(lambda: stage.shows("DOWN"), detection_wait_s(context, fault))
            stage.heal()
            _await_back(stage, context, fault)
        return stage.trial()


def _able(context: Context, fault: str) -> bool:
    try:
        targets(context, fault)
    except EvidenceUnavailable:
        return False
    return True


def _outage(context: Context, fault: str, direct_path: str) -> Trial:
    with Stage(context, fault, targets(context, fault), direct_path) as stage:
        stage.inject()
        stage.until(lambda: stage.shows("DOWN"), detection_wait_s(context, fault))
        stage.pause(AFTER_S)
        stage.heal()
        _await_back(stage, context, fault)
        return stage.trial()


def _await_back(stage: Stage, context: Context, fault: str) -> None:
    stage.until(lambda: all(stage.serving(target) for target in stage.targets), SERVING_S)
    checks = context.proxies[0].checks
    bound = detection_bounds.recovery_s(checks, fault) if checks else UNKNOWN_BOUND_S
    stage.until(lambda: stage.shows("UP", "no check"), bound + LATE_S)
    stage.pause(AFTER_S)


def detection_wait_s(context: Context, fault: str) -> float:
    """How long a detection is waited for: the configuration's bound, or what the owner wants where that is
    less (then the verdict is sealed), and some time more."""
    checks = context.proxies[0].checks
    wanted = context.deployment.expect.max_detection_s
    bound = detection_bounds.detection_s(checks, fault) if checks else wanted or UNKNOWN_BOUND_S
    return min(bound, wanted or bound) + LATE_S


def drained(context: Context) -> Trial:
    """Take one backend of each API out by the owner's `drain`, and put it back."""
    return context.once("drained", lambda: _drained(context))


def _drained(context: Context) -> Trial:
    with Stage(context, "drain", targets(context, "drain")) as stage:
        stage.inject()
        stage.until(lambda: stage.shows("DRAIN", "MAINT"), UNKNOWN_BOUND_S)
        stage.pause(AFTER_S)
        stage.heal()
        stage.until(lambda: stage.shows("UP", "no check"), UNKNOWN_BOUND_S)
        stage.pause(AFTER_S)
        return stage.trial()


def rolled(context: Context) -> Trial:
    """Restart every API in turn: drain, wait until no session is left (under a deadline), stop, start,
    wait until it is back, undrain."""
    return context.once("rolled", lambda: _rolled(context))


def _rolled(context: Context) -> Trial:
    stops = targets(context, "stop", every=True)
    drains = {target.server: target for target in targets(context, "drain", every=True)}
    with Stage(context, "rolling restart", stops) as stage:
        for turn in _turns(stops):
            _restart(stage, context, turn, [drains[target.server] for target in turn])
        stage.pause(AFTER_S)
        return stage.trial()


def _restart(stage: Stage, context: Context, turn: list[Target], out: list[Target]) -> None:
    stage.inject(out, record=False)
    stage.until(lambda: stage.shows("DRAIN", "MAINT", chosen=out), UNKNOWN_BOUND_S)
    stage.until(lambda: not any(stage.watch.sessions[t.section, t.server] for t in turn), DRAIN_S)
    stage.inject(turn)
    stage.pause(AFTER_S / 3)
    stage.heal(turn)
    stage.until(lambda: all(stage.serving(t) for t in turn), SERVING_S)
    back = ("DRAIN", "MAINT", "no check")
    stage.until(lambda: stage.shows(*back, chosen=turn), detection_wait_s(context, "stop"))
    stage.heal(out, record=False)
    stage.until(lambda: stage.shows("UP", "no check", chosen=turn), UNKNOWN_BOUND_S)


def _turns(stops: list[Target]) -> list[list[Target]]:
    """The nth backend of every API together, for the APIs do not know each other."""
    by_api: dict[str, list[Target]] = {}
    for target in stops:
        by_api.setdefault(target.api, []).append(target)
    longest = max(len(of) for of in by_api.values())
    return [[of[n] for of in by_api.values() if n < len(of)] for n in range(longest)]


def all_down(context: Context) -> Trial:
    """Kill every backend, and start them again."""
    return context.once("all-down", lambda: _all_down(context))


def _all_down(context: Context) -> Trial:
    with Stage(context, "kill", targets(context, "kill", every=True)) as stage:
        stage.inject()
        stage.until(lambda: stage.shows("DOWN"), detection_wait_s(context, "kill"))
        stage.pause(AFTER_S)
        stage.heal()
        _await_back(stage, context, "kill")
        return stage.trial(wait_s=stage.wanted.hang_s)


def cut_off(context: Context) -> Trial:
    """Cut one API of each kind off from RabbitMQ, see that it answers nothing that needs RPC, and what the
    proxy makes of it."""
    return context.once("cut-off", lambda: _cut_off(context))


def _cut_off(context: Context) -> Trial:
    chosen = targets(context, "cut-off")
    rpc = Rpc(context)

    def ask(stage: Stage) -> None:
        for target in chosen:
            stage.note(target, rpc.ask(target.api, context.api(target.api), str(target.address)))

    with Stage(context, "cut-off", chosen, direct_path=None) as stage:
        # The first request after a while may be slow: the token is validated, connections are made.
        for _ in range(RPC_TRIES):
            ask(stage)
            if all(stage.serving(target) for target in chosen):
                break
        stage.inject()
        began = time.monotonic()
        ask(stage)
        left = detection_wait_s(context, "cut-off") - (time.monotonic() - began)
        stage.until(lambda: stage.shows("DOWN"), left)
        stage.pause(AFTER_S)
        stage.heal()
        deadline = time.monotonic() + SERVING_S
        while not all(stage.serving(target) for target in chosen) and time.monotonic() < deadline:
            ask(stage)
        _await_back(stage, context, "cut-off")
        return stage.trial()
