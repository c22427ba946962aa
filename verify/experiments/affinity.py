"""Visits from many sources, with each connection's backend from the strongest evidence there is."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from calorimeter.deployment import Api, Expect
from verify.bench import Bench
from verify.checks.visits import AllVisits, Described, Visits
from verify.experiments import looks
from verify.experiments.attribution import Strongest, strongest
from verify.experiments.visits import GIVE_UP, IN_FLIGHT
from verify.sources import addresses, check_bindable


def visits(bench: Bench, api_name: str) -> Visits:
    """Let the bench's sources visit an API and attribute each visit.

    Raises `EvidenceUnavailable` where the API or the proxy is not described, or shows nothing.
    """
    return bench.once(f"visits-{api_name}", lambda: _visits(bench, api_name))


def all_visits(bench: Bench) -> AllVisits:
    """The visits to all APIs of the deployment."""
    names = [name for name in ("rest", "cfn") if bench.deployment.api(name) is not None]
    return AllVisits(apis=tuple(visits(bench, name) for name in names))


def _visits(bench: Bench, api_name: str) -> Visits:
    api = bench.api(api_name)
    who = sources(bench, api)
    stats = looks.looks_if_any(bench)
    with strongest(bench, api, stats) as way:
        return round_of_visits(bench, api_name, way, who, bench.settings.visits, give_up=GIVE_UP)


def round_of_visits(
    bench: Bench,
    api_name: str,
    way: Strongest,
    who: Sequence[str | None],
    times: int,
    in_flight: int = IN_FLIGHT,
    give_up: int | None = None,
) -> Visits:
    """Each source visits `times` times, between two looks at the section's servers (see `visit_all`)."""
    api = way.api
    bench.say(f"{len(who)} sources visit {api_name}" + (f", {times} times" if times > 1 else ""))
    before = looks.servers(way.stats, api.proxy_section)
    found = way.visits(who, times, in_flight, give_up)
    return Visits(
        api=api_name,
        section=api.proxy_section,
        servers=tuple(backend.name for backend in api.backends),
        visits=found.visits,
        logs=found.logs,
        evidence=way.evidence,
        passed_over=way.passed_over + found.passed_over,
        described=described(bench.deployment.expect),
        before=before,
        after=looks.servers(way.stats, api.proxy_section),
        clients=found.clients,
        told=found.told,
        planned=len(who) * times,
        backends=looks.resolved(api),
        placed=looks.placed(way.stats, api.proxy_section),
    )


def described(expect: Expect) -> Described:
    """How the owner wants sections to balance."""
    return Described(balance=expect.balance, hash_type=expect.hash_type, weights=expect.weights)


def sources(bench: Bench, api: Api) -> Sequence[str | None]:
    """The addresses that visit: those of `[clients]`, or the one that the operating system picks."""
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(bench.deployment.clients.sources, bench.settings.sources, family=family)
    for address in found[:1] + found[-1:]:
        check_bindable(address)
    return found or [None]
