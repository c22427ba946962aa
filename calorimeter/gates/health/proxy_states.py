"""A look at the proxy's own state."""

from __future__ import annotations

import time
from collections.abc import Sequence

from calorimeter.core import detection_bounds
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats
from calorimeter.gates.health.checks_run import CheckState, ProxyStates

LOOK_EVERY_S = 0.1
UNKNOWN_BOUND_S = 30.0
"""Time for a first check, where the deployment does not say how the proxy checks."""


def proxy_states(context: Context) -> ProxyStates:
    """The server states of all proxies; `EvidenceUnavailable` where one cannot be read.

    A proxy that was just started has not checked anything yet: its first checks are waited for, as long
    as its configuration gives them (they are spread over `inter`).
    """
    stats = proxy_stats(context.deployment)
    checks = [proxy.checks for proxy in context.proxies]
    longest = max((c.inter_s + detection_bounds.answer_s(c) if c else UNKNOWN_BOUND_S) for c in checks)
    deadline = time.monotonic() + longest
    while True:
        seen = _look(context, stats)
        if not any(state.waiting for state in seen.states) or time.monotonic() > deadline:
            return seen
        time.sleep(LOOK_EVERY_S)


def _look(context: Context, stats: Sequence[ProxyStats]) -> ProxyStates:
    states: list[CheckState] = []
    read: list[str] = []
    for proxy in stats:
        rows = proxy.show_stat()
        read.append(proxy.where)
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
    apis = {"rest": context.deployment.rest, "cfn": context.deployment.cfn}
    return ProxyStates(
        source=", ".join(read),
        described={a.proxy_section: tuple(b.name for b in a.backends) for a in apis.values() if a},
        states=tuple(states),
    )
