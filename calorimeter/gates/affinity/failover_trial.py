"""The experiment of S6, S7 and P7: one backend is killed and started again while sources visit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from calorimeter.core import waiting
from calorimeter.core.deployment import Api
from calorimeter.core.detection_bounds import answer_s, attempts_s, detection_s, recovery_s
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers
from calorimeter.gates.clients.attribution import Attribution
from calorimeter.gates.clients.own_address import inject_and_probe, own_address, refuses
from calorimeter.gates.clients.visit_rounds import apis, round_of_visits, sources, strongest
from calorimeter.gates.clients.visiting import IN_FLIGHT, Sources, visit_all
from calorimeter.gates.clients.visits import Visit, Visits
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.repeated_work import RepeatedWork

POLL_EVERY_S = 0.02
UNKNOWN_BOUND_S = 30.0
"""Time for the proxy to change a server's state if the deployment does not say how it checks."""

SCHEDULING_S = 5.0
"""Time beyond the configuration's own bound; whether that bound is kept is judged by gates H."""

UNCHECKED_S = 5.0
"""How long visits to a dead server without checks go on: longer than its retries take."""

MANY_IN_FLIGHT = 256
"""Visits at a time: some wait for seconds for the proxy's retries."""

ROUND_TRIES = 3

PROBING = 10
"""Sources of the victim, and as many of other servers, that visit from the kill on."""

PROBE_EVERY_S = 0.1
MOST_VISITS = 2 * PROBING * 60


@shared
def failovers(context: Context) -> Failovers:
    """The failover of each API. Raises EvidenceUnavailable if it may not be done, or cannot be seen."""
    return Failovers(apis=tuple(_failover(context, name, api) for name, api in apis(context).items()))


def _failover(context: Context, api_name: str, api: Api) -> Failover:
    stats = proxy_stats(context.deployment)
    fault = victim(context, api, stats)
    checked = _checked(stats, api, fault.part)
    clients = sources(context, api)
    injector, own = context.injector, own_address(api, fault.part, context.deployment.tls)
    with strongest(context, api, stats) as attribution, healing(context):
        before = steady_round(context, api_name, attribution, clients)
        with _visits_meanwhile(api, attribution, before, fault.part) as visited:
            context.say(f"{fault.part} {fault.fault}")
            done, happened = inject_and_probe(own, lambda: carried_out(injector.inject, fault))
            killed_ns = done.at_ns or done.began_ns
            refused = own is not None and refuses(own)
            down_ns = await_state(context, stats, api, fault, up=False) if checked else None
            if not checked:
                time.sleep(UNCHECKED_S)  # what clients meet in that time is what is measured
        # Without checks the sources of the dead backend wait for seconds; else the APIs are spared.
        in_flight = IN_FLIGHT if checked else MANY_IN_FLIGHT
        during = steady_round(context, api_name, attribution, clients, in_flight)
        context.say(f"healing {fault.part} {fault.fault}")
        healed = carried_out(injector.heal, fault)
        up_ns = await_state(context, stats, api, fault, up=True)
        after = steady_round(context, api_name, attribution, clients)
    return Failover(
        api=api_name,
        victim=fault.part,
        checked=checked,
        happened=happened,
        before=before,
        meanwhile=tuple(visited),
        during=during,
        after=after,
        killed_ns=killed_ns,
        down_ns=down_ns,
        started_ns=healed.at_ns or healed.began_ns,
        up_ns=up_ns,
        retries_s=_retries_s(0.0 if refused else context.deployment.expect.timeout_connect_s),
    )


def _retries_s(connect_s: float | None) -> float | None:
    return None if connect_s is None else attempts_s(connect_s)


def steady_round(
    context: Context, api_name: str, attribution: Attribution, clients: Sources, in_flight: int = IN_FLIGHT
) -> Visits:
    """One visit of every source; repeated if a server's state changed, because no single map held then."""
    for _ in range(ROUND_TRIES):
        found = round_of_visits(context, api_name, attribution, clients, 1, in_flight)
        if found.before == found.after:
            break
    return found


def breakable(context: Context, api: Api, stats: Sequence[StatsSource], fault: str) -> FaultCommands | None:
    """How to inject this fault into the last backend that is up in the proxy and may be given it."""
    up = {row.name for row in proxy_polling.server_rows(stats, api.proxy_section) if row.takes_connections}
    kind = "rest" if api == context.deployment.rest else "cfn"
    parts = {part.name: part for part in context.deployment.parts_of(kind)}
    for backend in reversed(api.backends):
        found = commands(parts[backend.name], fault) if backend.name in parts else None
        if found is not None and backend.name in up:
            return found
    return None


def victim(context: Context, api: Api, stats: Sequence[StatsSource]) -> FaultCommands:
    """The last backend that is up in the proxy and that its owner allows to be killed and started."""
    found = breakable(context, api, stats, "kill")
    if found is None:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            f"no backend of {api.proxy_section} is up and has the commands kill and start in [[parts]]",
        )
    return found


def _checked(stats: Sequence[StatsSource], api: Api, server: str) -> bool:
    rows = proxy_polling.server_rows(stats, api.proxy_section)
    return all(row.check_status and row.status != "no check" for row in rows if row.name == server)


def await_state(
    context: Context, stats: Sequence[StatsSource], api: Api, fault: FaultCommands, *, up: bool
) -> int | None:
    """Wait until all proxies have the server of a fault UP, or none has; when (ns), None if too late."""

    def reached() -> int | None:
        rows = proxy_polling.server_rows(stats, api.proxy_section)
        rows = [row for row in rows if row.name == fault.part]
        if up:
            states = {row.takes_connections and not row.status.startswith("UP ") for row in rows}
            return time.time_ns() if states == {True} else None
        return None if any(row.takes_connections for row in rows) else time.time_ns()

    return waiting.poll(reached, _bound_s(context, fault.fault, up=up) + SCHEDULING_S, every_s=POLL_EVERY_S)


def _bound_s(context: Context, fault: str, *, up: bool) -> float:
    """How long the slowest proxy takes to change a server's state, with the duration of a good check."""
    expect = context.deployment.expect
    unknown = (expect.max_recovery_s if up else expect.max_detection_s) or UNKNOWN_BOUND_S
    bound = recovery_s if up else detection_s
    return max(
        bound(proxy.checks, fault) + answer_s(proxy.checks) if proxy.checks else unknown
        for proxy in context.proxies
    )


@contextmanager
def _visits_meanwhile(
    api: Api, attribution: Attribution, before: Visits, server: str
) -> Iterator[list[Visit]]:
    """Some sources of the server and of others visit until the context ends, and are attributed then."""
    homes = {visit.source: visit.server for visit in before.visits}
    ours = [source for source, home in homes.items() if home == server][:PROBING]
    others = [source for source, home in homes.items() if home not in (None, server)][:PROBING]
    tls = attribution.context.deployment.tls
    requests = attribution.requests(api)
    attribution.start([api])
    visits: list[Visit] = []

    def visit() -> None:
        # As plain visits: connections held for the session table would change what is measured.
        if len(visits) < MOST_VISITS:
            visits.extend(visit_all(api, ours + others, tls, MANY_IN_FLIGHT, requests=requests))

    with RepeatedWork("visits", PROBE_EVERY_S, visit) as visiting:
        yield visits
    visiting.check()
    visits[:] = attribution.attributed(api, visits).visits
