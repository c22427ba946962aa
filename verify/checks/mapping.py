"""The mapping of sources to backends: whether it is the predicted one, and how it spreads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import exp, lgamma, log

from calorimeter.source_hash import (
    HashRules,
    HashServer,
    SourceHash,
    Unpredictable,
    excess_to_expect,
    spread,
)
from calorimeter.verdict import Figure, Judgement, failed, inconclusive, passed
from verify.checks import apis
from verify.checks.disturbance import disturbance, undisturbed
from verify.checks.placement import disagreement, placement
from verify.checks.visits import (
    AllVisits,
    Visits,
    by_source,
    counted,
    incomplete,
    missed_rate,
    seen_in,
    strength,
)

SPREAD_CONFIDENCE = 0.999
"""S4: a healthy spread lies within its bounds with this probability (all servers together)."""

MISSED = 0.05
"""S4: a deviation is one that could have been missed where its probability to pass is larger."""

POPULATIONS = (10, 100, 1000)
"""S4: the numbers of clients for which the skew to expect is given."""


def described_rules(evidence: Visits) -> HashRules:
    """The rules that the owner describes; `Unpredictable` where they give no source hash."""
    rules = HashRules.from_words(evidence.described.balance, evidence.described.hash_type)
    rules.check()
    return rules


def described_servers(evidence: Visits) -> tuple[HashServer, ...]:
    """The servers and weights that the owner describes.

    What a description does not say is taken from the proxy where it shows it: the order in its file,
    the servers' numbers, and which are up; else the described order is assumed, and all up.
    """
    shown = {server.name: server for server in evidence.before or ()}
    weights = evidence.described.weights
    names = list(evidence.servers)
    if set(names) <= set(shown):
        names.sort(key=list(shown).index)
    return tuple(
        replace(shown.get(name) or HashServer(name, position), weight=weights.get(name, 1))
        for position, name in enumerate(names, start=1)
    )


def differences(evidence: Visits) -> Iterator[str]:
    """Where the proxy's own list of servers differs from the described one."""
    yield from placement(evidence.backends, evidence.placed).told
    if evidence.before is None:
        return
    shown = {server.name: server for server in evidence.before}
    for name in evidence.servers:
        wanted = evidence.described.weights.get(name, 1)
        if name not in shown:
            yield f"{name} is described, and is not in the proxy's section {evidence.section}"
        elif shown[name].weight != wanted:
            since = _changed_since(evidence, shown[name])
            yield f"{name} has weight {shown[name].weight} in the proxy{since}, {wanted} is described"
    for name in shown:
        if name not in evidence.servers:
            yield f"{name} is in the proxy's section {evidence.section}, and is not described"


def _changed_since(evidence: Visits, server: HashServer) -> str:
    in_file = {at.file_weight for at in evidence.placed if at.server == server.name} - {None}
    return f" (its file says {in_file.pop()})" if len(in_file) == 1 and server.weight not in in_file else ""


def mapping_is_the_predicted_one(evidence: AllVisits) -> Judgement:
    """Whether every visit went to the backend that HAProxy's source hash gives to its address.

    The log names servers; that a server is the backend described under its name is seen by its address,
    where the proxy shows it.
    """
    return apis.each(evidence.apis, lambda visits: visits.api, _mapping)


def _mapping(evidence: Visits) -> Judgement:
    figures: dict[str, Figure] = {**strength(evidence)}
    try:
        hashing = SourceHash(described_servers(evidence), described_rules(evidence))
    except Unpredictable as reason:
        return _observed(evidence, str(reason))
    disturbed = disturbance(evidence)
    quiet = undisturbed(evidence, disturbed)
    visits = [visit for visit in quiet.visits if visit.server is not None]
    expected = {v.source: (v.hashed, hashing.server(v.hashed)) for v in visits}
    found = by_source(quiet)
    wrong = {source: servers for source, servers in found.items() if set(servers) != {expected[source][1]}}
    figures |= {"sources_predicted": len(found) - len(wrong), "sources_elsewhere": len(wrong)}
    if wrong:
        return failed(
            f"{len(wrong)} of {len(found)} sources are not on the {evidence.name} backend that "
            f"`{_rules_text(evidence)}` over the described servers gives",
            [
                *differences(evidence),
                *(
                    f"{source}: {counted(servers)}, predicted {expected[source][1]}"
                    for source, servers in sorted(wrong.items())
                ),
            ],
            **figures,
        )
    where = placement(evidence.backends, evidence.placed)
    if where.others and found:
        return failed(
            f"sources are on the servers that `{_rules_text(evidence)}` gives, but {len(where.others)} of "
            f"the proxy's servers are other {evidence.name} backends than described under their names",
            [*differences(evidence)],
            **figures,
        )
    problem = (disturbed.why if disturbed else incomplete(evidence)) or where.doubt
    if problem is not None:
        return inconclusive(problem, **figures)
    missed = missed_rate(len(found))
    assumed = "" if evidence.before is not None else ", the described order of servers assumed"
    return passed(
        f"each of {len(found)} sources is on the predicted {evidence.name} backend "
        f"(`{_rules_text(evidence)}`{assumed}; seen in {seen_in(evidence)}); more than {missed:.2%} of "
        "sources elsewhere would have been seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _rules_text(evidence: Visits) -> str:
    return f"balance {evidence.described.balance}, hash-type {evidence.described.hash_type}"


def _observed(evidence: Visits, reason: str) -> Judgement:
    """Without a prediction: whether there is a mapping at all."""
    disturbed = disturbance(evidence)
    found = by_source(undisturbed(evidence, disturbed))
    figures: dict[str, Figure] = {**strength(evidence), "not_predicted": reason}
    torn = {source: servers for source, servers in found.items() if len(servers) > 1}
    if torn:
        return failed(
            f"cannot be predicted ({reason}), and no mapping was observed: {len(torn)} of {len(found)} "
            f"sources were on more than one {evidence.name} backend",
            [f"{source}: {counted(servers)}" for source, servers in sorted(torn.items())],
            **figures,
        )
    problem = disturbed.why if disturbed else incomplete(evidence)
    if problem is None and not any(servers.total() > 1 for servers in found.values()):
        problem = "no source address visited twice"
    if problem:
        return inconclusive(f"cannot be predicted ({reason}), and {problem}", **figures)
    missed = missed_rate(sum(servers.total() > 1 for servers in found.values()))
    return passed(
        f"cannot be predicted ({reason}); observed instead: each of {len(found)} sources kept one "
        f"{evidence.name} backend (seen in {seen_in(evidence)}); more than {missed:.2%} of sources that "
        "do not would have been seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def sources_spread_as_predicted(evidence: AllVisits) -> Judgement:
    """Whether the backends have as many sources as the hash gives them, and the skew to expect.

    Each source counts once, where it was seen first. The prediction is for these very addresses; each
    server's count must lie within what a random assignment with these shares gives (exact binomial,
    Bonferroni's correction for the servers, `SPREAD_CONFIDENCE`): whether it is this very
    assignment is what S3 judges.

    A server that has another described backend's address counts as that one.

    What it could have missed (`missed_rate_95`) is a part of all sources: so many more or fewer than its
    share may one backend get without being seen (`unseen_deviation`, the largest of all backends).
    """
    return apis.each(evidence.apis, lambda visits: visits.api, _spread)


def _spread(evidence: Visits) -> Judgement:
    disturbed = disturbance(evidence)
    quiet = undisturbed(evidence, disturbed)
    found = by_source(quiet)
    where = placement(evidence.backends, evidence.placed)
    first = {source: next(iter(servers)) for source, servers in found.items()}
    known = {} if disagreement(evidence.backends, evidence.placed) else where.others
    seen = Counter(known.get(server, server) for server in first.values())
    figures: dict[str, Figure] = {**strength(evidence)}
    problem = (disturbed.why if disturbed else incomplete(evidence)) or where.doubt
    if not found:
        return inconclusive(problem or "no visit was attributed", **figures)
    shares, said = _expected_shares(quiet, figures)
    names = list(dict.fromkeys((*shares, *seen)))
    figures |= {f"sources_{name}": seen[name] for name in names}
    figures |= {f"predicted_{name}": round(shares.get(name, 0.0) * len(found), 1) for name in names}
    outside = (1 - SPREAD_CONFIDENCE) / max(len(names), 1)
    bounds = {name: binomial_bounds(len(found), shares.get(name, 0.0), outside) for name in names}
    off = [
        f"{name} has {seen[name]} sources, {low} to {high} were to be expected"
        for name, (low, high) in bounds.items()
        if not low <= seen[name] <= high
    ]
    if off:
        return failed(
            f"{len(off)} of {len(names)} {evidence.name} backends have another share of the sources than "
            f"{said}",
            [*differences(evidence), *off],
            **figures,
        )
    if problem is not None:
        return inconclusive(problem, **figures)
    skew = ", ".join(
        f"{figures[f'skew_of_{clients}_clients']}× with {clients}"
        for clients in POPULATIONS
        if f"skew_of_{clients}_clients" in figures
    )
    told = f"; the fullest backend must expect up to {skew} clients (95 %)" if skew else ""
    missed = max(
        unseen_deviation(len(found), shares.get(name, 0.0), *between) for name, between in bounds.items()
    )
    return passed(
        f"{len(found)} sources spread over {len(names)} {evidence.name} backends as {said}; a backend with "
        f"{missed:.2%} of all sources more or fewer would have been seen (95 % confidence){told}",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _expected_shares(evidence: Visits, figures: dict[str, Figure]) -> tuple[dict[str, float], str]:
    """Server → the part of these sources that it should have; and by what rule."""
    servers = described_servers(evidence)
    try:
        rules = described_rules(evidence)
        hashed = {visit.hashed for visit in evidence.visits if visit.server is not None}
        predicted = spread(hashed, servers, rules)
        for clients in POPULATIONS:
            figures[f"skew_of_{clients}_clients"] = round(excess_to_expect(clients, servers, rules), 2)
        figures["skew_of_these"] = round(predicted.excess, 3)
    except Unpredictable as reason:
        figures["not_predicted"] = str(reason)
        weight = sum(server.weight for server in servers if server.up) or 1
        shares = {server.name: server.weight * server.up / weight for server in servers}
        return shares, f"the described weights say (cannot be predicted: {reason})"
    return (
        {name: count / max(predicted.sources, 1) for name, count in predicted.counts.items()},
        "the hash over the described servers gives",
    )


def binomial_bounds(trials: int, share: float, outside: float) -> tuple[int, int]:
    """The counts between which a binomial variable lies, but for a probability of `outside`.

    The exact distribution, half of `outside` left out at each end.
    """
    if share <= 0 or share >= 1:
        certain = trials if share >= 1 else 0
        return certain, certain
    probabilities = [
        exp(
            lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
            + k * log(share) + (trials - k) * log(1 - share)
        )
        for k in range(trials + 1)
    ]  # fmt: skip
    return _until(probabilities, outside / 2), trials - _until(probabilities[::-1], outside / 2)


def unseen_deviation(trials: int, share: float, low: int, high: int) -> float:
    """How far a share may be off and still pass, from `low` to `high` of `trials`, in one of twenty times.

    A true share of q is seen as too large with the probability 1 − P(B(trials, q) ≤ high), which is 95 %
    for the q at which P(…) = 0.05: Clopper and Pearson's upper bound for `high`. Too small likewise.
    With `low` = 0 even no source at all would pass: all of the share may be missing.
    """
    too_large = _upper_bound(trials, high)
    too_small = 1 - _upper_bound(trials, trials - low)
    return max(too_large - share, share - too_small)


def _upper_bound(trials: int, count: int) -> float:
    """The q at which P(B(trials, q) ≤ count) = 0.05, by bisection; 1 where it is never as small."""
    if count >= trials:
        return 1.0
    ways = [lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in range(count + 1)]
    low, high = 0.0, 1.0
    for _ in range(40):
        q = (low + high) / 2
        more, less = log(q), log(1 - q)
        if sum(exp(way + k * more + (trials - k) * less) for k, way in enumerate(ways)) > MISSED:
            low = q
        else:
            high = q
    return (low + high) / 2


def _until(probabilities: list[float], mass: float) -> int:
    """How many of the first can be left out before they together exceed `mass`."""
    total = 0.0
    for k, probability in enumerate(probabilities):
        total += probability
        if total > mass:
            return k
    return len(probabilities) - 1
