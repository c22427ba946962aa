"""Source affinity: whether each source address stays on one backend, and whether sources can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil, log

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.disturbance import disturbance, undisturbed
from calorimeter.gates.clients.visits import (
    AllVisits,
    Visits,
    by_source,
    counted,
    incomplete,
    log_doubts,
    missed_rate,
    seen_in,
    strength,
)

VIOLATIONS_TOLD = 0.01
"""S8: sources are enough where a violation by one source in a hundred would be seen (95 %)."""


NO_ADDRESSES = (
    "the proxy's counters show no addresses: whether sources reach it as themselves takes its log, or a "
    "stats socket and `mode tcp`"
)


def each_source_on_one_backend(evidence: Visits) -> Judgement:
    """Whether no source address was seen on two backends.

    With n sources and none in violation, a rate of violating sources above 1 − 0.05^(1/n)
    (about 3/n, the rule of three) would have been seen with 95 % probability.
    """
    disturbed = disturbance(evidence)
    problem = disturbed.why if disturbed else incomplete(evidence)
    found = by_source(undisturbed(evidence, disturbed))
    figures = {**strength(evidence), **_shares(found)}
    torn = {source: servers for source, servers in found.items() if len(servers) > 1}
    if torn:
        return failed(
            f"{len(torn)} of {len(found)} source addresses were sent to more than one "
            f"{evidence.name} backend",
            [f"{source}: {counted(servers)}" for source, servers in sorted(torn.items())],
            **figures,
        )
    if problem:
        return inconclusive(problem, **figures)
    repeated = [source for source, servers in found.items() if servers.total() > 1]
    if not repeated:
        return inconclusive("no source address visited twice", **figures)
    used = {server for servers in found.values() for server in servers}
    if len(used) < 2:
        return inconclusive(
            f"all {len(found)} sources landed on {used.pop()}: with one backend in use, "
            "staying cannot be told from having nowhere else to go",
            **figures,
        )
    missed = missed_rate(len(repeated))
    return passed(
        f"each of {len(repeated)} source addresses stayed on one of {len(used)} "
        f"{evidence.name} backends over {figures['connections']} fresh connections (seen in "
        f"{seen_in(evidence)}); more than {missed:.2%} of sources in violation would have been seen "
        "(95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _shares(found: Mapping[str, Counter[str]]) -> dict[str, float]:
    first = Counter(servers.most_common(1)[0][0] for servers in found.values())
    return {f"share_{server}": round(n / len(found), 4) for server, n in sorted(first.items())}


def enough_distinct_sources(evidence: AllVisits) -> Judgement:
    """Whether the proxy sees as many clients as there are, and enough of them to judge affinity by.

    Every answered visit must be found under its own address and port. With n sources, all of them seen as
    themselves, a rate of translated ones above 1 − 0.05^(1/n) would have been seen with 95 % probability.
    """
    return both_apis.each(evidence.apis, lambda visits: visits.api, _enough)


def _enough(evidence: Visits) -> Judgement:
    sent = {visit.source for visit in evidence.visits if visit.status}
    seen = _clients(evidence)
    needed = sources_needed(evidence)
    figures: dict[str, Figure] = {
        **strength(evidence),
        "sources": len(sent),
        "sources_needed": needed,
        "clients_seen_by_the_proxy": len(seen) if evidence.evidence != "counters" else None,
    }
    if not sent:
        return inconclusive(incomplete(evidence) or "nobody visited", **figures)
    if len(evidence.visits) < (evidence.planned or 0) and (disturbed := disturbance(evidence)):
        return inconclusive(disturbed.why, **figures)
    total = sum(seen.values())
    answered = sum(visit.status != 0 for visit in evidence.visits)
    # Who is not in a log with holes may have come as himself: others' lines make up for the number.
    whole = evidence.evidence == "log" and next(log_doubts(evidence), None) is None
    if whole and total >= answered and len(seen) < len(sent):
        names = [f"{address}: {n} connections" for address, n in seen.most_common()]
        return failed(
            f"{len(sent)} source addresses reach the proxy as {len(seen)}: address translation (NAT) or "
            "another proxy lies between, and the source hash sends all behind one address to one backend",
            names,
            **figures,
        )
    if len(sent) < needed:
        return inconclusive(
            f"{len(sent)} source address{'es' * (len(sent) > 1)} cannot tell affinity, as behind NAT; "
            f"{needed} would do ([clients] sources, or more client machines)",
            **figures,
        )
    problem = incomplete(evidence) or (NO_ADDRESSES if evidence.evidence == "counters" else None)
    if problem:
        return inconclusive(problem, **figures)
    missed = missed_rate(len(by_source(evidence)))
    return passed(
        f"{len(sent)} source addresses reach the proxy as {len(seen)}; {needed} would do; more than "
        f"{missed:.2%} of addresses translated on their way would have been seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _clients(evidence: Visits) -> Counter[str]:
    return Counter({address: sum(servers.values()) for address, servers in evidence.clients.items()})


def sources_needed(evidence: Visits) -> int:
    """Sources that affinity can be judged by: each backend has one, and one violator in a hundred shows.

    Of n random sources, all of k backends with shares of at least s get one with probability of at
    least 1 − k·(1 − s)^n (union bound); n without a violation exclude a rate of `VIOLATIONS_TOLD` by the
    rule of three. Both at 95 % confidence.
    """
    rule_of_three = ceil(log(0.05) / log(1 - VIOLATIONS_TOLD))
    weights = [evidence.described.weights.get(name, 1) for name in evidence.servers]
    weights = [weight for weight in weights if weight]
    if len(weights) < 2:
        return rule_of_three
    smallest = min(weights) / sum(weights)
    each_has_one = ceil(log(0.05 / len(weights)) / log(1 - smallest))
    return max(rule_of_three, each_has_one)
