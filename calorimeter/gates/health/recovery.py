"""Recovery: whether a healed server is used again within its configuration's bound, without an error."""

from __future__ import annotations

from calorimeter.core import detection_bounds
from calorimeter.core.balance_policy import Policy
from calorimeter.core.verdict import Judgement
from calorimeter.gates.health.detection import (
    JudgementBuilder,
    check_before,
    check_bound,
    check_s,
    prefix,
    unproven,
)
from calorimeter.gates.health.trial import FaultTrial, FaultTrials, InjectedFault, StatusChange


def recovered_in_time(evidence: FaultTrials) -> Judgement:
    """Whether each healed server was UP within the configuration's bound, and that bound is within
    `max_recovery_s`; whether its sources came back (without `balance source`: it got requests again), and
    no client with a connection per request saw an error."""
    builder = JudgementBuilder()
    for trial in evidence.trials:
        check_before(trial, builder)
        for fault in trial.injected:
            _recovered(trial, fault, builder)
    if not builder.against:
        # Only the log shows which server served a source; what else refutes a recovery does not need it.
        unlogged = [trial for trial in evidence.trials if not trial.logged]
        builder.doubts += [f"{t.fault}: without a log its sources' servers are unknown" for t in unlogged]
        builder.doubts += [gap for trial in evidence.trials if (gap := trial.log_gap())]
    faults = ", ".join(dict.fromkeys(trial.fault for trial in evidence.trials))
    at_home = all(trial.wanted.by_source(f.api) for trial in evidence.trials for f in trial.injected)
    back = "its sources came back" if at_home else "it got requests again"
    return builder.judgement(
        f"after {faults} every server was UP within its bound, the slowest "
        f"{builder.largest('_recovery_s'):.1f} s after it served again; {back} and no "
        "request failed"
    )


def _recovered(trial: FaultTrial, fault: InjectedFault, builder: JudgementBuilder) -> None:
    down = trial.down(fault)
    doubt = unproven(fault, down)
    if doubt or not fault.healed_ns:
        builder.doubts.append(doubt or f"{fault}: the fault was not healed")
        return
    if down is None:
        builder.against.append(
            f"{fault}: never taken out of service: clients were sent to it until it was healed"
        )
        return
    until_ns = min(trial.ended_ns, trial.next_fault_ns(fault))
    up = trial.change_to(fault, "UP", fault.heal_began_ns, until_ns)
    serving_ns, name, limit_s = fault.serving_ns, prefix(fault), trial.wanted.max_recovery_s
    taken_s = round(max(0, up.seen_ns - serving_ns) / 1e9, 3) if up else None
    bound_s = detection_bounds.recovery_s(trial.checks, fault.fault) if trial.checks else None
    builder.figures |= {f"{name}_recovery_s": taken_s, f"{name}_recovery_bound_s": bound_s}
    if trial.checks is None or bound_s is None:
        builder.doubts.append(f"{fault}: no bound can be computed: [[proxy]] has no `checks`")
        return
    if limit_s is not None and bound_s > limit_s:
        builder.against.append(
            f"{fault}: the configuration allows {bound_s:g} s to recover, but max_recovery_s is "
            f"{limit_s:g} s"
        )
    if up is None or taken_s is None:
        builder.against.append(
            f"{fault}: not UP {(until_ns - serving_ns) / 1e9:.1f} s after it served again"
        )
        return
    # Each of the `rise` checks takes its own time.
    allowed_s = bound_s + trial.checks.rise * check_s(trial, fault)
    builder.figures[f"{name}_recovery_allowed_s"] = round(allowed_s, 3)
    gap_s = trial.longest_gap_s(fault.heal_began_ns, up.seen_ns)
    check_bound(f"{fault}: UP", "it served again", (taken_s, allowed_s, gap_s), builder)
    _check_errors(trial, fault, builder)
    _check_sources(trial, fault, up, builder)


def _check_errors(trial: FaultTrial, fault: InjectedFault, builder: JudgementBuilder) -> None:
    """Judge whether a request failed between the healing and the end, or the next fault.

    A server that goes DOWN again may have its sessions ended (`on-marked-down shutdown-sessions`): the next
    fault causes that, it is no failed recovery.
    """
    until_ns = trial.next_fault_ns(fault)
    after = [
        a for a in trial.clients(fault.api) if fault.heal_began_ns < a.sent_ns and a.done_ns < until_ns
    ]
    bad = [a for a in after if not a.ok]
    if bad:
        builder.against.append(f"{fault}: {len(bad)} requests failed while it returned ({bad[0]})")


def _check_sources(
    trial: FaultTrial, fault: InjectedFault, up: StatusChange, builder: JudgementBuilder
) -> None:
    """Judge whether the server's sources were on it again at the end."""
    name = f"{prefix(fault)}_sources_back"
    if not trial.logged:
        builder.figures[name] = None
        return
    if not trial.wanted.by_source(fault.api):
        _check_return(trial, fault, up, builder)
        return
    theirs = {source for source, server in trial.homes(fault).items() if server == fault.server}
    last = {
        a.source: a.server
        for a in trial.clients(fault.api)
        if a.source in theirs
        and up.seen_ns < a.sent_ns < trial.next_fault_ns(fault)
        and a.server is not None
    }
    elsewhere = sorted(source for source, server in last.items() if server != fault.server)
    builder.figures[name] = len(last) - len(elsewhere)
    if not theirs or not last:
        when = "after" if theirs else "before"
        builder.doubts.append(f"{fault}: none of its sources sent a request {when} the fault")
    elif elsewhere:
        builder.against.append(
            f"{fault}: {len(elsewhere)} of its {len(last)} sources did not come back, "
            f"{elsewhere[0]} is on {last[elsewhere[0]]}"
        )


def _check_return(
    trial: FaultTrial, fault: InjectedFault, up: StatusChange, builder: JudgementBuilder
) -> None:
    """Judge whether the server got requests again, where sources have no server of their own."""
    if Policy.of(trial.wanted.balance[fault.api]) is Policy.FIRST:
        return  # it need not be the first
    later = [
        a for a in trial.clients(fault.api) if up.seen_ns < a.sent_ns < trial.next_fault_ns(fault) and a.ok
    ]
    back = sum(a.server == fault.server for a in later)
    builder.figures[f"{prefix(fault)}_requests_back"] = back
    if not later:
        builder.doubts.append(f"{fault}: no request was answered after it was UP")
    elif not back and all(a.server is not None for a in later):
        builder.against.append(f"{fault}: none of {len(later)} requests went to it after it was UP")
    elif not back:
        builder.doubts.append(f"{fault}: no line of the log shows a request to it after it was UP")
