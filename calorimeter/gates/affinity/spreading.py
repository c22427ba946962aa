"""S4: the backends have the predicted shares of the sources; and the skew to expect from some clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil, log

from calorimeter.core.source_hash import Unpredictable, expected_excess, spread
from calorimeter.core.statistics.binomial import binomial_bounds, unseen_deviation
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.described_servers import (
    described_rules,
    described_servers,
    differences,
    visit_hash,
)
from calorimeter.gates.affinity.disturbance import undisturbed
from calorimeter.gates.affinity.turns import hashed, spread_as_wanted
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import AllVisits, Visits, by_source, strength
from calorimeter.gates.evidence.placement import disagreement, placement

SPREAD_CONFIDENCE = 0.999
"""A healthy spread lies within its bounds with this probability (all servers together)."""

POPULATIONS = (10, 100, 1000)
"""The numbers of clients for which the skew to expect is given."""


def sources_spread_as_predicted(evidence: AllVisits) -> Judgement:
    """Whether the backends have as many sources as the hash gives them, and the skew to expect.

    Under another wanted policy: whether they got the connections that it gives them (`turns`).
    Each source counts once. A source that was on several backends may count for any of them: the gate fails
    only if no choice makes a count right, and passes only without such sources. The prediction is for these
    very addresses. Each server's count must lie within what a random assignment with these shares gives
    (exact binomial, Bonferroni's correction for the servers, `SPREAD_CONFIDENCE`); whether it is this very
    assignment is judged by S3. A server with another described backend's address counts as that backend.

    What could have been missed (`missed_rate_95`) is a part of all sources: the deviation from its share
    that a backend may have without being seen (`unseen_deviation`, the largest of all backends).
    """
    return both_apis.check_each_api(evidence.apis, lambda visits: visits.api, _shares)


def _shares(evidence: Visits) -> Judgement:
    return _spread(evidence) if hashed(evidence) else spread_as_wanted(evidence)


def _spread(evidence: Visits) -> Judgement:
    quiet, problem = undisturbed(evidence)
    found = by_source(quiet)
    where = placement(evidence.backends, evidence.placed)
    known = {} if disagreement(evidence.backends, evidence.placed) else where.others
    places = [{known.get(server, server) for server in servers} for servers in found.values()]
    torn = sum(len(among) > 1 for among in places)
    seen = Counter(server for among in places if len(among) == 1 for server in among)
    perhaps = Counter(server for among in places for server in among)
    figures: dict[str, Figure] = {**strength(evidence), "sources_on_several": torn}
    problem = problem or where.doubt or _torn(evidence, torn, len(places))
    if not found:
        return inconclusive(problem or "no visit was attributed", **figures)
    try:
        shares, rule = _expected_shares(quiet, figures)
    except Unpredictable as reason:
        return inconclusive(problem or f"no share can be predicted: {reason}", **figures)
    names = list(dict.fromkeys((*shares, *perhaps)))
    figures |= {f"sources_{name}": seen[name] for name in names}
    figures |= {f"predicted_{name}": round(shares.get(name, 0.0) * len(found), 1) for name in names}
    outside = (1 - SPREAD_CONFIDENCE) / max(len(names), 1)
    bounds = {name: binomial_bounds(len(found), shares.get(name, 0.0), outside) for name in names}
    off = [
        f"{name} has {_count(seen[name], perhaps[name])} sources, expected {low} to {high}"
        for name, (low, high) in bounds.items()
        if perhaps[name] < low or seen[name] > high
    ]
    if off:
        return failed(
            f"{len(off)} of {len(names)} {evidence.name} backends have a different share of the sources "
            f"than {rule}",
            [*differences(evidence), *off],
            **figures,
        )
    if problem is not None:
        return inconclusive(problem, **figures)
    if problem := _too_few(shares, bounds, len(found), outside):
        return inconclusive(problem, **figures)
    skew = ", ".join(
        f"{figures[f'skew_of_{clients}_clients']}× with {clients}"
        for clients in POPULATIONS
        if f"skew_of_{clients}_clients" in figures
    )
    expected_skew = f"; expect up to {skew} clients on the busiest backend (95 %)" if skew else ""
    missed = max(
        unseen_deviation(len(found), shares.get(name, 0.0), *between) for name, between in bounds.items()
    )
    return passed(
        f"{len(found)} sources spread over {len(names)} {evidence.name} backends as {rule}; a backend "
        f"with {missed:.2%} of all sources more or fewer would have been detected (95 % "
        f"confidence){expected_skew}{loss(evidence)}",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _torn(evidence: Visits, torn: int, sources: int) -> str | None:
    """Why sources cannot be counted; None if each was on one backend."""
    if not torn:
        return None
    return (
        f"{torn} of {sources} sources were on more than one {evidence.name} backend (see S1, S2): "
        "which of the backends to count them for cannot be determined"
    )


def _count(surely: int, perhaps: int) -> str:
    return str(surely) if surely == perhaps else f"{surely} to {perhaps}"


def _too_few(
    shares: Mapping[str, float], bounds: Mapping[str, tuple[int, int]], sources: int, outside: float
) -> str | None:
    """Why a usable backend without any source would not be noticed; None if each would be."""
    if none := [name for name, share in shares.items() if not share]:
        return (
            f"none of these {sources} sources is predicted for {', '.join(none)}: whether others get there "
            "cannot be determined (see S8)"
        )
    if few := [name for name in shares if not bounds[name][0]]:
        smallest = min(shares[name] for name in few)
        return (
            f"{sources} sources are too few: chance alone may leave {', '.join(few)} without any (about "
            f"{ceil(log(outside / 2) / log(1 - smallest))} would do, see S8)"
        )
    return None


def _expected_shares(evidence: Visits, figures: dict[str, Figure]) -> tuple[dict[str, float], str]:
    """Usable server → the share of these sources that it should have; and the rule that gives it.

    Raises Unpredictable if the hash gives none: the shares of a ring that cannot be computed are not its
    weights.
    """
    servers = described_servers(evidence)
    try:
        rules, hashing = described_rules(evidence), visit_hash(evidence, servers)
        first = {visit.source: visit for visit in evidence.visits if visit.server is not None}
        predicted = spread(map(hashing.server, first.values()), servers, rules)
        for clients in POPULATIONS:
            figures[f"skew_of_{clients}_clients"] = round(expected_excess(clients, servers, rules), 2)
        figures["skew_of_these"] = round(predicted.excess, 3)
    except Unpredictable as reason:
        figures["not_predicted"] = str(reason)
        raise
    return (
        {name: count / max(predicted.sources, 1) for name, count in predicted.counts.items()},
        "the hash over the described servers gives",
    )
