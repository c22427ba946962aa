"""Source affinity: whether each source address stays on one backend."""

from __future__ import annotations

from collections import Counter, defaultdict

from calorimeter.toml import Model
from calorimeter.verdict import Judgement, failed, inconclusive, passed


class Visit(Model):
    """One fresh connection with one `GET /`.

    `server` is the backend that the evidence names, None where it names none; `status` is 0 and
    `error` says why where no answer came. Times are ns since the epoch.
    """

    source: str
    port: int
    sent_ns: int
    done_ns: int
    status: int
    error: str = ""
    server: str | None = None


class LogCount(Model):
    """How whole the proxy's log is: its lines, against what the proxy itself counted.

    `connections` are the proxy's own new connections on the section meanwhile (`stot` of its
    frontend), None where its counters cannot be seen; `logged` those of them in the log;
    `unparsed` quotes lines that could not be understood.
    """

    source: str
    lines: int
    logged: int
    connections: int | None
    dropped: int
    unparsed: tuple[str, ...] = ()


class Visits(Model):
    """Evidence of S1 and its kin: all visits to one API, in the order in which they were begun."""

    api: str
    section: str
    servers: tuple[str, ...]
    visits: tuple[Visit, ...]
    logs: tuple[LogCount, ...]


def incomplete(evidence: Visits) -> str | None:
    """Why the visits cannot be judged by: attribution is missing or may be wrong. None: they can."""
    answered = [visit for visit in evidence.visits if visit.status]
    if not answered:
        errors = Counter(visit.error for visit in evidence.visits).most_common(1)
        said = f" ({errors[0][0]}, {errors[0][1]} times)" if errors else ""
        return f"none of {len(evidence.visits)} visits was answered{said}"
    if not evidence.logs:
        return "no log of the proxy was read"
    for log in evidence.logs:
        if log.unparsed:
            return (
                f"{log.source} has {len(log.unparsed)} lines that are no HAProxy log: {log.unparsed[0]!r}"
            )
        if log.dropped:
            return f"{log.source} lost {log.dropped} lines in this machine's socket buffer"
    lost = sum(visit.server is None for visit in answered)
    if lost:
        return (
            f"{lost} of {len(answered)} answered visits are in no log line of "
            f"{', '.join(log.source for log in evidence.logs)}"
        )
    return None


def each_source_on_one_backend(evidence: Visits) -> Judgement:
    """Whether no source address was seen on two backends.

    With n sources and none in violation, a rate of violating sources above 1 − 0.05^(1/n)
    (about 3/n, the rule of three) would have been seen with 95 % probability.
    """
    problem = incomplete(evidence)
    by_source: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for visit in evidence.visits:
        if visit.server is not None:
            by_source[visit.source][visit.server] += 1
    figures = {
        "sources": len(by_source),
        "connections": sum(len(list(c.elements())) for c in by_source.values()),
        "requests": len(evidence.visits),
        "unanswered": sum(visit.status == 0 for visit in evidence.visits),
        **_shares(by_source),
    }
    torn = {source: servers for source, servers in by_source.items() if len(servers) > 1}
    if torn:
        return failed(
            f"{len(torn)} of {len(by_source)} source addresses were sent to more than one "
            f"{evidence.api.upper()} backend",
            [f"{source}: {_counted(servers)}" for source, servers in sorted(torn.items())],
            **figures,
        )
    if problem:
        return inconclusive(problem, **figures)
    repeated = [source for source, servers in by_source.items() if servers.total() > 1]
    if not repeated:
        return inconclusive("no source address visited twice", **figures)
    used = {server for servers in by_source.values() for server in servers}
    if len(used) < 2:
        return inconclusive(
            f"all {len(by_source)} sources landed on {used.pop()}: with one backend in use, "
            "staying cannot be told from having nowhere else to go",
            **figures,
        )
    missed = 1 - 0.05 ** (1 / len(repeated))
    return passed(
        f"each of {len(repeated)} source addresses stayed on one of {len(used)} "
        f"{evidence.api.upper()} backends over {figures['connections']} fresh connections; more than "
        f"{missed:.2%} of sources in violation would have been seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _shares(by_source: dict[str, Counter[str]]) -> dict[str, float]:
    first = Counter(servers.most_common(1)[0][0] for servers in by_source.values())
    return {f"share_{server}": round(n / len(by_source), 4) for server, n in sorted(first.items())}


def _counted(servers: Counter[str]) -> str:
    return ", ".join(f"{server} {n} times" for server, n in sorted(servers.items()))
