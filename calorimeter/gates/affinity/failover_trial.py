"""One backend is killed and started again, and the sources visit before, meanwhile, during and after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from calorimeter.core.deployment import Api
from calorimeter.core.faults.schedule import Commands, commands
from calorimeter.gates.affinity.failover import Failover, Failovers
from calorimeter.gates.clients.attribution import Attribution, joined, strongest
from calorimeter.gates.clients.own_address import own_address, struck
from calorimeter.gates.clients.visit_rounds import round_of_visits, sources
from calorimeter.gates.clients.visiting import IN_FLIGHT, visit_all
from calorimeter.gates.clients.visits import Visit, Visits
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.repeated import Repeated

LOOK_EVERY_S = 0.02
UNKNOWN_BOUND_S = 30.0
"""Time for the proxy to notice, where the deployment does not say how it checks."""

SCHEDULING_S = 5.0
"""Beyond the configuration's own bound; whether that bound is kept is judged by the gates H."""

UNCHECKED_S = 5.0
"""How long visits go on to a dead server that nobody checks: longer than its retries take."""

MANY_IN_FLIGHT = 256
"""Visits at a time: some wait for seconds for the proxy's retries."""

ROUND_TRIES = 3

MEANWHILE = 10
"""Sources of the victim, and of the others, in one go from the kill on."""

COME_EVERY_S = 0.1
MOST_VISITS = 2 * MEANWHILE * 60


def failovers(context: Context) -> Failovers:
    """The failover of each API; `EvidenceUnavailable` where it may not be done, or not be seen."""
    return context.once("failovers", lambda: _failovers(context))


def _failovers(context: Context) -> Failovers:
    names = [name for name in ("rest", "cfn") if context.deployment.api(name) is not None]
    return Failovers(apis=tuple(_failover(context, name) for name in names))


def _failover(context: Context, api_name: str) -> Failover:
    api = context.api(api_name)
    stats = proxy_stats(context.deployment)
    how = victim(context, api, stats)
    checked = _checked(stats, api, how.part)
    who = sources(context, api)
    injector, own = context.injector, own_address(api, how.part)
    with strongest(context, api, stats) as way, healing(context):
        before = _steady_round(context, api_name, way, who)
        with _coming(way, before, how.part) as meanwhile:
            context.say(f"{how.part} {how.fault}")
            done, happened = struck(own, lambda: carried_out(injector.inject, how))
            killed_ns = done.at_ns or done.began_ns
            down_ns = await_state(context, stats, api, how.part, up=False) if checked else None
            if not checked:
                time.sleep(UNCHECKED_S)  # what is measured is what clients meet in that time
        # Unchecked, the sources of the dead backend wait for seconds; else the APIs are not to be strained.
        in_flight = IN_FLIGHT if checked else MANY_IN_FLIGHT
        during = _steady_round(context, api_name, way, who, in_flight)
        context.say(f"{how.part} {how.fault} is ended")
        healed = carried_out(injector.heal, how)
        up_ns = await_state(context, stats, api, how.part, up=True)
        after = _steady_round(context, api_name, way, who)
    return Failover(
        api=api_name,
        victim=how.part,
        checked=checked,
        happened=happened,
        before=before,
        meanwhile=tuple(meanwhile),
        during=during,
        after=after,
        killed_ns=killed_ns,
        down_ns=down_ns,
        started_ns=healed.at_ns or healed.began_ns,
        up_ns=up_ns,
    )


def _steady_round(
    context: Context, api_name: str, way: Attribution, who: Sequence[str | None], in_flight: int = IN_FLIGHT
) -> Visits:
    """One visit of every source, again where a server's state changed meanwhile: no one map held then."""
    for _ in range(ROUND_TRIES):
        made = round_of_visits(context, api_name, way, who, 1, in_flight)
        if made.before == made.after:
            break
    return made


def breakable(context: Context, api: Api, stats: Sequence[StatsSource], fault: str) -> Commands | None:
    """How to bring this fault about in the last backend that is up in the proxy and may be given it."""
    up = {row.name for row in proxy_polling.server_rows(stats, api.proxy_section) if row.takes_connections}
    parts = {part.name: part for part in context.deployment.parts}
    for backend in reversed(api.backends):
        how = commands(parts[backend.name], fault) if backend.name in parts else None
        if how is not None and backend.name in up:
            return how
    return None


def victim(context: Context, api: Api, stats: Sequence[StatsSource]) -> Commands:
    """The last backend that is up in the proxy and that its owner allows to be killed and started."""
    how = breakable(context, api, stats, "kill")
    if how is None:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            f"no backend of {api.proxy_section} is up and has the commands kill and start in [[parts]]",
        )
    return how


def _checked(stats: Sequence[StatsSource], api: Api, server: str) -> bool:
    rows = proxy_polling.server_rows(stats, api.proxy_section)
    return all(row.check_status and row.status != "no check" for row in rows if row.name == server)


def await_state(
    context: Context, stats: Sequence[StatsSource], api: Api, server: str, *, up: bool
) -> int | None:
    """Wait until all proxies have a server UP, or have it not; when that was seen, None in vain."""
    deadline = time.monotonic() + _bound_s(context, up=up) + SCHEDULING_S
    while time.monotonic() < deadline:
        rows = [row for row in proxy_polling.server_rows(stats, api.proxy_section) if row.name == server]
        states = {row.takes_connections and not row.status.startswith("UP ") for row in rows}
        if states == {True} and up:
            return time.time_ns()
        if not up and not any(row.takes_connections for row in rows):
            return time.time_ns()
        time.sleep(LOOK_EVERY_S)
    return None


def _bound_s(context: Context, *, up: bool) -> float:
    """How long a crash, or a recovery, takes the slowest proxy to notice, by its configuration."""
    bounds = []
    for proxy in context.proxies:
        checks = proxy.checks
        if checks is None:
            wanted = context.deployment.expect
            bounds.append((wanted.max_recovery_s if up else wanted.max_detection_s) or UNKNOWN_BOUND_S)
            continue
        fast = checks.fastinter_s or checks.inter_s
        first = (checks.downinter_s or checks.inter_s) if up else checks.inter_s
        answer = checks.timeout_check_s or checks.inter_s
        bounds.append(first + ((checks.rise if up else checks.fall) - 1) * fast + answer)
    return max(bounds)


@contextmanager
def _coming(way: Attribution, before: Visits, server: str) -> Iterator[list[Visit]]:
    """Visits that go on until the context is left; they are then known as the log knows them."""
    homes = {visit.source: visit.server for visit in before.visits}
    ours = [source for source, home in homes.items() if home == server][:MEANWHILE]
    others = [source for source, home in homes.items() if home not in (None, server)][:MEANWHILE]
    log = way.log
    if log is not None:
        log.forget()
    visits: list[Visit] = []

    def go() -> None:
        if len(visits) < MOST_VISITS:
            visits.extend(visit_all(way.api, ours + others, 1, way.tls, in_flight=MANY_IN_FLIGHT))

    with Repeated("coming", COME_EVERY_S, go) as goes:
        yield visits
    goes.check()
    if log is not None:
        log.await_lines(way.api.proxy_section, sum(visit.port != 0 for visit in visits))
        visits[:] = joined(visits, log.connections(way.api))
