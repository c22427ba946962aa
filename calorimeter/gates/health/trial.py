"""The evidence of one trial: a fault was injected while clients went on sending requests.

All moments are ns since the epoch.
"""

from __future__ import annotations

import errno
import os

from calorimeter.core.balance_policy import Policy
from calorimeter.core.deployment import Checks
from calorimeter.core.toml import Model
from calorimeter.gates.clients.lost_lines import uneven
from calorimeter.gates.clients.visits import NO_ANSWER

REFUSED = os.strerror(errno.ECONNREFUSED)

FAR_NS = 1 << 62
"""A moment that never comes."""

CUT_OFF = "not answered when the experiment ended"
"""`Attempt.error` of a request that was still open then."""

SEEN = 0.25
"""The part of all answered requests that the log must name: with fewer, a stray one may stay unseen."""


class DirectRequest(Model):
    """One request to a backend at its own address, past the proxy; `status` 0: no answer."""

    sent_ns: int
    done_ns: int
    status: int
    error: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it was answered without a server error."""
        return 0 < self.status < 500


class Attempt(Model):
    """One client's request through the proxy, timed from when it was due.

    `kept`: on a connection that the client keeps. `server` is where the proxy's log says that it went.
    """

    api: str
    source: str
    port: int
    kept: bool
    due_ns: int
    sent_ns: int
    done_ns: int
    status: int
    error: str = ""
    server: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was answered without a server error."""
        return 0 < self.status < 500

    @property
    def unended(self) -> bool:
        """Whether it was neither answered nor closed as long as anybody waited."""
        return not self.status and self.error.startswith((NO_ANSWER, CUT_OFF))

    @property
    def response_s(self) -> float:
        """Seconds from when it was due to its end."""
        return (self.done_ns - self.due_ns) / 1e9

    def __str__(self) -> str:
        """`127.16.3.4: closed without an answer`."""
        return f"{self.source}: {self.error or f'status {self.status}'}"


class InjectedFault(Model):
    """One fault of one backend as it was carried out; a moment is 0 if it never came.

    `at_ns` is the moment that the command printed (`exact`), else when the command began; `by_ns` is the
    last one that it printed; `ended_ns` is when it had ended. `heal_began_ns` and `healed_ns` are start and
    end of the healing command. `direct` are requests to the backend itself.
    """

    api: str
    section: str
    server: str
    fault: str
    at_ns: int
    exact: bool
    by_ns: int = 0
    ended_ns: int
    heal_began_ns: int = 0
    healed_ns: int = 0
    direct: tuple[DirectRequest, ...] = ()

    def __str__(self) -> str:
        """`rest-1: kill`."""
        return f"{self.server}: {self.fault}"

    @property
    def unknown_s(self) -> float:
        """How long after `at_ns` the fault may have come: until its command had ended, if not `exact`."""
        latest_ns = max(self.by_ns, self.at_ns) if self.exact else self.ended_ns
        return (latest_ns - self.at_ns) / 1e9

    @property
    def over_ns(self) -> int:
        """When healing began; the far future if it did not."""
        return self.heal_began_ns or FAR_NS

    @property
    def happened(self) -> bool | None:
        """Whether the backend itself stopped serving; None if it cannot be reached from here."""
        if not any(request.healthy for request in self.direct if request.done_ns < self.at_ns):
            return None
        # The last requests may have been answered because healing had begun.
        during = [r for r in self.direct if r.sent_ns > self.ended_ns and r.done_ns < self.over_ns]
        late = [r for r in self.direct if self.ended_ns < r.sent_ns < self.over_ns <= r.done_ns]
        if not during and not late:
            return None
        return not any(request.healthy for request in during)

    @property
    def refuses(self) -> bool:
        """Whether the backend's own address refused connections during the fault."""
        during = (r for r in self.direct if self.at_ns < r.sent_ns and r.done_ns < self.over_ns)
        return any(request.error == REFUSED for request in during)

    @property
    def serving_ns(self) -> int:
        """When the backend served again: its first healthy answer, else the end of the healing command."""
        answers = [r.done_ns for r in self.direct if r.healthy and r.done_ns > self.over_ns]
        return min(answers, default=self.healed_ns)


class StatusChange(Model):
    """A new status of a server in the proxy's state: first read at `seen_ns`; at `last_ns` the proxy still
    showed another one (0: it never did)."""

    proxy: str
    section: str
    server: str
    status: str
    last_ns: int
    seen_ns: int


class LoggedStatus(Model):
    """A line of the proxy's log about a server's status, and when it was received."""

    section: str
    server: str
    state: str
    received_ns: int
    reason: str | None = None


class Expectations(Model):
    """What of `[expect]` a trial is judged by; seconds.

    `hang_s` is the longest that a client may wait for an error: the longest of the proxy's timeouts.
    `balance` is the wanted one of each API.
    """

    max_detection_s: float | None = None
    max_recovery_s: float | None = None
    cut_sessions: bool = False
    hang_s: float = 60.0
    balance: dict[str, str] = {}

    def by_source(self, api: str) -> bool:
        """Whether a client of the API has a server of its own."""
        return Policy.of(self.balance.get(api, "source")) is Policy.SOURCE


class FaultTrial(Model):
    """Evidence of H2 to H9: one fault, or a sequence of them, from some time before to some time after.

    `backends` are all servers by section; `check_ms` is the longest successful check of each
    `section/server` in ms; `largest_gap_ns` the longest time between two polls of the proxy's state;
    `gaps` are those longer than 0.1 s, from and to; `said` are the log's lines about servers; `log_doubts`
    says why lines of the log may be missing.
    """

    fault: str
    began_ns: int
    ended_ns: int
    checks: Checks | None
    wanted: Expectations
    backends: dict[str, tuple[str, ...]]
    injected: tuple[InjectedFault, ...]
    proxies: tuple[str, ...]
    changes: tuple[StatusChange, ...]
    logged: bool
    log_doubts: tuple[str, ...] = ()
    said: tuple[LoggedStatus, ...]
    check_ms: dict[str, int]
    largest_gap_ns: int
    gaps: tuple[tuple[int, int], ...] = ()
    attempts: tuple[Attempt, ...]

    def next_fault_ns(self, fault: InjectedFault) -> int:
        """When the API's next fault began after this one; the far future if there was none.

        Requests that were in flight then may have been ended by the next fault: they prove nothing about
        this one.
        """
        later = [f.at_ns for f in self.injected if f.api == fault.api and f.at_ns > fault.over_ns]
        return min(later, default=FAR_NS)

    def change_to(
        self, fault: InjectedFault, status: str, after_ns: int, before_ns: int
    ) -> StatusChange | None:
        """When the last of the proxies first showed a status that starts with `status`; None if one of them
        did not show it in that time."""
        found = []
        for proxy in self.proxies:
            place = (proxy, fault.section, fault.server)
            shown = (
                change
                for change in self.changes
                if (change.proxy, change.section, change.server) == place
                and change.status.startswith(status)
                and after_ns < change.seen_ns <= before_ns
            )
            first = next(shown, None)
            if first is None:
                return None
            found.append(first)
        return max(found, key=lambda change: change.seen_ns, default=None)

    def down(self, fault: InjectedFault) -> StatusChange | None:
        """When the proxies showed the server DOWN because of a fault."""
        return self.change_to(fault, "DOWN", fault.at_ns, fault.over_ns)

    def longest_gap_s(self, begin_ns: int, end_ns: int) -> float:
        """The longest of `gaps` that overlaps a span of time."""
        found = [to - since for since, to in self.gaps if to > begin_ns and since < end_ns]
        return max(found, default=0) / 1e9

    def log_gap(self) -> str | None:
        """Why the absence of lines in the log proves nothing; None if it does.

        Each client sends requests all the time, so lines that are lost by chance hide nothing. None, too,
        if the log names no servers at all: then nothing is judged by it.
        """
        answered = [a for a in self.attempts if a.status and not a.kept]
        named = [a for a in answered if a.server is not None]
        if not named or len(named) == len(answered):
            return None
        first_ns = min((fault.at_ns for fault in self.injected), default=FAR_NS)
        homes = {(a.api, a.source): a.server for a in named if a.done_ns < first_ns}
        dependent = uneven(
            (home, a.server is None) for a in answered if (home := homes.get((a.api, a.source))) is not None
        )
        if dependent is not None:
            return f"{self.fault}: {dependent}"
        if len(named) < SEEN * len(answered):
            lost = len(answered) - len(named)
            why = "; ".join(("", *self.log_doubts[:1]))
            return f"{self.fault}: {lost} of {len(answered)} answered requests are not in the log{why}"
        return None

    def clients(self, api: str, *, kept: bool = False) -> list[Attempt]:
        """The requests of an API's clients with a connection per request, or of those that keep theirs."""
        return [a for a in self.attempts if a.api == api and a.kept == kept]

    def homes(self, fault: InjectedFault) -> dict[str, str]:
        """Source → its server before the fault, by the proxy's log."""
        early = (a for a in self.clients(fault.api) if a.done_ns < fault.at_ns)
        return {a.source: a.server for a in early if a.server is not None}


class FaultTrials(Model):
    """Several trials that one gate is judged from."""

    trials: tuple[FaultTrial, ...]
