"""Looks at the proxies' own state: rows, servers and counters of a section, over all proxies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from calorimeter.source_hash import HashServer
from verify.bench import Bench
from verify.evidence.proxy_state import ServerStat
from verify.evidence.proxy_stats import StatsSource, open_stats
from verify.evidence.unavailable import EvidenceUnavailable
from verify.prediction import hash_servers


def looks(bench: Bench) -> list[StatsSource]:
    """The first stats source of each proxy that answers.

    Raises `EvidenceUnavailable` where a proxy has none: a look at some of them is no look at all.
    """
    found = []
    for proxy in bench.proxies:
        reasons = [f"proxy {proxy.name!r} names no stats"]
        for source in open_stats(bench.deployment, proxy):
            try:
                source.show_stat()
            except EvidenceUnavailable as problem:
                reasons.append(f"{problem.where}: {problem.why}")
                continue
            found.append(source)
            break
        else:
            raise EvidenceUnavailable(str(bench.deployment.path), reasons[-1])
    return found


def looks_if_any(bench: Bench) -> list[StatsSource]:
    """The same, or none."""
    try:
        return looks(bench)
    except EvidenceUnavailable:
        return []


def servers(sources: Sequence[StatsSource], section: str) -> tuple[HashServer, ...] | None:
    """The servers of a section in the order of the (first) proxy's file; None without a look at it."""
    return hash_servers(sources[0].show_stat(), section) if sources else None


def server_rows(sources: Sequence[StatsSource], section: str) -> list[ServerStat]:
    """The rows of a section's servers, of all proxies."""
    return [
        row
        for source in sources
        for row in source.show_stat()
        if row.section == section and row.kind == "server"
    ]


def chosen(sources: Sequence[StatsSource], section: str) -> Counter[str]:
    """Server → sessions that it ever had, over all proxies."""
    counts: Counter[str] = Counter()
    for row in server_rows(sources, section):
        counts[row.name] += row.stot or 0
    return counts


def ended(sources: Sequence[StatsSource], section: str) -> int | None:
    """Connections of a section that have ended, over all proxies; None without a look at them."""
    if not sources:
        return None
    rows = [row for source in sources for row in source.show_stat()]
    backends = [row for row in rows if row.section == section and row.kind == "backend"]
    return sum((row.stot or 0) - (row.scur or 0) for row in backends)


def sessions(sources: Sequence[StatsSource], section: str) -> int | None:
    """Sessions that a section ever had, over all proxies; None where no proxy shows that section."""
    rows = [row for source in sources for row in source.show_stat()]
    found = [row.stot or 0 for row in rows if row.section == section and row.kind == "backend"]
    return sum(found) if found else None
