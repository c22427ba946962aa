"""S5: a source keeps its backend over time, over reconnects, and while others load the API."""

from __future__ import annotations

from collections import Counter

from calorimeter.core.balance_policy import Policy
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.disturbance import disturbance, undisturbed
from calorimeter.gates.affinity.turns import goes_by_address, no_home, policy_of, shares_under_load
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import (
    EVIDENCE,
    Visits,
    by_source,
    counted,
    log_used,
    moved_sources,
    no_violation,
)


class LoadBetweenVisits(Model):
    """A load by Locust: its exit status, and how many requests it sent between the first and last visit.

    `seconds` is the time from the first to the last of those visits.
    """

    users: int
    status: int
    requests: int
    requests_meanwhile: int
    seconds: float


class Persistence(Model):
    """Evidence of S5: visits of the same sources without a load, and again while one ran."""

    quiet: tuple[Visits, ...]
    loaded: tuple[Visits, ...]
    load: LoadBetweenVisits


def sources_stay_under_load(evidence: Persistence) -> Judgement:
    """Whether each source had one backend in all its visits, and each client of the load one too.

    Where backends are taken in turn: whether each got its share of all connections under the load.
    """
    pairs = list(zip(evidence.quiet, evidence.loaded, strict=True))
    return both_apis.worst_of_apis(
        (quiet.api, _stays(quiet, loaded, evidence.load)) for quiet, loaded in pairs
    )


def _stays(quiet: Visits, loaded: Visits, load: LoadBetweenVisits) -> Judgement:
    if policy_of(loaded) is Policy.IN_TURN:
        return shares_under_load(loaded, _no_load(load))
    return no_home(loaded) or _sources_stay(quiet, loaded, load)


def _no_load(load: LoadBetweenVisits) -> str | None:
    """Why there was no load; None if there was."""
    if load.status == 0 and load.requests_meanwhile:
        return None
    how = f"status {load.status}, {load.requests_meanwhile} requests"
    return f"there was no load during the visits ({how})"


def _sources_stay(quiet: Visits, loaded: Visits, load: LoadBetweenVisits) -> Judgement:
    (quiet_visits, quiet_problem), (loaded_visits, loaded_problem) = undisturbed(quiet), undisturbed(loaded)
    before, then = by_source(quiet_visits), by_source(loaded_visits)
    visited = {visit.source for visit in loaded.visits}
    others = {client: servers for client, servers in loaded.clients.items() if client not in visited}
    if disturbance(loaded) or not goes_by_address(loaded):
        # It is not known which of their connections came before the disturbance, or what they ask.
        others = {}
    all_of = {source: before.get(source, Counter()) + then[source] for source in then}
    times = [visit.sent_ns for visits in (quiet, loaded) for visit in visits.visits]
    figures: dict[str, Figure] = {
        "sources": len(then),
        "connections": sum(servers.total() for servers in then.values()),
        "connections_before": sum(servers.total() for servers in before.values()),
        "requests": len(quiet.visits) + len(loaded.visits),
        "span_s": round((max(times) - min(times)) / 1e9, 1) if times else 0.0,
        "load_users": load.users,
        "load_requests_meanwhile": load.requests_meanwhile,
        "load_clients": len(others),
        "evidence": EVIDENCE[loaded.evidence],
        "log": log_used(loaded),
    }
    several = [
        *(
            f"{source}: {counted(servers)}, without and under load"
            for source, servers in moved_sources(all_of).items()
        ),
        *(
            f"{client} of the load: {counted(servers)}"
            for client, servers in sorted(others.items())
            if len({server for server in servers if server}) > 1
        ),
    ]
    if several:
        return failed(
            f"{len(several)} of {len(then) + len(others)} addresses changed their {loaded.name} backend, "
            "under load or since their visits without it",
            several,
            **figures,
        )
    if disturbed := disturbance(quiet) or disturbance(loaded):
        return inconclusive(disturbed.why, **figures)
    if problem := _no_load(load) or quiet_problem or loaded_problem:
        return inconclusive(problem, **figures)
    if len({server for servers in all_of.values() for server in servers}) < 2:
        return inconclusive("all sources are on one backend, so staying on it proves nothing", **figures)
    why = (
        f"each of {len(then)} sources kept its {loaded.name} backend over {figures['span_s']} s, "
        f"{figures['connections_before']} connections before and {figures['connections']} under a load of "
        f"{load.requests_meanwhile} requests by {load.users} users{loss(quiet, loaded)}"
    )
    return no_violation(why, len(then), "sources that change backend", figures)
