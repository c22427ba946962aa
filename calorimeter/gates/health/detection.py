"""Detection: whether the proxy takes a failed server out of service within its configuration's bound.

The time to detection runs from the moment of the fault to the first sign of DOWN, in a poll of the
proxy's state or in its log; the true moment lies between the last poll that did not show DOWN and that
sign. Allowed are the configuration's bound and one check that was in progress (the longest successful check
of this server in the trial). If the sign comes within that and 100 ms, the bound is kept.

The proxy answers polls in the same event loop that runs its timers. If a poll in this very time took longer
than 100 ms, the timers may have been as late: a sign that is late by no more than that is INCONCLUSIVE; a
later one is FAIL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from calorimeter.core import detection_bounds
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.health.trial import (
    Attempt,
    FaultTrial,
    FaultTrials,
    InjectedFault,
    LoggedStatus,
    StatusChange,
)

AGREE_S = 0.1
"""Log and state may differ by this and by the time between two polls; the resolution of detection."""

SLOW_S = 1.0
"""From here on an answered request is counted as slow; nothing is judged by it."""

FORGOTTEN = 2
"""Times as long as HAProxy's attempts take, from which on a client that still waits is forgotten."""

FEWEST = 20
"""Requests needed before the fault, to know that the deployment was healthy then."""


@dataclass(slots=True)
class JudgementBuilder:
    """Collects what refutes a property, why the evidence cannot be judged, and the figures."""

    against: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)

    def judgement(self, good: str) -> Judgement:
        """The judgement: doubts come first, for evidence that cannot be judged refutes nothing."""
        if self.doubts:
            return inconclusive(self.doubts[0], **self.figures)
        if self.against:
            return failed(self.against[0], self.against[1:], **self.figures)
        return passed(good, **self.figures)

    def largest(self, ending: str) -> float:
        """The largest figure whose name ends in this way; 0 if no name does."""
        return max(
            (float(v) for k, v in self.figures.items() if k.endswith(ending) and v is not None), default=0.0
        )


def detected_in_time(evidence: FaultTrials) -> Judgement:
    """Whether the proxy detected each fault within the configuration's bound, that bound is within
    `max_detection_s`, and clients were served from then on."""
    builder = JudgementBuilder()
    for trial in evidence.trials:
        check_before(trial, builder)
        for fault in trial.injected:
            _detected(trial, fault, builder)
            _served_after(trial, fault, builder)
            _forgotten(trial, fault, builder)
            builder.figures |= _client_figures(trial, fault)
    if not builder.against:
        cut = [trial for trial in evidence.trials if trial.wanted.cut_sessions]
        builder.doubts += [gap for trial in cut if (gap := trial.log_gap())]
    faults = ", ".join(dict.fromkeys(trial.fault for trial in evidence.trials))
    within_s = builder.largest("_answered_within_s")
    slow = f"; slow servers answered within {within_s:.1f} s, which their checks allow" if within_s else ""
    return builder.judgement(
        f"{faults}: the proxy took every failed server DOWN within its bound, the slowest after "
        f"{builder.largest('_detection_s'):.1f} s{slow}"
    )


def prefix(fault: InjectedFault) -> str:
    """`rest_kill`: prefix of a figure's name."""
    return f"{fault.api}_{fault.fault}".replace("-", "_")


def check_before(trial: FaultTrial, builder: JudgementBuilder) -> None:
    """Doubt a trial without a fault, or with failed or too few requests before its first one."""
    if not trial.injected:
        builder.doubts.append(f"{trial.fault}: no fault was injected")
        return
    first_ns = min(fault.at_ns for fault in trial.injected)
    early = [a for a in trial.attempts if a.done_ns < first_ns]
    bad = [a for a in early if not a.ok]
    if bad:
        builder.doubts.append(
            f"{trial.fault}: {len(bad)} of {len(early)} requests failed before the fault ({bad[0]})"
        )
    elif len(early) < FEWEST:
        builder.doubts.append(
            f"{trial.fault}: {len(early)} requests were answered before the fault, {FEWEST} are needed"
        )


def unproven(fault: InjectedFault, down: StatusChange | None) -> str | None:
    """Why it is not certain that the fault happened; None if it is."""
    if fault.happened is False:
        healthy = sum(
            r.healthy for r in fault.direct if fault.ended_ns < r.sent_ns and r.done_ns < fault.over_ns
        )
        return (
            f"the fault did not happen: {fault.server} answered {healthy} times at its own address after "
            f"the command for {fault.fault!r} had succeeded"
        )
    if fault.happened is None and down is None:
        where = f"{fault.server} cannot be reached at its own address"
        return f"nothing proves that {fault.fault!r} happened: {where}"
    return None


def _detected(trial: FaultTrial, fault: InjectedFault, builder: JudgementBuilder) -> None:
    down = trial.down(fault)
    doubt = unproven(fault, down)
    if doubt:
        builder.doubts.append(doubt)
        return
    name, limit_s = prefix(fault), trial.wanted.max_detection_s
    taken_s = round((down.seen_ns - fault.at_ns) / 1e9, 3) if down else None
    bound_s = detection_bounds.detection_s(trial.checks, fault.fault) if trial.checks else None
    builder.figures |= {f"{name}_detection_s": taken_s, f"{name}_bound_s": bound_s}
    if bound_s is not None and limit_s is not None and bound_s > limit_s:
        builder.against.append(
            f"{fault}: the configuration allows {bound_s:g} s to detect it, but max_detection_s is "
            f"{limit_s:g} s"
        )
    if down is None or taken_s is None:
        within_s = _tolerated_s(trial, fault)
        if within_s is None:
            builder.against.append(_undetected(trial, fault))
        else:
            builder.figures[f"{name}_answered_within_s"] = round(within_s, 3)
        return
    if bound_s is None:
        builder.doubts.append(
            f"{fault}: DOWN after {taken_s:.1f} s, but [[proxy]] has no `checks` to compute a bound from"
        )
        return
    allowed_s = bound_s + check_s(trial, fault)
    line = _line_of(trial, fault, down) if trial.logged else None
    sign_ns = min(down.seen_ns, line.received_ns) if line else down.seen_ns
    builder.figures[f"{name}_allowed_s"] = round(allowed_s, 3)
    builder.figures[f"{name}_resolution_s"] = round((down.seen_ns - down.last_ns) / 1e9, 3)
    gap_s = trial.longest_gap_s(fault.at_ns, down.seen_ns)
    measured = ((sign_ns - fault.at_ns) / 1e9, allowed_s, gap_s)
    check_bound(f"{fault}: DOWN", "the fault", measured, builder, fault.unknown_s)
    if trial.logged:
        _check_agreement(fault, down, line, builder)


def _tolerated_s(trial: FaultTrial, fault: InjectedFault) -> float | None:
    """The longest answer (s) of a server that was slow, if a check waits longer: no check fails then.

    None if its answers came later than a check waits, or none came late: nothing shows how slow it was.
    """
    if fault.fault != "slow" or trial.checks is None or not _status_under(trial, fault).startswith("UP"):
        return None
    during = [a for a in trial.clients(fault.api) if fault.ended_ns < a.sent_ns < fault.over_ns]
    late = [a.response_s for a in during if a.ok and a.response_s > SLOW_S]
    longest_s = max(late, default=0.0)
    return longest_s if 0 < longest_s < detection_bounds.answer_s(trial.checks) else None


def check_bound(
    what: str,
    since: str,
    measured: tuple[float, float, float],
    builder: JudgementBuilder,
    unknown_s: float = 0.0,
) -> None:
    """Judge whether a status came in time.

    `what` is `rest-1: kill: DOWN`; `measured` are the seconds from `since` until it was seen, the seconds
    allowed, and the longest time between two polls until then. The moment `since` may have been up to
    `unknown_s` later than it is measured from.
    """
    seen_s, allowed_s, gap_s = measured
    sentence = f"{what} {seen_s:.2f} s after {since}, the configuration allows {allowed_s:.2f} s"
    if seen_s - unknown_s > allowed_s + max(gap_s, AGREE_S):
        builder.against.append(sentence)
    elif seen_s > allowed_s + max(gap_s, AGREE_S):
        builder.doubts.append(
            f"{sentence}, but {since} was at some time within {unknown_s:.2f} s (its command says)"
        )
    elif seen_s > allowed_s + AGREE_S:
        builder.doubts.append(
            f"{sentence}, but the proxy or this machine was paused for {gap_s:.2f} s in that time"
        )


def check_s(trial: FaultTrial, fault: InjectedFault) -> float:
    """One check that was in progress: as long as this server's longest successful one."""
    return trial.check_ms.get(f"{fault.section}/{fault.server}", 0) / 1e3


def _status_under(trial: FaultTrial, fault: InjectedFault) -> str:
    """The server's last status before it was healed, as the proxy shows it."""
    place = (fault.section, fault.server)
    statuses = [
        c.status for c in trial.changes if (c.section, c.server) == place and c.seen_ns < fault.over_ns
    ]
    return statuses[-1] if statuses else "no such server"


def _undetected(trial: FaultTrial, fault: InjectedFault) -> str:
    watched_s = (min(fault.over_ns, trial.ended_ns) - fault.at_ns) / 1e9
    status = _status_under(trial, fault)
    why = "its checks still succeed"
    if status == "no check":
        why = "nothing is checked, the `server` lines need the word `check`"
    elif fault.fault == "refuse-checks" and status.startswith("UP"):
        why = "its checks request a path that is still answered, not /healthcheck"
    return f"{fault}: not detected within {watched_s:.1f} s, the proxy shows {status!r}: {why}"


def _check_agreement(
    fault: InjectedFault, down: StatusChange, line: LoggedStatus | None, builder: JudgementBuilder
) -> None:
    """Doubt a detection on which the proxy's log and its state disagree."""
    name = f"{prefix(fault)}_log_detection_s"
    builder.figures[name] = round((line.received_ns - fault.at_ns) / 1e9, 3) if line else None
    if line is None:
        builder.doubts.append(f"{fault}: the proxy's state shows DOWN, but its log has no line about it")
    elif not down.last_ns - AGREE_S * 1e9 <= line.received_ns <= down.seen_ns + AGREE_S * 1e9:
        apart_s = (line.received_ns - down.seen_ns) / 1e9
        builder.doubts.append(
            f"{fault}: the proxy's log and its state disagree by {apart_s:+.2f} s on when it went DOWN"
        )


def _line_of(trial: FaultTrial, fault: InjectedFault, down: StatusChange) -> LoggedStatus | None:
    """The log's line about this change: each of several proxies writes one, so the nearest in time."""
    place, latest_ns = (fault.section, fault.server, "DOWN"), fault.over_ns + AGREE_S * 1e9
    lines = [line for line in trial.said if (line.section, line.server, line.state) == place]
    of_fault = [line for line in lines if fault.at_ns < line.received_ns <= latest_ns]
    return min(of_fault, key=lambda line: abs(line.received_ns - down.seen_ns), default=None)


def _served_after(trial: FaultTrial, fault: InjectedFault, builder: JudgementBuilder) -> None:
    """Judge whether other servers served the clients once the server was DOWN, and its sessions ended."""
    down = trial.down(fault)
    if down is None or len(trial.backends[fault.section]) < 2:
        return
    later = [a for a in trial.clients(fault.api) if down.seen_ns < a.sent_ns < fault.over_ns]
    bad = [a for a in later if not a.ok]
    if bad:
        builder.against.append(f"{fault}: {len(bad)} requests failed after it was DOWN ({bad[0]})")
    if trial.wanted.cut_sessions:
        hung = list(_hung(trial, fault, down))
        builder.figures[f"{prefix(fault)}_hung_sessions"] = len(hung)
        if hung:
            longest_s = max((a.done_ns - down.seen_ns) / 1e9 for a in hung)
            builder.against.append(
                f"{fault}: {len(hung)} requests stayed on it for up to {longest_s:.1f} s after it was "
                "DOWN; `on-marked-down shutdown-sessions` ends them"
            )


def _forgotten(trial: FaultTrial, fault: InjectedFault, builder: JudgementBuilder) -> None:
    """Judge whether clients that came between the fault and DOWN got an answer or an end.

    A dead server refuses each of HAProxy's attempts at once, so they are over within `attempts_s`. Clients
    of other servers are left out, if each has its own: those may be slow themselves.
    """
    down = trial.down(fault)
    if down is None or not fault.refuses:
        return
    homes = trial.homes(fault) if trial.wanted.by_source(fault.api) else {}
    window = [a for a in trial.clients(fault.api) if fault.at_ns < a.sent_ns < down.seen_ns]
    ours = [a for a in window if homes.get(a.source, fault.server) == fault.server]
    limit_s = detection_bounds.attempts_s(0.0)
    left = [a for a in ours if a.unended and a.done_ns - a.sent_ns > FORGOTTEN * limit_s * 1e9]
    builder.figures[f"{prefix(fault)}_forgotten"] = len(left)
    if left:
        longest_s = max((a.done_ns - a.sent_ns) / 1e9 for a in left)
        builder.against.append(
            f"{fault}: {len(left)} of {len(ours)} requests that came before it was DOWN got neither an "
            f"answer nor an end in up to {longest_s:.1f} s; HAProxy's attempts take {limit_s:g} s at most: "
            "it forgot them between two (`option redispatch 1` avoids that, see A7-redispatch-late)"
        )


def _hung(trial: FaultTrial, fault: InjectedFault, down: StatusChange) -> Iterator[Attempt]:
    """Requests that were still with the server well after it was DOWN.

    HAProxy cuts sessions that have a connection to the server. One whose connection is still being made
    ends by `timeout connect`, so if packets vanish only kept connections count.
    """
    unconnected = detection_bounds.FAILS.get(fault.fault) == "unconnected"
    early = [a.done_ns - a.sent_ns for a in trial.attempts if a.done_ns < fault.at_ns]
    patience_ns = trial.largest_gap_ns + max(early, default=0) + int(AGREE_S * 1e9)
    for a in trial.attempts:
        theirs = a.api == fault.api and a.server == fault.server and a.sent_ns < down.last_ns
        if theirs and (a.kept or not unconnected) and a.done_ns > down.seen_ns + patience_ns:
            yield a


def _client_figures(trial: FaultTrial, fault: InjectedFault) -> dict[str, Figure]:
    """What an API's clients saw from the fault on; nothing is judged by it."""
    name = prefix(fault)
    during = [a for a in trial.clients(fault.api) if a.done_ns > fault.at_ns]
    bad = [a for a in during if not a.ok]
    slow = [a for a in during if a.ok and a.response_s > SLOW_S]
    kept = [a for a in trial.clients(fault.api, kept=True) if a.done_ns > fault.at_ns and not a.ok]
    return {
        f"{name}_requests": len(during),
        f"{name}_failed": len(bad),
        f"{name}_slow": len(slow),
        f"{name}_sources": len({a.source for a in during}),
        f"{name}_sources_hit": len({a.source for a in bad}),
        f"{name}_outage_s": outage_s(bad),
        f"{name}_longest_s": round(max((a.response_s for a in during), default=0.0), 2),
        f"{name}_kept_alive_failed": len(kept),
        f"{name}_sources_moved": _moved(trial, fault),
    }


def outage_s(bad: list[Attempt]) -> float:
    """From when the first of these failed requests was due to the end of the last."""
    return round((max(a.done_ns for a in bad) - min(a.due_ns for a in bad)) / 1e9, 2) if bad else 0.0


def _moved(trial: FaultTrial, fault: InjectedFault) -> int | None:
    """How many sources of other servers moved while the server was DOWN; None if the log cannot show it, or
    if sources have no servers."""
    down = trial.down(fault)
    if not trial.logged or down is None or not trial.wanted.by_source(fault.api):
        return None
    home = trial.homes(fault)
    return len(
        {
            a.source
            for a in trial.clients(fault.api)
            if down.seen_ns < a.sent_ns < fault.over_ns
            and a.server is not None
            and home.get(a.source, fault.server) not in (fault.server, a.server)
        }
    )
