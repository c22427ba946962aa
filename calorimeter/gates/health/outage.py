"""Detection: whether the proxy takes a broken server out as soon as its configuration promises.

A trial's time to detection runs from the fault's own moment to the first sign of DOWN: a look at the
proxy's state, or its log. It lies between the last look that did not show DOWN and that sign. What is
allowed is the bound of the configuration and one check that was under way (as long as this server's
longest good check in the trial). Where the sign comes within that and 100 ms, the bound is kept. The
proxy answers the looks in the loop that its timers are in: where a look in this very time took longer
than 100 ms, what came later by no more than that is INCONCLUSIVE, for timers may have been as late; what
came later still is a FAIL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from calorimeter.core import detection_bounds
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.health.trial import Attempt, Change, Injected, Said, Trial, Trials

AGREE_S = 0.1
"""Log and state may differ by this, and the time between two looks; so finely detection is measured."""

SLOW_S = 1.0
"""From here on an answered request is reported as slow; nothing is judged by it."""

FEWEST = 20
"""Requests before the fault, so that a deployment which was not well before is known."""


@dataclass(slots=True)
class Findings:
    """What speaks against a property, what makes the evidence unfit to judge it, and the figures."""

    against: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)

    def judgement(self, good: str) -> Judgement:
        """Doubts come first: what was not seen properly refutes nothing."""
        if self.doubts:
            return inconclusive(self.doubts[0], **self.figures)
        if self.against:
            return failed(self.against[0], self.against[1:], **self.figures)
        return passed(good, **self.figures)


def detected_in_time(evidence: Trials) -> Judgement:
    """Whether each fault was detected within the bound that the configuration implies, and that bound is
    what the owner wants; and whether clients were served from then on."""
    findings = Findings()
    for trial in evidence.trials:
        before(trial, findings)
        for each in trial.injected:
            _detected(trial, each, findings)
            _served_after(trial, each, findings)
            _clients(trial, each, findings)
    if not findings.against:
        cut = [trial for trial in evidence.trials if trial.wanted.cut_sessions]
        findings.doubts += [lost for trial in cut if (lost := trial.unlogged())]
    seen = [str(v) for k, v in findings.figures.items() if k.endswith("_detection_s") and v is not None]
    worst = max(map(float, seen), default=0.0)
    what = ", ".join(dict.fromkeys(trial.fault for trial in evidence.trials))
    return findings.judgement(
        f"{what}: every broken server was DOWN within its bound, at the latest after {worst:.1f} s"
    )


def prefix(each: Injected) -> str:
    """`rest_kill`: the begin of a figure's name."""
    return f"{each.api}_{each.fault}".replace("-", "_")


def before(trial: Trial, findings: Findings) -> None:
    """The deployment must be well before anything is broken, and be seen to be."""
    if not trial.injected:
        findings.doubts.append(f"{trial.fault}: nothing was broken")
        return
    first = min(each.at_ns for each in trial.injected)
    early = [a for a in trial.attempts if a.done_ns < first]
    bad = [a for a in early if not a.ok]
    if bad:
        findings.doubts.append(
            f"{trial.fault}: {len(bad)} of {len(early)} requests failed before anything was broken "
            f"({said_of(bad[0])})"
        )
    elif len(early) < FEWEST:
        findings.doubts.append(f"{trial.fault}: only {len(early)} requests were answered before the fault")


def unproven(trial: Trial, each: Injected, down: Change | None) -> str | None:
    """Why it is not sure that the fault happened at all; None where it is."""
    if each.happened is False:
        healthy = sum(
            p.healthy for p in each.direct if each.ended_ns < p.sent_ns and p.done_ns < each.over_ns
        )
        return (
            f"the fault did not happen: {each.server} answered {healthy} times at its own address "
            f"after the command for {each.fault!r} had ended well"
        )
    if each.happened is None and down is None:
        return (
            f"nothing shows that {each.fault!r} happened: {each.server} cannot be asked at its own address"
        )
    return None


def went_down(trial: Trial, each: Injected) -> Change | None:
    """When the proxy first showed the server DOWN because of the fault."""
    return trial.changed(each, "DOWN", each.at_ns, each.over_ns)


def _detected(trial: Trial, each: Injected, findings: Findings) -> None:
    down = went_down(trial, each)
    doubt = unproven(trial, each, down)
    if doubt:
        findings.doubts.append(doubt)
        return
    name, wanted = prefix(each), trial.wanted.max_detection_s
    taken = round((down.seen_ns - each.at_ns) / 1e9, 3) if down else None
    bound = detection_bounds.detection_s(trial.checks, each.fault) if trial.checks else None
    findings.figures |= {f"{name}_detection_s": taken, f"{name}_bound_s": bound}
    if bound is not None and wanted is not None and bound > wanted:
        findings.against.append(
            f"{trial.named(each)}: the configuration allows {bound:g} s until it is detected, "
            f"wanted are {wanted:g} s"
        )
    if down is None or taken is None:
        findings.against.append(_undetected(trial, each))
        return
    if bound is None:
        findings.doubts.append(
            f"{trial.named(each)}: detected after {taken:.1f} s, but [[proxy]] has no `checks` to compute "
            "a bound from"
        )
        return
    allowed = bound + check_s(trial, each)
    told = log_line(trial, each, "DOWN", each.at_ns, each.over_ns) if trial.logged else None
    sign_ns = min(down.seen_ns, told.received_ns) if told else down.seen_ns
    findings.figures[f"{name}_allowed_s"] = round(allowed, 3)
    findings.figures[f"{name}_resolution_s"] = round((down.seen_ns - down.last_ns) / 1e9, 3)
    seen_s, late_s = (sign_ns - each.at_ns) / 1e9, trial.late_s(each.at_ns, down.seen_ns)
    promise(trial.named(each), "DOWN", (seen_s, allowed, late_s), findings)
    _agreeing(trial, each, down, findings)


def promise(who: str, state: str, measured: tuple[float, float, float], findings: Findings) -> None:
    """Whether a state was there in time. `measured`: seconds until it was seen, those that are allowed, and
    the longest look meanwhile."""
    seen_s, allowed_s, late_s = measured
    if seen_s > allowed_s + max(late_s, AGREE_S):
        findings.against.append(
            f"{who}: {state} only after {seen_s:.2f} s, its configuration promises {allowed_s:.2f} s"
        )
    elif seen_s > allowed_s + AGREE_S:
        findings.doubts.append(
            f"{who}: {state} after {seen_s:.2f} s, its configuration promises {allowed_s:.2f} s, and the "
            f"proxy or this machine stood still for {late_s:.2f} s meanwhile"
        )


def check_s(trial: Trial, each: Injected) -> float:
    """One check that was under way: as long as this server's longest good one."""
    return trial.check_ms.get(f"{each.section}/{each.server}", 0) / 1e3


def _undetected(trial: Trial, each: Injected) -> str:
    watched = (min(each.over_ns, trial.ended_ns) - each.at_ns) / 1e9
    status = next(
        (c.status for c in reversed(trial.changes)
         if (c.section, c.server) == (each.section, each.server) and c.seen_ns < each.over_ns), "not there",
    )  # fmt: skip
    why = {
        "no check": "the proxy checks nothing, its `server` lines need the word `check`",
    }.get(status, "its checks do not see it")
    if each.fault == "refuse-checks" and status.startswith("UP"):
        why = "the checks ask for a path that is answered all the same, not for /healthcheck"
    return f"{trial.named(each)}: not detected in {watched:.1f} s, the proxy says {status!r}: {why}"


def _agreeing(trial: Trial, each: Injected, down: Change, findings: Findings) -> None:
    """The proxy's log and its state must tell the same moment."""
    if not trial.logged:
        return
    told = log_line(trial, each, "DOWN", each.at_ns, each.over_ns)
    name = prefix(each)
    findings.figures[f"{name}_log_detection_s"] = (
        round((told.received_ns - each.at_ns) / 1e9, 3) if told else None
    )
    if told is None:
        findings.doubts.append(
            f"{trial.named(each)}: the state says DOWN, the proxy's log says nothing of it"
        )
    elif not down.last_ns - AGREE_S * 1e9 <= told.received_ns <= down.seen_ns + AGREE_S * 1e9:
        apart = (told.received_ns - down.seen_ns) / 1e9
        findings.doubts.append(
            f"{trial.named(each)}: log and state are {apart:+.2f} s apart on when it was DOWN"
        )


def log_line(trial: Trial, each: Injected, state: str, after_ns: int, before_ns: int) -> Said | None:
    """The log's first word that a server came to a state."""
    return next(
        (
            line
            for line in trial.said
            if (line.section, line.server, line.state) == (each.section, each.server, state)
            and after_ns < line.received_ns <= before_ns + AGREE_S * 1e9
        ),
        None,
    )


def _served_after(trial: Trial, each: Injected, findings: Findings) -> None:
    """Once the server is DOWN, clients are served by the others, and its hung sessions have ended."""
    down = went_down(trial, each)
    if down is None or len(trial.backends[each.section]) < 2:
        return
    bad = [
        a for a in trial.clients(each.api) if down.seen_ns < a.sent_ns < each.over_ns and not a.ok
    ]  # fmt: skip
    if bad:
        findings.against.append(
            f"{trial.named(each)}: {len(bad)} requests failed after it was DOWN ({said_of(bad[0])})"
        )
    if trial.wanted.cut_sessions:
        hung = list(_hung(trial, each, down))
        findings.figures[f"{prefix(each)}_hung_sessions"] = len(hung)
        if hung:
            longest = max((a.done_ns - down.seen_ns) / 1e9 for a in hung)
            findings.against.append(
                f"{trial.named(each)}: {len(hung)} requests stayed on it for up to {longest:.1f} s after "
                "it was DOWN; `on-marked-down shutdown-sessions` ends them"
            )


def _hung(trial: Trial, each: Injected, down: Change) -> Iterator[Attempt]:
    """Requests that were still with the server well after it was DOWN.

    HAProxy cuts sessions that have a connection to the server. One whose connection is still being
    made ends by `timeout connect`, so where packets vanish only kept connections count.
    """
    unconnected = detection_bounds.FAILS.get(each.fault) == "unconnected"
    early = [a.done_ns - a.sent_ns for a in trial.attempts if a.done_ns < each.at_ns]
    patience = trial.largest_gap_ns + max(early, default=0) + int(AGREE_S * 1e9)
    for a in trial.attempts:
        mine = a.api == each.api and a.server == each.server and a.sent_ns < down.last_ns
        mine = mine and (a.kept or not unconnected)
        if mine and a.done_ns > down.seen_ns + patience:
            yield a


def _clients(trial: Trial, each: Injected, findings: Findings) -> None:
    """What clients saw between the fault and its end: figures, nothing is judged."""
    name = prefix(each)
    findings.figures |= client_figures(trial, each, name)


def client_figures(trial: Trial, each: Injected, name: str) -> dict[str, Figure]:
    """Failed and slow requests of an API's clients from the fault on, their sources, and for how long."""
    during = [a for a in trial.clients(each.api) if a.done_ns > each.at_ns]
    bad = [a for a in during if not a.ok]
    slow = [a for a in during if a.ok and a.response_s > SLOW_S]
    kept = [a for a in trial.clients(each.api, kept=True) if a.done_ns > each.at_ns and not a.ok]
    outage = (max(a.done_ns for a in bad) - min(a.due_ns for a in bad)) / 1e9 if bad else 0.0
    return {
        f"{name}_requests": len(during),
        f"{name}_failed": len(bad),
        f"{name}_slow": len(slow),
        f"{name}_sources": len({a.source for a in during}),
        f"{name}_sources_hit": len({a.source for a in bad}),
        f"{name}_outage_s": round(outage, 2),
        f"{name}_longest_s": round(max((a.response_s for a in during), default=0.0), 2),
        f"{name}_kept_alive_failed": len(kept),
        **_moved(trial, each, name),
    }


def _moved(trial: Trial, each: Injected, name: str) -> dict[str, Figure]:
    """Of the sources of servers that stay, how many were sent elsewhere while the server was DOWN."""
    down = went_down(trial, each)
    if not trial.logged or down is None:
        return {f"{name}_sources_moved": None}
    home = homes(trial, each)
    moved = {
        a.source
        for a in trial.clients(each.api)
        if down.seen_ns < a.sent_ns < each.over_ns
        and a.server is not None
        and home.get(a.source, each.server) not in (each.server, a.server)
    }
    return {f"{name}_sources_moved": len(moved)}


def homes(trial: Trial, each: Injected) -> dict[str, str]:
    """Source → the server that it had before the fault, by the proxy's log."""
    return {
        a.source: a.server
        for a in trial.clients(each.api)
        if a.done_ns < each.at_ns and a.server is not None
    }


def said_of(attempt: Attempt) -> str:
    """`127.16.3.4: closed without an answer`."""
    return f"{attempt.source}: {attempt.error or f'status {attempt.status}'}"
