"""The experiment of S9: every proxy is killed and started, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.core import waiting
from calorimeter.core.deployment import Api
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.gates.affinity.failover_trial import POLL_EVERY_S, SCHEDULING_S, steady_round
from calorimeter.gates.affinity.restart import Restart, Restarts
from calorimeter.gates.affinity.turns import has_home
from calorimeter.gates.clients.visit_rounds import apis, sources, strongest
from calorimeter.gates.clients.visits import Visits
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing

STARTS_WITHIN_S = 30.0
"""Time for a proxy to start, and to show its servers; gates H judge how fast it finds failed ones."""


@shared
def restarts(context: Context) -> Restarts:
    """The restart of all proxies. Raises EvidenceUnavailable if it may not be done, or cannot be seen."""
    found, stats = apis(context), proxy_stats(context.deployment)
    chosen = _proxies(context)
    before = {name: _round(context, name, api, stats) for name, api in found.items()}
    if not any(has_home(visits) for visits in before.values()):
        return Restarts(
            apis=tuple(
                Restart(api=name, restarted=(), back=True, before=visits, after=visits)
                for name, visits in before.items()
            )
        )
    back = True
    with healing(context):
        for fault in chosen:
            context.say(f"{fault.part} is restarted")
            carried_out(context.injector.inject, fault)
            carried_out(context.injector.heal, fault)
            back = back and _as_before(stats, before)
    after = {name: _round(context, name, api, stats) for name, api in found.items()}
    parts = tuple(fault.part for fault in chosen)
    return Restarts(
        apis=tuple(
            Restart(api=name, restarted=parts, back=back, before=visits, after=after[name])
            for name, visits in before.items()
        )
    )


def _round(context: Context, name: str, api: Api, stats: Sequence[StatsSource]) -> Visits:
    with strongest(context, api, stats) as attribution:
        return steady_round(context, name, attribution, sources(context, api))


def _proxies(context: Context) -> list[FaultCommands]:
    """How to kill and start each proxy. Raises EvidenceUnavailable if commands for one are missing."""
    parts = [part for part in context.deployment.parts if part.kind == "proxy"]
    able = [found for part in parts if (found := commands(part, "kill")) is not None]
    if len(able) < max(len(parts), len(context.proxies)):
        raise EvidenceUnavailable(
            str(context.deployment.path),
            f"{len(able)} of {len(context.proxies)} proxies have the commands kill and start in [[parts]]",
        )
    return able


def _as_before(stats: Sequence[StatsSource], before: dict[str, Visits]) -> bool:
    """Wait until the proxies show all servers as before; whether they did in time."""

    def shown() -> bool:
        try:
            return all(
                proxy_polling.servers([source], visits.section) == visits.after
                for source in stats
                for visits in before.values()
            )
        except EvidenceUnavailable:  # it is starting
            return False

    return bool(waiting.poll(shown, STARTS_WITHIN_S + SCHEDULING_S, every_s=POLL_EVERY_S))
