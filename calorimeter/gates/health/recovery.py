"""Recovery: whether a healed server is used again within its configuration's bound, without an error."""

from __future__ import annotations

from calorimeter.core import detection_bounds
from calorimeter.core.verdict import Judgement
from calorimeter.gates.health.outage import (
    Findings,
    before,
    check_s,
    homes,
    prefix,
    promise,
    said_of,
    unproven,
    went_down,
)
from calorimeter.gates.health.trial import Change, Injected, Trial, Trials


def recovered_in_time(evidence: Trials) -> Judgement:
    """Whether each healed server was UP within the bound that the configuration implies, the bound is what
    the owner wants, its sources came back, and no client with a connection per request saw an error."""
    findings = Findings()
    unlogged = [trial for trial in evidence.trials if not trial.logged]
    for trial in evidence.trials:
        before(trial, findings)
        for each in trial.injected:
            _recovered(trial, each, findings)
    if not findings.against:
        # Where a source is served only the log tells; what else speaks against a return needs none.
        findings.doubts += [f"{t.fault}: no log tells whether its sources came back" for t in unlogged]
        findings.doubts += [lost for trial in evidence.trials if (lost := trial.unlogged())]
    told = [v for k, v in findings.figures.items() if k.endswith("_recovery_s") and v is not None]
    worst = max((float(v) for v in told), default=0.0)
    what = ", ".join(dict.fromkeys(trial.fault for trial in evidence.trials))
    return findings.judgement(
        f"after {what} every server was UP within its bound, at the latest {worst:.1f} s after it served; "
        "its sources came back and nobody saw an error"
    )


def _recovered(trial: Trial, each: Injected, findings: Findings) -> None:
    down = went_down(trial, each)
    doubt = unproven(trial, each, down)
    if doubt or not each.healed_ns:
        findings.doubts.append(doubt or f"{trial.named(each)}: it was not healed")
        return
    if down is None:
        findings.against.append(
            f"{trial.named(each)}: it was never taken out of service, so clients met it broken until it "
            "was healed"
        )
        return
    until = min(trial.ended_ns, trial.next_ns(each))
    up = trial.changed(each, "UP", each.heal_began_ns, until)
    serving, name, wanted = each.serving_ns, prefix(each), trial.wanted.max_recovery_s
    taken = round(max(0, up.seen_ns - serving) / 1e9, 3) if up else None
    bound = detection_bounds.recovery_s(trial.checks, each.fault) if trial.checks else None
    findings.figures |= {f"{name}_recovery_s": taken, f"{name}_recovery_bound_s": bound}
    if bound is None:
        findings.doubts.append(f"{trial.named(each)}: [[proxy]] has no `checks` to compute a bound from")
        return
    if wanted is not None and bound > wanted:
        findings.against.append(
            f"{trial.named(each)}: the configuration allows {bound:g} s until it is used again, "
            f"wanted are {wanted:g} s"
        )
    if up is None or taken is None:
        watched = (until - serving) / 1e9
        findings.against.append(f"{trial.named(each)}: not UP {watched:.1f} s after it served again")
        return
    # Every check of the rise takes its own time.
    rise = trial.checks.rise if trial.checks else 1
    allowed = bound + rise * check_s(trial, each)
    findings.figures[f"{name}_recovery_allowed_s"] = round(allowed, 3)
    late_s = trial.late_s(each.heal_began_ns, up.seen_ns)
    promise(f"{trial.named(each)}: served again", "UP", (taken, allowed, late_s), findings)
    _without_error(trial, each, findings)
    _sources_back(trial, each, up, findings)


def _without_error(trial: Trial, each: Injected, findings: Findings) -> None:
    """Nobody may fail between the healing and the end, or the next fault where there is one.

    A server that goes DOWN again may have its sessions ended (`on-marked-down shutdown-sessions`): that is
    the next fault's doing, and no failed return.
    """
    until = trial.next_ns(each)
    bad = [
        a
        for a in trial.clients(each.api)
        if each.heal_began_ns < a.sent_ns and a.done_ns < until and not a.ok
    ]
    if bad:
        findings.against.append(
            f"{trial.named(each)}: {len(bad)} requests failed while it returned ({said_of(bad[0])})"
        )


def _sources_back(trial: Trial, each: Injected, up: Change, findings: Findings) -> None:
    if not trial.logged:
        findings.figures[f"{prefix(each)}_sources_back"] = None
        return
    mine = {source for source, server in homes(trial, each).items() if server == each.server}
    last = {
        a.source: a.server
        for a in trial.clients(each.api)
        if a.source in mine and up.seen_ns < a.sent_ns < trial.next_ns(each) and a.server is not None
    }
    elsewhere = sorted(source for source, server in last.items() if server != each.server)
    findings.figures[f"{prefix(each)}_sources_back"] = len(last) - len(elsewhere)
    if not mine or not last:
        when = "after" if mine else "before"
        findings.doubts.append(f"{trial.named(each)}: no source of it was seen {when} the fault")
    elif elsewhere:
        findings.against.append(
            f"{trial.named(each)}: {len(elsewhere)} of its {len(last)} sources did not come back, "
            f"{elsewhere[0]} is on {last[elsewhere[0]]}"
        )
