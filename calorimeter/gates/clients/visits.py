"""Evidence of the affinity gates: many sources visit an API, and each connection has its backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from calorimeter.core.source_hash import HashServer
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.evidence.placement import ServerAt, disagreement

GIVEN_UP = "given up"
"""`Visit.error` of one that was under way when no more were wanted: nobody refused it."""


class Visit(Model):
    """One fresh connection with one `GET /`.

    `server` is the backend that the evidence names, None where it names none; `status` is 0 and
    `error` says why where no answer came. Times are ns since the epoch. `seen_as` is the client's
    address as the proxy has it, where that differs (`::ffff:192.0.2.1` on an IPv6 socket). `retries` and
    `redispatched` are the proxy's word on its way to the server, None where the evidence has none.
    """

    source: str
    port: int
    sent_ns: int
    done_ns: int
    status: int
    error: str = ""
    server: str | None = None
    seen_as: str | None = None
    retries: int | None = None
    redispatched: bool | None = None

    @property
    def served(self) -> bool:
        """Whether the API answered; 5xx is the proxy's own answer where no server gave one."""
        return 0 < self.status < 500

    @property
    def took_s(self) -> float:
        """From the first packet to the end of the answer, seconds."""
        return (self.done_ns - self.sent_ns) / 1e9

    @property
    def hashed(self) -> str:
        """The address that the proxy's hash is made of."""
        return self.seen_as or self.source


class LogCount(Model):
    """How whole the proxy's log is: its lines, against what the proxy itself counted.

    `connections` are the proxy's own connections that ended on the section meanwhile (`stot` less those
    that live), None where its counters cannot be seen; `logged` those in the logs of all proxies, each
    once; `repeated` is how many lines came again, which prove nothing; `unparsed` quotes lines that could
    not be understood; `doubts` say why lines may be missing.
    """

    source: str
    lines: int
    logged: int
    connections: int | None
    dropped: int
    repeated: int = 0
    unparsed: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


class Told(Model):
    """What the proxy's log said of a server's state; when the line came, ns since the epoch."""

    server: str
    state: str
    received_ns: int
    reason: str | None = None


class Described(Model):
    """How the owner wants a section to balance (`[expect]`)."""

    balance: str = "source"
    hash_type: str = "map-based"
    weights: dict[str, int] = {}


Source = Literal["log", "sessions", "counters"]

EVIDENCE: dict[Source, str] = {
    "log": "the proxy's log",
    "sessions": "the proxy's table of live sessions",
    "counters": "the proxy's counters of each server, one visit at a time",
}
"""Where a visit's backend is known from, the strongest first."""


class Visits(Model):
    """Evidence of S1 and its kin: all visits to one API, in the order in which they were begun.

    `servers` are those described; `before` and `after` those that the proxy shows, in the order of its
    file, None where it cannot be looked at. `clients` is what the proxy shows of everybody who came,
    others included: address → server (empty: none) → connections. `told` is what the proxy's log said of
    the section's servers meanwhile. `passed_over` says why stronger evidence was not used. `planned` is how
    many visits were to be made, where it was given up before. `backends` are the described ones' addresses
    as `IP:PORT` (none: the name could not be resolved), `placed` the proxies' own (empty: not seen).
    """

    api: str
    section: str
    servers: tuple[str, ...]
    visits: tuple[Visit, ...]
    logs: tuple[LogCount, ...] = ()
    evidence: Source = "log"
    passed_over: tuple[str, ...] = ()
    described: Described = Described()
    before: tuple[HashServer, ...] | None = None
    after: tuple[HashServer, ...] | None = None
    clients: dict[str, dict[str, int]] = {}
    told: tuple[Told, ...] = ()
    planned: int | None = None
    backends: dict[str, tuple[str, ...]] = {}
    placed: tuple[ServerAt, ...] = ()

    @property
    def name(self) -> str:
        """`REST` or `CFN`."""
        return self.api.upper()


class AllVisits(Model):
    """Evidence of the gates that judge both APIs together."""

    apis: tuple[Visits, ...]


def incomplete(evidence: Visits) -> str | None:
    """Why the visits cannot be judged by: attribution is missing or may be wrong. None: they can."""
    return next(_doubts(evidence), None)


def _doubts(evidence: Visits) -> Iterator[str]:
    answered = [visit for visit in evidence.visits if visit.served]
    if not answered:
        errors = Counter(visit.error for visit in evidence.visits).most_common(1)
        said = f" ({errors[0][0]}, {errors[0][1]} times)" if errors else ""
        yield f"none of {len(evidence.visits)} visits was answered{said}"
        return
    if evidence.evidence == "log" and not evidence.logs:
        yield "no log of the proxy was read"
        return
    yield from log_doubts(evidence)
    if (differing := disagreement(evidence.backends, evidence.placed)) is not None:
        yield differing
    lost = sum(visit.server is None for visit in answered)
    if lost:
        where = log_used(evidence) or EVIDENCE[evidence.evidence]
        what = "are in no log line of" if evidence.evidence == "log" else "are not attributed by"
        yield f"{lost} of {len(answered)} answered visits {what} {where}"


def log_doubts(evidence: Visits) -> Iterator[str]:
    """Why the logs may lack lines, whosever."""
    for log in evidence.logs:
        if log.unparsed:
            yield f"{log.source} has {len(log.unparsed)} lines that are no HAProxy log: {log.unparsed[0]!r}"
        if log.dropped:
            yield f"{log.source} lost {log.dropped} lines in this machine's socket buffer"
        yield from log.doubts
        if log.connections is not None and log.logged < log.connections:
            yield (
                f"the log holds {log.logged} of the {log.connections} connections that the proxy "
                f"counted on {evidence.section}: lines were lost on their way to {log_used(evidence)}"
            )


def by_source(evidence: Visits) -> dict[str, Counter[str]]:
    """Source → server → visits of it that the evidence gives to this server."""
    found: dict[str, Counter[str]] = {}
    for visit in evidence.visits:
        if visit.server is not None:
            found.setdefault(visit.source, Counter())[visit.server] += 1
    return found


def counted(servers: Mapping[str, int]) -> str:
    """`a 3 times, b 1 times`."""
    return ", ".join(f"{server} {n} times" for server, n in sorted(servers.items()))


def log_used(evidence: Visits) -> str | None:
    """The addresses of the logs that were counted, one of each proxy; None where none was."""
    return ", ".join(log.source for log in evidence.logs) or None


def seen_in(evidence: Visits) -> str:
    """Where the backends of visits are known from; the log by its address, for a proxy may have several."""
    return " ".join(filter(None, (EVIDENCE[evidence.evidence], log_used(evidence))))


def strength(evidence: Visits) -> dict[str, Figure]:
    """What a verdict rests on."""
    found = by_source(evidence)
    return {
        "sources": len(found),
        "connections": sum(servers.total() for servers in found.values()),
        "requests": len(evidence.visits),
        "unanswered": sum(not visit.served for visit in evidence.visits),
        "evidence": EVIDENCE[evidence.evidence],
        "log": log_used(evidence),
    }


def missed_rate(trials: int) -> float:
    """The rate of violations that n trials without one exclude at 95 % confidence: 1 − 0.05^(1/n)."""
    return 1 - 0.05 ** (1 / trials) if trials else 1.0
