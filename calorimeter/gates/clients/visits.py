"""Evidence of gates S: visits of many sources to an API, each with the server that it was sent to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from calorimeter.core.balance_policy import Policy
from calorimeter.core.expect import StickOn
from calorimeter.core.source_hash import HashServer
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, passed
from calorimeter.gates.evidence.placement import ServerAt

ANSWER_S = 30.0
"""Time for one visit, from connecting to the end of the answer."""

NO_ANSWER = "no answer within"
"""The beginning of `Visit.error` if neither an answer nor an end came in time."""

GIVEN_UP = "given up"
"""`Visit.error` of a visit that was in flight when the others were given up: nobody refused it."""


class Visit(Model):
    """One fresh connection with one `GET /`. Times are ns since the epoch.

    `status` is 0 if no answer came, and `error` then says why. `server` is the server that the evidence
    names, None if it names none. `seen_as` is the client's address as the proxy logs it, if that differs
    (`::ffff:192.0.2.1` on an IPv6 socket). `retries` and `redispatched` are what the proxy logged about its
    way to the server, None if the evidence does not show it.
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
        """Whether the API answered; 5xx is the answer of the proxy itself if no server gave one."""
        return 0 < self.status < 500

    @property
    def took_s(self) -> float:
        """Seconds from the first packet to the end of the answer."""
        return (self.done_ns - self.sent_ns) / 1e9

    @property
    def hashed(self) -> str:
        """The address that the proxy hashes."""
        return self.seen_as or self.source


class LogCount(Model):
    """How complete the proxy's log is: its lines, against what the proxy itself counted.

    `connections` is how many connections ended on the section during the visits (`stot` less those still
    open), None if the counters cannot be read; `logged` is how many are in the logs of all proxies, each
    counted once; `repeated` is the number of duplicate lines; `unparsed` quotes lines that are not HAProxy
    log lines; `doubts` say why lines may be missing.
    """

    source: str
    lines: int
    logged: int
    connections: int | None
    dropped: int
    repeated: int = 0
    unparsed: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


class StateLine(Model):
    """A line of the proxy's log on a server's state; `received_ns` is ns since the epoch."""

    server: str
    state: str
    received_ns: int
    reason: str | None = None


STICKY: dict[StickOn, str] = {"src": "`stick on src`", "cookie": "a `cookie`"}
"""What keeps clients on their servers, in HAProxy's words."""


class ExpectedBalance(Model):
    """How the owner wants a section to balance (`[expect]`)."""

    balance: str = "source"
    stick_on: StickOn | None = None
    hash_type: str = "map-based"
    weights: dict[str, int] = {}

    @property
    def policy(self) -> Policy:
        """What decides where a client's connection goes."""
        return Policy.of(self.balance, self.stick_on)

    @property
    def wanted(self) -> str:
        """What is wanted, in HAProxy's words."""
        return STICKY[self.stick_on] if self.stick_on else f"`balance {self.balance}`"


class KeptClient(Model):
    """A client whose requests were all answered over one connection; `servers` are those of its log lines.

    In `mode tcp` the connection has one line, in `mode http` each request.
    """

    source: str
    requests: int
    servers: tuple[str, ...]

    @property
    def each_request(self) -> bool:
        """Whether the proxy chose a server for each request."""
        return len(self.servers) > 1


EvidenceKind = Literal["log", "sessions", "counters"]

EVIDENCE: dict[EvidenceKind, str] = {
    "log": "the proxy's log",
    "sessions": "the proxy's table of live sessions",
    "counters": "the proxy's counters of each server, one visit at a time",
}
"""Where the servers of visits are known from, the strongest first."""


class Visits(Model):
    """Evidence of S1 to S4 and S8: all visits to one API, in the order in which they started.

    `servers` are the described ones; `before` and `after` are those that the proxy shows before and after
    the visits, in the order of its file, None if its state cannot be read. `clients` counts the connections
    of all clients, others included: address → server (empty: none) → connections. `told` are the proxy's
    log lines on the section's servers during the visits. `passed_over` says why stronger evidence was not
    used. `planned` is how many visits were intended: fewer were made if they were given up. `asked_again`
    is how many of the visits, the last ones, were made because no evidence named the server of an earlier
    one of their source; they are not counted in `planned`. `held`: all connections stayed open until the
    last one was. `counted` is how many sessions of all clients the proxies counted on each server meanwhile
    (None: not known). `kept` are clients that sent several requests over one connection. `backends` are
    the addresses of the described backends as `IP:PORT` (empty: the name could not be resolved), `placed`
    those that the proxies use (empty: not shown). `haproxy` is HAProxy's version (None: not known).
    """

    api: str
    section: str
    servers: tuple[str, ...]
    visits: tuple[Visit, ...]
    logs: tuple[LogCount, ...] = ()
    evidence: EvidenceKind = "log"
    passed_over: tuple[str, ...] = ()
    described: ExpectedBalance = ExpectedBalance()
    before: tuple[HashServer, ...] | None = None
    after: tuple[HashServer, ...] | None = None
    clients: dict[str, dict[str, int]] = {}
    told: tuple[StateLine, ...] = ()
    planned: int | None = None
    asked_again: int = 0
    held: bool = False
    kept: tuple[KeptClient, ...] = ()
    counted: dict[str, int] | None = None
    backends: dict[str, tuple[str, ...]] = {}
    placed: tuple[ServerAt, ...] = ()
    haproxy: str | None = None

    @property
    def name(self) -> str:
        """`REST` or `CFN`."""
        return self.api.upper()


class AllVisits(Model):
    """The visits to all APIs, for the gates that judge both together."""

    apis: tuple[Visits, ...]


def by_source(evidence: Visits) -> dict[str, Counter[str]]:
    """Source → server → how many of its visits went to this server."""
    found: dict[str, Counter[str]] = {}
    for visit in evidence.visits:
        if visit.server is not None:
            found.setdefault(visit.source, Counter())[visit.server] += 1
    return found


def moved_sources(found: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """The sources that were on more than one server, in order."""
    return {source: servers for source, servers in sorted(found.items()) if len(servers) > 1}


def counted(servers: Mapping[str, int]) -> str:
    """`a 3 times, b 1 times`."""
    return ", ".join(f"{server} {n} times" for server, n in sorted(servers.items()))


def log_used(evidence: Visits) -> str | None:
    """The addresses of the logs that were counted, one for each proxy; None if none was."""
    return ", ".join(log.source for log in evidence.logs) or None


def seen_in(evidence: Visits) -> str:
    """Where the servers of visits are known from; with the log's address, as a proxy may have several."""
    return " ".join(filter(None, (EVIDENCE[evidence.evidence], log_used(evidence))))


def strength(evidence: Visits) -> dict[str, Figure]:
    """Figures of how much evidence a verdict rests on."""
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


def no_violation(
    why: str, trials: int, violations: str, figures: Mapping[str, Figure], after: str = "", digits: int = 2
) -> Judgement:
    """PASS, with the rate of `violations` ("misplaced sources") that n trials would have shown."""
    missed = missed_rate(trials)
    return passed(
        f"{why}; a rate of {violations} above {missed:.{digits}%} would have been detected "
        f"(95 % confidence){after}",
        missed_rate_95=round(missed, 6),
        **figures,
    )
