"""Visits from many sources, with each connection's backend from the strongest evidence there is."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from calorimeter.core.deployment import Api, Expect
from calorimeter.gates.clients.attribution import Attribution, strongest
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.clients.visiting import GIVE_UP, IN_FLIGHT
from calorimeter.gates.clients.visits import AllVisits, Described, Visits
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible


def visits(context: Context, api_name: str) -> Visits:
    """Let the context's sources visit an API and attribute each visit.

    Raises `EvidenceUnavailable` where the API or the proxy is not described, or shows nothing.
    """
    return context.once(f"visits-{api_name}", lambda: _visits(context, api_name))


def all_visits(context: Context) -> AllVisits:
    """The visits to all APIs of the deployment."""
    names = [name for name in ("rest", "cfn") if context.deployment.api(name) is not None]
    return AllVisits(apis=tuple(visits(context, name) for name in names))


def _visits(context: Context, api_name: str) -> Visits:
    api = context.api(api_name)
    who = sources(context, api)
    stats = proxy_stats_if_visible(context.deployment)
    with strongest(context, api, stats) as way:
        return round_of_visits(context, api_name, way, who, context.settings.visits, give_up=GIVE_UP)


def round_of_visits(
    context: Context,
    api_name: str,
    way: Attribution,
    who: Sequence[str | None],
    times: int,
    in_flight: int = IN_FLIGHT,
    give_up: int | None = None,
) -> Visits:
    """Each source visits `times` times, between two looks at the section's servers (see `visit_all`)."""
    api = way.api
    context.say(f"{len(who)} sources visit {api_name}" + (f", {times} times" if times > 1 else ""))
    before = proxy_polling.servers(way.stats, api.proxy_section)
    found = way.visits(who, times, in_flight, give_up)
    return Visits(
        api=api_name,
        section=api.proxy_section,
        servers=tuple(backend.name for backend in api.backends),
        visits=found.visits,
        logs=found.logs,
        evidence=way.evidence,
        passed_over=way.passed_over + found.passed_over,
        described=described(context.deployment.expect),
        before=before,
        after=proxy_polling.servers(way.stats, api.proxy_section),
        clients=found.clients,
        told=found.told,
        planned=len(who) * times,
        backends=proxy_polling.resolved(api),
        placed=proxy_polling.placed(way.stats, api.proxy_section),
    )


def described(expect: Expect) -> Described:
    """How the owner wants sections to balance."""
    return Described(balance=expect.balance, hash_type=expect.hash_type, weights=expect.weights)


def sources(context: Context, api: Api) -> Sequence[str | None]:
    """The addresses that visit: those of `[clients]`, or the one that the operating system picks."""
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(context.deployment.clients.sources, context.settings.sources, family=family)
    for address in found[:1] + found[-1:]:
        check_bindable(address)
    return found or [None]
