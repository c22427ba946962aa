"""A look at the proxy's own state."""

from __future__ import annotations

from verify.bench import Bench
from verify.checks.health import CheckState, ProxyStates
from verify.evidence.proxy_stats import open_stats
from verify.evidence.unavailable import EvidenceUnavailable


def proxy_states(bench: Bench) -> ProxyStates:
    """The server states of all proxies; `EvidenceUnavailable` where one cannot be read."""
    states: list[CheckState] = []
    read: list[str] = []
    for proxy in bench.proxies:
        readers = open_stats(bench.deployment, proxy)
        if not readers:
            raise EvidenceUnavailable(str(bench.deployment.path), f"proxy {proxy.name!r} names no stats")
        rows = readers[0].show_stat()
        read.append(readers[0].where)
        states += [
            CheckState(
                section=row.section,
                server=row.name,
                status=row.status,
                check_status=(row.check_status or "").removeprefix("* "),
                check_duration_ms=row.check_duration,
                backup=bool(row.bck),
            )
            for row in rows
            if row.kind == "server"
        ]
    apis = {"rest": bench.deployment.rest, "cfn": bench.deployment.cfn}
    return ProxyStates(
        source=", ".join(read),
        described={a.proxy_section: tuple(b.name for b in a.backends) for a in apis.values() if a},
        states=tuple(states),
    )
