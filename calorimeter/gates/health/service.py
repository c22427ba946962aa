"""Service: whether clients see a drain, a rolling restart, the loss of all APIs, or a lost broker."""

from __future__ import annotations

from calorimeter.core import detection_bounds
from calorimeter.core.verdict import Judgement, Outcome, failed
from calorimeter.gates.health.detection import (
    JudgementBuilder,
    check_before,
    detected_in_time,
    outage_s,
    unproven,
)
from calorimeter.gates.health.trial import FaultTrial, FaultTrials, InjectedFault


def drain_unnoticed(trial: FaultTrial) -> Judgement:
    """Whether a drained server got no new connection, and no client with a connection per request saw an
    error."""
    builder = JudgementBuilder()
    check_before(trial, builder)
    for fault in trial.injected:
        shown = trial.change_to(fault, "DRAIN", fault.at_ns, fault.over_ns) or trial.change_to(
            fault, "MAINT", fault.at_ns, fault.over_ns
        )
        if shown is None:
            builder.doubts.append(f"{fault}: the proxy never showed it drained")
            continue
        strays = [
            a
            for a in trial.clients(fault.api)
            if a.server == fault.server and shown.seen_ns < a.sent_ns and a.done_ns < fault.over_ns
        ]
        if strays:
            builder.against.append(
                f"{fault}: {len(strays)} new connections still went to it ({strays[0].source})"
            )
        builder.figures[f"{fault.api}_drained_after_s"] = round((shown.seen_ns - fault.at_ns) / 1e9, 3)
    _check_errors(trial, builder)
    if not builder.against and (gap := trial.log_gap()):
        builder.doubts.append(gap)
    return builder.judgement(f"none of {_requests(trial)} requests failed during a drain")


def rolling_restart_unnoticed(trial: FaultTrial) -> Judgement:
    """Whether every API was restarted, and no client with a connection per request saw an error."""
    builder = JudgementBuilder()
    check_before(trial, builder)
    restarted = {(fault.section, fault.server) for fault in trial.injected if fault.fault == "stop"}
    for section, servers in trial.backends.items():
        left = [server for server in servers if (section, server) not in restarted]
        if left:
            builder.doubts.append(f"{section}: not restarted: {', '.join(left)}")
    builder.doubts += [doubt for fault in trial.injected if (doubt := unproven(fault, None))]
    _check_errors(trial, builder)
    return builder.judgement(
        f"{len(restarted)} APIs were restarted one after another, and none of {_requests(trial)} requests "
        "failed"
    )


def _requests(trial: FaultTrial) -> int:
    return sum(not a.kept for a in trial.attempts)


def _apis(trial: FaultTrial) -> list[str]:
    return sorted({fault.api for fault in trial.injected})


def _check_errors(trial: FaultTrial, builder: JudgementBuilder) -> None:
    for api in _apis(trial):
        attempts, kept = trial.clients(api), trial.clients(api, kept=True)
        bad = [a for a in attempts if not a.ok]
        builder.figures |= {
            f"{api}_requests": len(attempts),
            f"{api}_failed": len(bad),
            f"{api}_longest_s": round(max((a.response_s for a in attempts), default=0.0), 2),
            f"{api}_kept_alive_requests": len(kept),
            f"{api}_kept_alive_failed": sum(not a.ok for a in kept),
        }
        if bad:
            builder.against.append(
                f"{len(bad)} of {len(attempts)} requests to {api} failed: {', '.join(map(str, bad[:3]))}"
            )


def back_by_itself(trial: FaultTrial) -> Judgement:
    """Whether clients got errors in time while every server was dead, and service came back with them."""
    builder = JudgementBuilder()
    check_before(trial, builder)
    builder.doubts += [doubt for f in trial.injected if (doubt := unproven(f, trial.down(f)))]
    for api in _apis(trial):
        dead = [fault for fault in trial.injected if fault.api == api]
        _check_waits(trial, dead, builder)
        _check_return(trial, dead, builder)
    return builder.judgement(
        "with all APIs dead, clients got errors in time; once the APIs were back, requests succeeded"
    )


def _check_waits(trial: FaultTrial, dead: list[InjectedFault], builder: JudgementBuilder) -> None:
    """Judge how long clients waited for an error while all servers of an API were dead."""
    api = dead[0].api
    dead_ns, first_ns = max(f.ended_ns for f in dead), min(f.heal_began_ns for f in dead)
    clients, hang_s = trial.clients(api), trial.wanted.hang_s
    during = [a for a in clients if dead_ns < a.sent_ns < first_ns]
    builder.figures |= {
        f"{api}_met_nobody": len(during),
        f"{api}_longest_s": round(max((a.response_s for a in during), default=0.0), 2),
        f"{api}_outage_s": outage_s([a for a in clients if not a.ok]),
    }
    if not during:
        builder.doubts.append(f"{api}: no client sent a request while all its servers were dead")
    late = [a for a in during if (a.done_ns - a.sent_ns) / 1e9 > hang_s]
    if late:
        builder.against.append(
            f"{api}: {len(late)} requests waited longer than {hang_s:g} s, the longest timeout ({late[0]})"
        )


def _check_return(trial: FaultTrial, dead: list[InjectedFault], builder: JudgementBuilder) -> None:
    """Judge whether requests succeed from the moment that the first server is used again."""
    api, serving = dead[0].api, [fault.serving_ns for fault in dead]
    bound_s = detection_bounds.recovery_s(trial.checks, "kill") if trial.checks else 0.0
    ups = [trial.change_to(fault, "UP", fault.heal_began_ns, trial.ended_ns) for fault in dead]
    seen = [up.seen_ns for up in ups if up is not None]
    # Without checks no server was ever DOWN, and each serves clients as soon as it listens.
    back_ns = min(seen) if seen else max(serving)
    builder.figures |= {
        f"{api}_back_after_s": round((back_ns - min(serving)) / 1e9, 3),
        f"{api}_back_bound_s": bound_s,
    }
    if trial.checks and len(seen) < len(dead):
        builder.against.append(
            f"{api}: {len(dead) - len(seen)} of {len(dead)} servers did not come back UP"
        )
    after = [a for a in trial.clients(api) if a.sent_ns > max(back_ns, *serving)]
    bad = [a for a in after if not a.ok]
    if bad:
        builder.against.append(
            f"{api}: {len(bad)} of {len(after)} requests failed after service was back ({bad[0]})"
        )
    if not after:
        builder.doubts.append(f"{api}: no client sent a request after service was back")


REMEDY = (
    "Heat's health check does not use RPC; a deeper one does (docs/reference/gates-health.md: a plugin "
    "that pings the engines), but then one broker outage takes every API down"
)


def cut_off_goes_down(trial: FaultTrial) -> Judgement:
    """Whether an API that is cut off from RabbitMQ, and can serve nobody, is taken out of service."""
    judged = detected_in_time(FaultTrials(trials=(trial,)))
    blind = [fault.server for fault in trial.injected if trial.down(fault) is None]
    if judged.outcome is not Outcome.FAIL or not blind:
        return judged
    return failed(
        f"{', '.join(blind)} stayed in service while cut off from RabbitMQ: {REMEDY}",
        [judged.why, *judged.counter_examples],
        **judged.figures,
    )
