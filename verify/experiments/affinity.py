"""Visits from many sources, with each connection's backend from the strongest evidence there is."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from calorimeter.deployment import Api, Expect
from verify.bench import Bench
from verify.checks.visits import AllVisits, Described, Source, Visits
from verify.evidence.proxy_stats import StatsSource
from verify.evidence.unavailable import EvidenceUnavailable
from verify.experiments import attribution, looks
from verify.experiments.attribution import Attributed, Log
from verify.experiments.visits import visit_all
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
    before = looks.servers(stats, api.proxy_section)
    evidence, found, passed_over = _strongest(bench, api, who, stats)
    return Visits(
        api=api_name,
        section=api.proxy_section,
        servers=tuple(backend.name for backend in api.backends),
        visits=found.visits,
        logs=found.logs,
        evidence=evidence,
        passed_over=passed_over,
        described=described(bench.deployment.expect),
        before=before,
        after=looks.servers(stats, api.proxy_section),
        clients=found.clients,
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


def _strongest(
    bench: Bench, api: Api, who: Sequence[str | None], stats: Sequence[StatsSource]
) -> tuple[Source, Attributed, tuple[str, ...]]:
    """The visits by the strongest evidence that one visit beforehand shows to be there."""
    times, tls = bench.settings.visits, bench.deployment.tls
    reasons: list[str] = []
    try:
        with Log.listening(bench, stats) as log:
            doubt = log.doubt(api)
            if doubt is None:
                return "log", log.attribute(api, lambda: visit_all(api, who, times, tls)), ()
            reasons.append(doubt)
    except EvidenceUnavailable as problem:
        reasons.append(f"{problem.where}: {problem.why}")
    if stats and all(look.shows_sessions for look in stats):
        (probe,) = attribution.by_sessions(bench, api, [None], 1, stats).visits
        if probe.server is not None:
            found = attribution.by_sessions(bench, api, who, times, stats)
            return "sessions", found, tuple(reasons)
        reasons.append("the table of live sessions names no server after an answer")
    else:
        reasons.append("no stats socket shows live sessions")
    if stats:
        return "counters", attribution.by_counters(bench, api, who, times, stats), tuple(reasons)
    raise EvidenceUnavailable(str(bench.deployment.path), "; ".join(reasons))
