"""The evidence of V1 and V2: something of the proxy that has the virtual address broke, and was healed,
while clients went on sending requests.

All moments are ns since the epoch.
"""

from __future__ import annotations

from collections import Counter

from calorimeter.core.deployment import Checks
from calorimeter.core.toml import Model
from calorimeter.core.vrrp import Vrrp
from calorimeter.gates.health.trial import FAR_NS, Attempt


class Served(Model):
    """A proxy counted new connections of the APIs' clients between two polls of its counters."""

    proxy: str
    since_ns: int
    seen_ns: int
    connections: int


class Holding(Model):
    """Whether a proxy's host had the virtual address, by the owner's command `addresses`."""

    proxy: str
    at_ns: int
    holds: bool


class PairFault(Model):
    """One fault of a part of the proxy that had the address; a moment is 0 if it never came.

    `kind` is that of the part: `proxy`, `host`. `at_ns` is the moment that the command printed, else when
    it began; `ended_ns` is when it had ended. `heal_began_ns` and `healed_ns` are start and end of the
    healing command.
    """

    kind: str
    part: str
    fault: str
    at_ns: int
    ended_ns: int
    heal_began_ns: int = 0
    healed_ns: int = 0

    def __str__(self) -> str:
        """`P1: unreachable`."""
        return f"{self.part}: {self.fault}"

    @property
    def of_proxy(self) -> str | None:
        """The fault of the process of the proxy; None if its host or its link broke."""
        return self.fault if self.kind == "proxy" else None

    @property
    def over_ns(self) -> int:
        """When healing began; the far future if it did not."""
        return self.heal_began_ns or FAR_NS


class PairTrial(Model):
    """One fault, from some time before to some time after it was healed.

    `holder` is the proxy that had the address, `others` those that could take it. `served` says which proxy
    served clients and when; `holding` are the answers of the commands `addresses`, asked while nothing was
    broken. The trial is quiet, with nothing in motion, up to the fault and from `quiet_ns` on. `checks` are
    the health checks of the holder. `max_failover_s` is what the owner wants.
    """

    holder: str
    others: tuple[str, ...]
    vrrp: dict[str, Vrrp]
    fault: PairFault
    began_ns: int
    quiet_ns: int
    ended_ns: int
    served: tuple[Served, ...]
    holding: tuple[Holding, ...] = ()
    attempts: tuple[Attempt, ...]
    checks: Checks | None = None
    max_failover_s: float | None = None

    def answered(self, begin_ns: int, end_ns: int) -> list[Attempt]:
        """The requests that were sent and answered within a span of time."""
        return [a for a in self.attempts if a.ok and begin_ns < a.sent_ns and a.done_ns <= end_ns]

    def counted(self, begin_ns: int, end_ns: int) -> Counter[str]:
        """Proxy → connections that it may have counted in a span of time, at most."""
        found: Counter[str] = Counter()
        for sign in self.served:
            if sign.seen_ns > begin_ns and sign.since_ns < end_ns:
                found[sign.proxy] += sign.connections
        return found

    def server(self, begin_ns: int, end_ns: int) -> str | None:
        """The proxy that served most connections in a span of time; None if none did."""
        found = self.counted(begin_ns, end_ns).most_common(1)
        return found[0][0] if found else None

    def both(self, begin_ns: int, end_ns: int) -> tuple[str, ...]:
        """The proxies that had the address at once in a span in which nothing moved; empty if one had it.

        Each of our connections was counted by one proxy. If more of them were answered than the busiest
        proxy counted, another one served the rest, whatever else connects to it.
        """
        held = {h.proxy for h in self.holding if h.holds and begin_ns <= h.at_ns <= end_ns}
        counts = self.counted(begin_ns, end_ns)
        if counts and len(self.answered(begin_ns, end_ns)) > max(counts.values()):
            held |= set(counts)
        return tuple(sorted(held)) if len(held) > 1 else ()

    @property
    def moved(self) -> Attempt | None:
        """The first request sent after the fault that another proxy has answered.

        That is one that was under way when another proxy counted connections. From the end of the command
        on it is any: what is broken cannot answer.
        """
        signs = [s for s in self.served if s.proxy != self.holder and s.seen_ns > self.fault.at_ns]

        def elsewhere(attempt: Attempt) -> bool:
            seen = any(s.since_ns < attempt.done_ns and attempt.sent_ns <= s.seen_ns for s in signs)
            return seen or attempt.sent_ns > self.fault.ended_ns

        after = filter(elsewhere, self.answered(self.fault.at_ns, self.fault.over_ns))
        return min(after, key=lambda attempt: attempt.done_ns, default=None)

    @property
    def struck_ns(self) -> int:
        """When the fault took effect, at the earliest: the holder answered until then."""
        moved = self.moved
        last_ns = self.fault.over_ns if moved is None else moved.done_ns - 1
        answers = (a.done_ns for a in self.attempts if a.ok and a.done_ns <= last_ns)
        return max(max(answers, default=0), self.fault.at_ns)

    @property
    def returned(self) -> Served | None:
        """The first sign that the healed proxy served clients again, between two polls after the healing:
        the first poll counts what it had served before the fault, too."""
        signs = (s for s in self.served if s.proxy == self.holder and s.since_ns > self.fault.over_ns)
        return min(signs, key=lambda sign: sign.seen_ns, default=None)


class PairTrials(Model):
    """The trials that V1 and V2 are judged from.

    `proxies` are all described ones. `lacks` says why there is no trial: nothing says that they share an
    address, or there is only one.
    """

    proxies: tuple[str, ...]
    trials: tuple[PairTrial, ...] = ()
    lacks: str = ""
