"""P5: the proxy's timeouts fire when they should; which takes effect where, and which masks another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from calorimeter.core.deployment import Checks
from calorimeter.core.detection_bounds import detection_s
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed

Mode = Literal["tcp", "http"]
WaitKind = Literal["silent", "upload", "hung", "connect"]

APPLY: dict[tuple[str, WaitKind], tuple[str, ...]] = {
    ("tcp", "silent"): ("client", "server"),
    ("tcp", "hung"): ("client", "server"),
    ("http", "silent"): ("http-request", "client"),
    ("http", "upload"): ("server",),
    ("http", "hung"): ("server",),
    ("tcp", "connect"): ("connect",),
    ("http", "connect"): ("connect",),
}
"""(mode, kind of wait) → the timeouts that run during it, of which the shortest fires.

In `mode tcp` the timeouts of both sides run at once, no matter which side is silent. In `mode http`,
`http-request` and `client` run until the request's headers are complete, and `server` runs after that,
whether or not a body is missing. (HAProxy's configuration manual on each timeout; measured on 2.6.12.)
"""

MEANS: dict[WaitKind, str] = {
    "silent": "a client that sends nothing",
    "upload": "a client whose request body is never sent",
    "hung": "a server that does not answer",
    "connect": "a server whose packets vanish",
}

TICK_S = 0.01
"""HAProxy's timers have a resolution of 1 ms; this machine and the network add less than 10 ms."""

LATE_S = 1.0
"""A timer may fire late if the proxy's host is busy; more than a second late, it is another timeout."""


class TimeoutWait(Model):
    """One wait that a timeout of the proxy had to end.

    `ended_s` is when it ended, in seconds from its start, None if it still lasted at `gave_up_s`. `begun_s`
    is how long connecting, TLS and sending took before that, while the proxy's timer may have been running.
    `ended_by` is what the client received, `termination` the termination state in the proxy's log (two or
    four letters).
    """

    api: str
    mode: Mode
    what: WaitKind
    ended_s: float | None
    gave_up_s: float
    begun_s: float = 0.0
    ended_by: str = ""
    termination: str | None = None


class TimeoutWaits(Model):
    """Evidence of P5. `described` is timeout → seconds as the owner wants them.

    `masked` is API → timeout → why no wait could show it. `missed` is API → why waits that were due were
    not made. `late_s` is how late timers were at worst: this machine's own, and the proxy's, by how long it
    took to answer a request for its state.
    """

    described: dict[str, float]
    waits: tuple[TimeoutWait, ...]
    masked: dict[str, dict[str, str]] = {}
    missed: dict[str, tuple[str, ...]] = {}
    late_s: float = 0.0

    def of(self, api: str) -> TimeoutWaits:
        """The evidence on one API."""
        waits = tuple(wait for wait in self.waits if wait.api == api)
        masked, missed = {api: self.masked.get(api, {})}, {api: self.missed.get(api, ())}
        return self.model_copy(update={"waits": waits, "masked": masked, "missed": missed})


def timeouts_as_described(evidence: TimeoutWaits) -> Judgement:
    """Whether each wait of each API ended when the shortest of the timeouts that apply to it fires.

    A timer that fires does so each time. Each is observed once, so no rate of missed violations is given.
    """
    apis = {api: evidence.of(api) for api in dict.fromkeys(wait.api for wait in evidence.waits)}
    figures = _figures(evidence, apis)
    if not evidence.described:
        return inconclusive("[expect] describes no timeout", **figures)
    against = [line for wait in evidence.waits for line in _against(evidence, wait)]
    if against:
        return failed("the proxy's timeouts are not the described ones", against, **figures)
    doubts = [line for each in apis.values() for line in _doubts(each)]
    if doubts:
        return inconclusive("; ".join(dict.fromkeys(doubts)), **figures)
    if not any(_proven(each) for each in apis.values()):
        unseen = dict.fromkeys(_sentence(each) for each in apis.values())
        return inconclusive(f"no timeout was observed to fire: {'; '.join(unseen)}", **figures)
    sentences: dict[str, list[str]] = {}
    for api, each in apis.items():
        sentences.setdefault(_sentence(each), []).append(api.upper())
    if len(sentences) == 1:
        return passed(next(iter(sentences)), **figures)
    return passed("; ".join(f"{' and '.join(names)}: {s}" for s, names in sentences.items()), **figures)


def _figures(evidence: TimeoutWaits, apis: dict[str, TimeoutWaits]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {f"described_{name}_s": s for name, s in evidence.described.items()}
    figures["connections"] = len(evidence.waits)
    for wait in evidence.waits:
        figures[f"{wait.api}_{wait.what}_s"] = wait.ended_s
        if wait.termination:
            figures[f"{wait.api}_{wait.what}_termination"] = wait.termination
    for api, each in apis.items():
        figures[f"{api}_proven"] = ", ".join(sorted(_proven(each))) or None
        figures[f"{api}_masked"] = ", ".join(sorted(_unseen(each))) or None
    return figures


def _sentence(of: TimeoutWaits) -> str:
    """What was proven of one API, and what masks the others."""
    proven = ", ".join(f"timeout {name} {of.described[name]:g} s" for name in sorted(_proven(of)))
    masked = "; ".join(f"timeout {name} {why}" for name, why in sorted(_unseen(of).items()))
    return f"proven: {proven or 'none'}" + (f"; masked: {masked}" if masked else "")


def effective(evidence: TimeoutWaits, wait: TimeoutWait) -> tuple[str, float] | None:
    """The timeout that must end a wait; None if not all timeouts that apply are described."""
    apply = APPLY[wait.mode, wait.what]
    if not all(name in evidence.described for name in apply):
        return None
    name = min(apply, key=lambda each: evidence.described[each])
    return name, evidence.described[name]


def _against(evidence: TimeoutWaits, wait: TimeoutWait) -> Iterator[str]:
    found = effective(evidence, wait)
    if found is None or _queued(wait):
        return
    name, bound = found
    where = f"{wait.api.upper()}: {MEANS[wait.what]}"
    if wait.ended_s is None:
        if wait.gave_up_s >= bound + LATE_S + evidence.late_s:
            yield f"{where}: still open after {wait.gave_up_s:.1f} s, but timeout {name} is {bound:g} s"
        return
    described = f"timeout {name} is described as {bound:g} s"
    moment = _moment(evidence, wait, bound)
    if moment == "before" and _by_the_proxy(wait):
        by = wait.termination or wait.ended_by
        yield f"{where}: ended after {wait.ended_s:.2f} s ({by}), but {described}"
    elif moment == "after":
        yield f"{where}: ended after {wait.ended_s:.2f} s, but {described}"


def _moment(
    evidence: TimeoutWaits, wait: TimeoutWait, bound_s: float
) -> Literal["before", "about", "at", "after"]:
    """When a wait ended relative to its timeout; "about": the timer was late, or it was another timeout."""
    ended_s = wait.ended_s or 0.0
    if ended_s + wait.begun_s < bound_s - TICK_S:
        return "before"
    if ended_s > bound_s + LATE_S + evidence.late_s:
        return "after"
    early = ended_s + min(wait.begun_s, LATE_S) < bound_s - TICK_S
    return "about" if early or ended_s > bound_s + LATE_S else "at"


def _by_the_proxy(wait: TimeoutWait) -> bool:
    """Whether a timer of the proxy ended a wait, as far as the evidence shows.

    A termination state that begins with `c` or `s` is a timeout of the client's or the server's side.
    Without a log line, every answer in `mode tcp` is the API's; in `mode http` all but 408 and 504 are.
    """
    if wait.termination:
        return wait.termination[0] in "cs"
    if not wait.ended_by.startswith("HTTP/"):
        return True
    return wait.mode == "http" and wait.ended_by.split()[1:2] in (["408"], ["504"])


def _ended_by_the_api(of: TimeoutWaits, wait: TimeoutWait) -> bool:
    """Whether the API ended a wait by itself, before a timeout of the proxy could: it masks that timeout.

    uWSGI, for instance, waits 4 s for a request's body (`socket-timeout`).
    """
    found = effective(of, wait)
    if found is None or wait.ended_s is None or _queued(wait) or _by_the_proxy(wait):
        return False
    return _moment(of, wait, found[1]) == "before"


def _queued(wait: TimeoutWait) -> bool:
    """Whether it ended in HAProxy's queue for a server, by the log: then `timeout queue` ended it."""
    return (wait.termination or "")[1:2] == "Q"


def _doubts(of: TimeoutWaits) -> Iterator[str]:
    """What could not be determined for one API."""
    waits = [wait for wait in of.waits if not _ended_by_the_api(of, wait)]
    unproven = [f"{MEANS[wait.what]}: {why}" for wait in waits if (why := _unproven(of, wait))]
    yield from unproven
    for reasons in of.missed.values():
        yield from reasons
    if unproven or any(of.missed.values()):
        return
    seen = _proven(of) | _unseen(of).keys()
    for name in of.described:
        if name not in seen and any(name in _applying(wait.mode) for wait in of.waits):
            yield f"timeout {name} was not observed to fire, for an unknown reason"


def _unproven(of: TimeoutWaits, wait: TimeoutWait) -> str | None:
    """Why a wait does not prove its timeout; None if it does."""
    found = effective(of, wait)
    if found is None:
        names = [name for name in APPLY[wait.mode, wait.what] if name not in of.described]
        return f"[expect] does not describe timeout {' and timeout '.join(names)}"
    if wait.ended_s is None:
        return f"still open after {wait.gave_up_s:.1f} s, when the wait was given up"
    name, bound = found
    if _queued(wait):
        return f"ended after {wait.ended_s:.2f} s in HAProxy's queue ({wait.termination}; see P4)"
    if not _by_the_proxy(wait):
        by = wait.termination or wait.ended_by
        return f"ended after {wait.ended_s:.2f} s by the API, not the proxy ({by})"
    if _moment(of, wait, bound) == "about":
        slow = (
            f"timers were up to {of.late_s:.2f} s late during the waits"
            if wait.ended_s > bound
            else f"{wait.begun_s:.2f} s passed before it started"
        )
        return f"ended after {wait.ended_s:.2f} s, timeout {name} is described as {bound:g} s, and {slow}"
    return None


def _applying(mode: str) -> set[str]:
    """The timeouts that apply in a mode."""
    return {name for (where, _), names in APPLY.items() if where == mode for name in names}


def _proven(of: TimeoutWaits) -> set[str]:
    """The timeouts that ended a wait."""
    return {
        found[0]
        for wait in of.waits
        if (found := effective(of, wait)) is not None and not _unproven(of, wait)
    }


def _unseen(of: TimeoutWaits) -> dict[str, str]:
    """Timeouts that no wait of an API could show: timeout → why."""
    reasons = {name: why for each in of.masked.values() for name, why in each.items()} | _masked(of)
    proven = _proven(of)
    return {name: why for name, why in reasons.items() if name not in proven}


def _masked(of: TimeoutWaits) -> dict[str, str]:
    """Timeouts that apply to some wait and are never the shortest: timeout → what masks it.

    Two equal timeouts cannot be distinguished; the one that is named first counts as proven.
    """
    proven = _proven(of)
    masked: dict[str, list[str]] = {}
    for wait in of.waits:
        found = effective(of, wait)
        if found is not None and _ended_by_the_api(of, wait):
            by = f"is masked by the API, which ends {MEANS[wait.what]} after {wait.ended_s:.1f} s"
            for name in APPLY[wait.mode, wait.what]:
                masked.setdefault(name, []).append(f"({of.described[name]:g} s) {by}")
        if found is None or _unproven(of, wait):
            continue
        for name in APPLY[wait.mode, wait.what]:
            if name not in proven:
                same = of.described[name] == found[1]
                how = "is equal to" if same else f"({of.described[name]:g} s) is longer than"
                masked.setdefault(name, []).append(
                    f"{how} timeout {found[0]}, which ends the wait for {MEANS[wait.what]}"
                )
    return {name: " and ".join(dict.fromkeys(reasons)) for name, reasons in masked.items()}


def masked_by_checks(checks: Checks | None, fault: str, timeout_s: float) -> str | None:
    """Why health checks may end a wait for a broken server before its timeout; None if they cannot.

    The wait starts some time after the fault. The checks take the server DOWN at the latest after their
    detection bound; sooner by up to `inter` if the fault came just before a check.
    """
    if checks is None:
        return "may be masked by the health checks, which [[proxy]] does not describe"
    latest_s = detection_s(checks, fault)
    if latest_s <= timeout_s:
        how = f"which mark the server DOWN within {latest_s:g} s"
        return f"({timeout_s:g} s) is masked by the health checks, {how}"
    earliest_s = min(checks.inter_s, latest_s - checks.inter_s)
    if timeout_s > earliest_s:
        return f"({timeout_s:g} s) and the health checks ({earliest_s:g} to {latest_s:g} s) race"
    return None
