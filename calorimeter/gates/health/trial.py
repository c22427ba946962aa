"""A trial: something was broken while clients went on; what they, the proxy and its log saw of it."""

from __future__ import annotations

from calorimeter.core.deployment import Checks
from calorimeter.core.toml import Model

FAR_NS = 1 << 62
"""A moment that never comes."""


class Direct(Model):
    """One request to a backend at its own address, past the proxy; `status` 0: no answer. ns, epoch."""

    sent_ns: int
    done_ns: int
    status: int
    error: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it was answered, with no error of the server."""
        return 0 < self.status < 500


class Attempt(Model):
    """One client's request through the proxy, timed from when it was due; ns since the epoch.

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
        """Whether it was answered, with no error of the server."""
        return 0 < self.status < 500

    @property
    def response_s(self) -> float:
        """From when it was due to its end."""
        return (self.done_ns - self.due_ns) / 1e9


class Injected(Model):
    """One fault of one backend as it was carried out; ns since the epoch, 0 where it never was.

    `at_ns` is its own moment where the command told it (`exact`), else the command's begin; `ended_ns` when
    the command had ended. `heal_began_ns` and `healed_ns` are begin and end of the command that healed.
    `direct` are requests to the backend itself.
    """

    api: str
    section: str
    server: str
    fault: str
    at_ns: int
    exact: bool
    ended_ns: int
    heal_began_ns: int = 0
    healed_ns: int = 0
    direct: tuple[Direct, ...] = ()

    @property
    def over_ns(self) -> int:
        """When the fault began to end; the far future where it did not."""
        return self.heal_began_ns or FAR_NS

    @property
    def happened(self) -> bool | None:
        """Whether the backend itself stopped serving; None where it cannot be reached from here."""
        if not any(probe.healthy for probe in self.direct if probe.done_ns < self.at_ns):
            return None
        # The last ones may have been answered by what heals.
        during = [p for p in self.direct if p.sent_ns > self.ended_ns and p.done_ns < self.over_ns]
        late = [p for p in self.direct if self.ended_ns < p.sent_ns < self.over_ns <= p.done_ns]
        if not during and not late:
            return None
        return not any(probe.healthy for probe in during)

    @property
    def serving_ns(self) -> int:
        """When the backend served again, by its own answer; else when the healing command had ended."""
        answers = [p.done_ns for p in self.direct if p.healthy and p.done_ns > self.over_ns]
        return min(answers, default=self.healed_ns)


class Change(Model):
    """A server's status as the proxy showed it: `last_ns` when it last showed another one (0: never),
    `seen_ns` when this one was first seen. ns since the epoch."""

    proxy: str
    section: str
    server: str
    status: str
    last_ns: int
    seen_ns: int


class Said(Model):
    """The proxy's log on a server's state, and when the line came, ns since the epoch."""

    section: str
    server: str
    state: str
    received_ns: int
    reason: str | None = None


class Wanted(Model):
    """What the owner wants (`[expect]`) that a trial is judged by; seconds.

    `hang_s` is the longest that a client may wait for an error: the longest of the proxy's timeouts.
    """

    max_detection_s: float | None = None
    max_recovery_s: float | None = None
    cut_sessions: bool = False
    hang_s: float = 60.0


class Trial(Model):
    """Evidence of H2 to H9: one fault, or a sequence of them, from some time before to some time after.

    `backends` are all servers by section; `check_ms` the longest successful check of each
    `section/server` in ms; `largest_gap_ns` the longest time between two looks at the proxy's state;
    `gaps` are those longer than 0.1 s, from and to; `log_doubts` why lines of its log may be missing.
    """

    fault: str
    began_ns: int
    ended_ns: int
    checks: Checks | None
    wanted: Wanted
    backends: dict[str, tuple[str, ...]]
    injected: tuple[Injected, ...]
    proxies: tuple[str, ...]
    changes: tuple[Change, ...]
    logged: bool
    log_doubts: tuple[str, ...] = ()
    said: tuple[Said, ...]
    check_ms: dict[str, int]
    largest_gap_ns: int
    gaps: tuple[tuple[int, int], ...] = ()
    attempts: tuple[Attempt, ...]

    def named(self, each: Injected) -> str:
        """`rest-1: kill`."""
        return f"{each.server}: {each.fault}"

    def next_ns(self, each: Injected) -> int:
        """When the API was broken again after this fault; the far future where it was not.

        What was under way by then may have been ended by that next fault, so it tells nothing of this one.
        """
        later = [o.at_ns for o in self.injected if o.api == each.api and o.at_ns > each.over_ns]
        return min(later, default=FAR_NS)

    def changed(self, each: Injected, status: str, after_ns: int, before_ns: int) -> Change | None:
        """When the last of the proxies first showed a status that starts so; None where one did not."""
        found = []
        for proxy in self.proxies:
            first = next(
                (
                    c
                    for c in self.changes
                    if (c.proxy, c.section, c.server) == (proxy, each.section, each.server)
                    and c.status.startswith(status)
                    and after_ns < c.seen_ns <= before_ns
                ),
                None,
            )
            if first is None:
                return None
            found.append(first)
        return max(found, key=lambda change: change.seen_ns, default=None)

    def late_s(self, begin_ns: int, end_ns: int) -> float:
        """The longest of `gaps` that lies in a span of time, or reaches into it; s."""
        found = [to - since for since, to in self.gaps if to > begin_ns and since < end_ns]
        return max(found, default=0) / 1e9

    def unlogged(self) -> str | None:
        """Why the log may lack connections, so that what it does not show did not happen is unsure.

        None where it lacks none, and where it names no servers at all: then nothing is judged by it.
        """
        answered = [a for a in self.attempts if a.status and not a.kept]
        lost = [a for a in answered if a.server is None]
        if len(lost) == len(answered):
            return None
        if self.log_doubts:
            return f"{self.fault}: {self.log_doubts[0]}"
        if lost:
            return f"{self.fault}: {len(lost)} of {len(answered)} answered requests are not in the log"
        return None

    def clients(self, api: str, *, kept: bool = False) -> list[Attempt]:
        """The requests of one population of an API's clients."""
        return [a for a in self.attempts if a.api == api and a.kept == kept]


class Trials(Model):
    """Several trials that one gate is judged from."""

    trials: tuple[Trial, ...]
