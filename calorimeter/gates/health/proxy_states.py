"""The proxies' server states, read once their first checks are done."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.core import detection_bounds
from calorimeter.core.waiting import poll
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats
from calorimeter.gates.health.checks_run import CheckState, ProxyStates

POLL_EVERY_S = 0.1
UNKNOWN_BOUND_S = 30.0
"""Time for the first checks if the deployment file does not say how the proxy checks."""


def proxy_states(context: Context) -> ProxyStates:
    """The server states of all proxies. Raises `EvidenceUnavailable` if one proxy cannot be read.

    A proxy that has just started has not checked every server yet: its first checks are awaited for as long
    as its configuration allows.
    """
    stats = proxy_stats(context.deployment)
    bounds = [
        detection_bounds.first_check_s(proxy.checks) if proxy.checks else UNKNOWN_BOUND_S
        for proxy in context.proxies
    ]
    return poll(
        lambda: _read(context, stats),
        max(bounds),
        enough=lambda read: not any(state.waiting for state in read.states),
        every_s=POLL_EVERY_S,
    )


def _read(context: Context, stats: Sequence[ProxyStats]) -> ProxyStates:
    states = tuple(
        CheckState(
            section=row.section,
            server=row.name,
            status=row.status,
            check_status=(row.check_status or "").removeprefix("* "),
            check_duration_ms=row.check_duration,
            backup=bool(row.bck),
        )
        for proxy in stats
        for row in proxy.show_stat()
        if row.kind == "server"
    )
    apis = (context.deployment.rest, context.deployment.cfn)
    return ProxyStates(
        source=", ".join(proxy.where for proxy in stats),
        described={a.proxy_section: tuple(b.name for b in a.backends) for a in apis if a},
        states=states,
    )
