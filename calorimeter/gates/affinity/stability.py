"""S1, S2 and S8: each source stays on one server, and enough distinct sources reach the proxy."""

from __future__ import annotations

from collections import Counter
from math import ceil, log

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.disturbance import disturbance, undisturbed
from calorimeter.gates.affinity.kept_alive import kept_alive, strayed
from calorimeter.gates.affinity.turns import no_home, not_by_address
from calorimeter.gates.clients.lost_lines import log_doubts, loss, why_no_proof
from calorimeter.gates.clients.visits import (
    AllVisits,
    Visits,
    by_source,
    counted,
    moved_sources,
    no_violation,
    seen_in,
    strength,
)

RATE_TO_SHOW = 0.01
"""S8: sources are enough if a violation by one source in a hundred would be seen (95 %)."""

NO_ADDRESSES = (
    "the proxy's counters show no addresses: only its log, or a stats socket in `mode tcp`, shows whether "
    "sources reach the proxy as themselves"
)


def each_source_on_one_backend(evidence: Visits) -> Judgement:
    """Whether no source address was seen on two backends.

    With n sources and none in violation, a rate of violating sources above 1 − 0.05^(1/n)
    (about 3/n, the rule of three) would be detected with 95 % probability.
    """
    return no_home(evidence) or _stays(evidence)


def _stays(evidence: Visits) -> Judgement:
    quiet, problem = undisturbed(evidence)
    found = by_source(quiet)
    first = Counter(servers.most_common(1)[0][0] for servers in found.values())
    shares = {f"share_{server}": round(n / len(found), 4) for server, n in sorted(first.items())}
    figures = {**strength(evidence), **shares}
    if several := moved_sources(found):
        return failed(
            f"{len(several)} of {len(found)} source addresses were sent to more than one "
            f"{evidence.name} backend",
            [f"{source}: {counted(servers)}" for source, servers in several.items()],
            **figures,
        )
    if left := list(strayed(quiet)):
        return failed(
            f"requests of {len(left)} of {len(quiet.kept)} kept-alive clients went to another "
            f"{evidence.name} backend than the client's new connections",
            left,
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
            "staying on it proves nothing",
            **figures,
        )
    why = (
        f"each of {len(repeated)} source addresses stayed on one of {len(used)} "
        f"{evidence.name} backends over {figures['connections']} fresh connections (seen in "
        f"{seen_in(evidence)}){loss(evidence)}{kept_alive(evidence)}"
    )
    return no_violation(why, len(repeated), "sources that change backend", figures)


def enough_distinct_sources(evidence: AllVisits) -> Judgement:
    """Whether the proxy sees as many clients as there are, and enough of them to judge affinity by.

    Every answered visit must be found under its own address and port. With n sources, all of them seen as
    themselves, a rate of translated ones above 1 − 0.05^(1/n) would be detected with 95 % probability.
    """
    return both_apis.check_each_api(
        evidence.apis, lambda visits: visits.api, lambda one: not_by_address(one) or _enough(one)
    )


def _enough(evidence: Visits) -> Judgement:
    sent = {visit.source for visit in evidence.visits if visit.status}
    seen = Counter({address: sum(servers.values()) for address, servers in evidence.clients.items()})
    needed = sources_needed(evidence)
    figures: dict[str, Figure] = {
        **strength(evidence),
        "sources": len(sent),
        "sources_needed": needed,
        "clients_seen_by_the_proxy": len(seen) if evidence.evidence != "counters" else None,
    }
    if not sent:
        return inconclusive(why_no_proof(evidence) or "no source visited", **figures)
    if len(evidence.visits) < (evidence.planned or 0) and (disturbed := disturbance(evidence)):
        return inconclusive(disturbed.why, **figures)
    answered = sum(visit.status != 0 for visit in evidence.visits)
    # A source that is missing from an incomplete log may have come as itself: others' lines make up the
    # number.
    complete = evidence.evidence == "log" and next(log_doubts(evidence), None) is None
    if complete and seen.total() >= answered and len(seen) < len(sent):
        return failed(
            f"{len(sent)} source addresses reach the proxy as {len(seen)}: address translation (NAT) or "
            "another proxy lies between, and the source hash sends everyone behind one address to one "
            "backend",
            [f"{address}: {n} connections" for address, n in seen.most_common()],
            **figures,
        )
    if len(sent) < needed:
        return inconclusive(
            f"{len(sent)} source address{'es' * (len(sent) > 1)} cannot show affinity, as behind NAT; "
            f"{needed} would do ([clients] sources, or more client machines)",
            **figures,
        )
    problem = why_no_proof(evidence) or (NO_ADDRESSES if evidence.evidence == "counters" else None)
    if problem:
        return inconclusive(problem, **figures)
    why = f"{len(sent)} source addresses reach the proxy as {len(seen)}; {needed} would do{loss(evidence)}"
    return no_violation(why, len(by_source(evidence)), "translated addresses", figures)


def sources_needed(evidence: Visits) -> int:
    """The number of sources that affinity can be judged by: each backend gets one, and 1 % violators show.

    Of n random sources, all of k backends with shares of at least s get one with probability of at
    least 1 − k·(1 − s)^n (union bound); n without a violation exclude a rate of `RATE_TO_SHOW` by the
    rule of three. Both at 95 % confidence.
    """
    rule_of_three = ceil(log(0.05) / log(1 - RATE_TO_SHOW))
    weights = [evidence.described.weights.get(name, 1) for name in evidence.servers]
    weights = [weight for weight in weights if weight]
    if len(weights) < 2:
        return rule_of_three
    smallest = min(weights) / sum(weights)
    return max(rule_of_three, ceil(log(0.05 / len(weights)) / log(1 - smallest)))
