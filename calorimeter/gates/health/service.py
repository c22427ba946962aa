"""Service: whether clients notice a drain, a rolling restart, the loss of everything, a lost broker."""

from __future__ import annotations

from calorimeter.core import detection_bounds
from calorimeter.core.verdict import Judgement, Outcome, failed
from calorimeter.gates.health.outage import (
    Findings,
    before,
    detected_in_time,
    said_of,
    unproven,
    went_down,
)
from calorimeter.gates.health.trial import Attempt, Injected, Trial, Trials


def drain_unnoticed(trial: Trial) -> Judgement:
    """Whether a drained server got nothing new and no client with a connection per request saw an error."""
    findings = Findings()
    before(trial, findings)
    for each in trial.injected:
        shown = trial.changed(each, "DRAIN", each.at_ns, each.over_ns) or trial.changed(
            each, "MAINT", each.at_ns, each.over_ns
        )
        if shown is None:
            findings.doubts.append(f"{trial.named(each)}: the proxy did not show it drained")
            continue
        strays = [
            a
            for a in trial.clients(each.api)
            if a.server == each.server and shown.seen_ns < a.sent_ns and a.done_ns < each.over_ns
        ]
        if strays:
            findings.against.append(
                f"{trial.named(each)}: {len(strays)} new connections went there all the same "
                f"({strays[0].source})"
            )
        findings.figures[f"{each.api}_drained_after_s"] = round((shown.seen_ns - each.at_ns) / 1e9, 3)
    _unnoticed(trial, findings)
    if not findings.against and (lost := trial.unlogged()):
        findings.doubts.append(lost)
    return findings.judgement(f"a drain was not noticed by any of {_asked(trial)} requests")


def rolling_restart_unnoticed(trial: Trial) -> Judgement:
    """Whether every API was restarted, and no client with a connection per request saw an error."""
    findings = Findings()
    before(trial, findings)
    restarted = {(each.section, each.server) for each in trial.injected if each.fault == "stop"}
    for section, servers in trial.backends.items():
        left = [server for server in servers if (section, server) not in restarted]
        if left:
            findings.doubts.append(f"{section}: {', '.join(left)} was not restarted")
    for each in trial.injected:
        if doubt := unproven(trial, each, None):
            findings.doubts.append(doubt)
    _unnoticed(trial, findings)
    return findings.judgement(
        f"{len(restarted)} APIs were restarted in turn, and none of {_asked(trial)} requests noticed"
    )


def _asked(trial: Trial) -> int:
    return sum(not a.kept for a in trial.attempts)


def _unnoticed(trial: Trial, findings: Findings) -> None:
    for api in sorted({each.api for each in trial.injected}):
        mine, kept = trial.clients(api), trial.clients(api, kept=True)
        bad = [a for a in mine if not a.ok]
        findings.figures |= {
            f"{api}_requests": len(mine),
            f"{api}_failed": len(bad),
            f"{api}_longest_s": round(max((a.response_s for a in mine), default=0.0), 2),
            f"{api}_kept_alive_requests": len(kept),
            f"{api}_kept_alive_failed": sum(not a.ok for a in kept),
        }
        if bad:
            findings.against.append(
                f"{len(bad)} of {len(mine)} requests to {api} failed: {', '.join(map(said_of, bad[:3]))}"
            )


def back_by_itself(trial: Trial) -> Judgement:
    """Whether clients got errors in time while every server was dead, and service came back with them."""
    findings = Findings()
    before(trial, findings)
    for each in trial.injected:
        doubt = unproven(trial, each, went_down(trial, each))
        if doubt:
            findings.doubts.append(doubt)
    if trial.injected:
        for api in sorted({each.api for each in trial.injected}):
            _errors_in_time(trial, api, findings)
            _back(trial, [each for each in trial.injected if each.api == api], findings)
    return findings.judgement(
        "with every API dead clients got an error in time, and when the APIs were back so was the service"
    )


def _errors_in_time(trial: Trial, api: str, findings: Findings) -> None:
    dead_ns = max(each.ended_ns for each in trial.injected if each.api == api)
    first = min(each.heal_began_ns for each in trial.injected if each.api == api)
    met = [a for a in trial.clients(api) if dead_ns < a.sent_ns < first]
    longest = max((a.response_s for a in met), default=0.0)
    findings.figures |= {
        f"{api}_met_nobody": len(met),
        f"{api}_longest_s": round(longest, 2),
        f"{api}_outage_s": _outage_s(trial.clients(api)),
    }
    if not met:
        findings.doubts.append(f"{api}: no client asked while all its servers were dead")
    late = [a for a in met if (a.done_ns - a.sent_ns) / 1e9 > trial.wanted.hang_s]
    if late:
        findings.against.append(
            f"{api}: {len(late)} clients hung beyond {trial.wanted.hang_s:g} s ({said_of(late[0])})"
        )


def _outage_s(attempts: list[Attempt]) -> float:
    bad = [a for a in attempts if not a.ok]
    return round((max(a.done_ns for a in bad) - min(a.due_ns for a in bad)) / 1e9, 2) if bad else 0.0


def _back(trial: Trial, dead: list[Injected], findings: Findings) -> None:
    """From the moment that the first server is used again, nobody is refused."""
    api, serving = dead[0].api, [each.serving_ns for each in dead]
    bound = detection_bounds.recovery_s(trial.checks, "kill") if trial.checks else 0.0
    ups = [trial.changed(each, "UP", each.heal_began_ns, trial.ended_ns) for each in dead]
    seen = [up.seen_ns for up in ups if up is not None]
    # Without checks no server was ever DOWN, and each serves clients as soon as it listens.
    back_ns = min(seen) if seen else max(serving)
    findings.figures |= {
        f"{api}_back_after_s": round((back_ns - min(serving)) / 1e9, 3),
        f"{api}_back_bound_s": bound,
    }
    if trial.checks and len(seen) < len(dead):
        findings.against.append(
            f"{api}: {len(dead) - len(seen)} of {len(dead)} servers did not come back UP"
        )
    after = [a for a in trial.clients(api) if a.sent_ns > max(back_ns, *serving)]
    bad = [a for a in after if not a.ok]
    if bad:
        findings.against.append(
            f"{api}: {len(bad)} of {len(after)} requests failed after it was back ({said_of(bad[0])})"
        )
    if not after:
        findings.doubts.append(f"{api}: no client asked after it was back")


REMEDY = (
    "the health check never touches RPC; a deeper one does (docs/reference/gates-health.md: a healthcheck plugin "
    "that pings the engines), at the price that one broker outage takes every API down"
)


def cut_off_goes_down(trial: Trial) -> Judgement:
    """Whether an API that is cut off from RabbitMQ, and can serve nobody, is taken out of service."""
    judged = detected_in_time(Trials(trials=(trial,)))
    blind = [each for each in trial.injected if went_down(trial, each) is None]
    figures = judged.figures
    if judged.outcome is not Outcome.FAIL or not blind:
        return judged
    served = ", ".join(each.server for each in blind)
    return failed(
        f"{served} stayed in service while cut off from RabbitMQ: {REMEDY}",
        [judged.why, *judged.counter_examples],
        **figures,
    )
