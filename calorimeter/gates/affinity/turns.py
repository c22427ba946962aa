"""Gates S where the wanted `balance` does not go by the client's address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf

from calorimeter.core.balance_policy import (
    Policy,
    in_turn_bound,
    out_of_order,
    out_of_turn,
    random_shares,
)
from calorimeter.core.request_key import RequestKey
from calorimeter.core.source_hash import HashRules, Unpredictable, usable, weight_shares
from calorimeter.core.statistics.binomial import binomial_bounds, unseen_deviation
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, not_run, passed
from calorimeter.gates.affinity.described_servers import described_servers, differences
from calorimeter.gates.affinity.disturbance import disturbance, undisturbed
from calorimeter.gates.affinity.kept_alive import kept_alive
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import Visits, seen_in, strength

CONFIDENCE = 0.999
"""`balance random`: a healthy spread lies within its bounds with this probability."""

NOT_HELD = (
    "`balance leastconn` is wanted: its choice shows only by connections that are held, in `mode tcp`, "
    "with the proxy's log, at an API that keeps connections"
)

LARGEST_MISSED = 0.05
"""A share that is off by more than this must be seen, or the visits are too few."""


def policy_of(evidence: Visits) -> Policy:
    """The policy that the owner wants of the section."""
    return evidence.described.policy


def hashed(evidence: Visits) -> bool:
    """Whether a hash gives each of our sources its backend: of its address, or of a request that has it."""
    policy = policy_of(evidence)
    of_request = policy is Policy.REQUEST and RequestKey.of(evidence.described.balance) is not None
    return policy is Policy.SOURCE or of_request


def has_home(evidence: Visits) -> bool:
    """Whether each of our sources has a backend of its own: by a hash, or because clients stick."""
    return hashed(evidence) or policy_of(evidence) is Policy.STICKY


def goes_by_address(evidence: Visits) -> bool:
    """Whether a client's address alone decides where it goes, or where it stays."""
    return policy_of(evidence) is Policy.SOURCE or evidence.described.stick_on == "src"


def no_home(evidence: Visits) -> Judgement | None:
    """NOT RUN if a client has no backend of its own under the wanted policy; None if it has."""
    policy = policy_of(evidence)
    if has_home(evidence):
        return None
    return not_run(
        f"{evidence.described.wanted} is wanted: {policy.decides} decides, so a client address has no "
        "backend of its own"
    )


def not_by_address(evidence: Visits) -> Judgement | None:
    """NOT RUN if the wanted policy does not go by the client's address; None if it does."""
    if goes_by_address(evidence):
        return None
    return not_run(
        f"{evidence.described.wanted} is wanted: {policy_of(evidence).decides} decides, and not the "
        "client's address"
    )


def placed_as_wanted(evidence: Visits) -> Judgement:
    """Whether the connections went where a policy sends them that does not go by the client's address.

    `roundrobin`, `static-rr`: in turn by weight. `leastconn`, if the connections were held: to a server
    with the fewest for its weight. `first`: to the first server. What chance or the request decides is
    NOT RUN.
    """
    policy = policy_of(evidence)
    if policy is Policy.CHANCE:
        return not_run(f"`balance {evidence.described.balance}` chooses by chance (S4 judges the shares)")
    if policy is Policy.REQUEST:
        return not_run(
            f"`balance {evidence.described.balance}` goes by {policy.decides} that the visits do not vary"
        )
    quiet, problem = undisturbed(evidence)
    if policy is Policy.FIRST:
        return _on_first(quiet, problem)
    if policy is Policy.FEWEST:
        return _to_fewest(quiet, problem) if evidence.held else not_run(NOT_HELD)
    if not alone(evidence) and (disturbed := disturbance(evidence)) is not None:
        # Counters of all clients have no moment, so none of them is known to be of before.
        return inconclusive(disturbed.why, **strength(evidence))
    return _in_turn(quiet, problem, weight_shares(described_servers(evidence), HashRules()))


def shares_under_load(evidence: Visits, no_load: str | None) -> Judgement:
    """Whether each backend got its share of the connections of all clients, by the proxies' own counters.

    The counts are those between two moments without connections, so they are complete.
    """
    shares, counted = weight_shares(described_servers(evidence), HashRules()), evidence.counted or {}
    total, bound = sum(counted.values()), _bound(evidence, shares)
    figures: dict[str, Figure] = {f"connections_of_all_{name}": n for name, n in counted.items()}
    disturbed = disturbance(evidence)
    if disturbed or not counted:
        why = disturbed.why if disturbed else "no proxy shows how many sessions its servers had"
        return inconclusive(why, **figures)
    off = _off_in_all(counted, shares, bound)
    if off and _growing(evidence) is None:
        return failed(
            f"{len(off)} {evidence.name} backends did not get their share of {total} connections under "
            f"load, as `balance {evidence.described.balance}` gives it",
            [*differences(evidence), *off],
            **figures,
        )
    missed = bound / total if total else 1.0
    if problem := no_load or _growing(evidence) or _too_little(shares, missed):
        return inconclusive(problem, **figures)
    return passed(
        f"each of {len(shares)} {evidence.name} backends got its share of {total} connections under load, "
        f"to within {bound:g}; a share that is off by more than {missed:.2%} would have been seen",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _bound(evidence: Visits, shares: Mapping[str, float]) -> float:
    """Connections by which a backend may be ahead or behind: each proxy takes turns of its own."""
    return in_turn_bound(shares.values()) * max(len({at.proxy for at in evidence.placed}), 1)


def _in_turn(evidence: Visits, problem: str | None, shares: Mapping[str, float]) -> Judgement:
    turns = [visit.server for visit in evidence.visits if visit.served]
    figures: dict[str, Figure] = {**strength(evidence), **_counts(turns)}
    bound = _bound(evidence, shares)
    strangers, growing = set(turns) - {None, *shares}, _growing(evidence)
    if alone(evidence):
        off, lost, seen = _out_of_turn(turns, shares, bound), turns.count(None), len(turns)
        how = f"{seen} connections, one at a time,"
    else:
        counted = evidence.counted or {}
        off, lost, seen = _off_in_all(counted, shares, bound), 0, sum(counted.values())
        how = f"{seen} connections of all clients"
        figures |= {f"connections_of_all_{name}": n for name, n in counted.items()}
    off += [f"{server} got connections, and is not described or not usable" for server in strangers]
    if off and growing is None:
        return failed(
            f"the {evidence.name} backends were not taken in turn by weight, as `balance "
            f"{evidence.described.balance}` does",
            [*differences(evidence), *off],
            **figures,
        )
    missed = (bound + lost) / seen if seen else 1.0
    if problem := problem or growing or _too_little(shares, missed):
        return inconclusive(problem, **figures)
    return passed(
        f"{how} took {len(shares)} {evidence.name} backends in turn (`balance "
        f"{evidence.described.balance}`; seen in {seen_in(evidence)}){loss(evidence)}; a share that is off "
        f"by more than {missed:.2%} would have been seen{kept_alive(evidence)}",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _growing(evidence: Visits) -> str | None:
    """Why the shares are not known; None if they are."""
    growing = [
        server.name for server in (*(evidence.before or ()), *(evidence.after or ())) if server.throttled
    ]
    return f"{growing[0]} is in slowstart: its share grows" if growing else None


def alone(evidence: Visits) -> bool:
    """Whether nobody else used the section during the visits, as far as its counters show."""
    answered = sum(visit.status != 0 for visit in evidence.visits)
    return evidence.counted is None or sum(evidence.counted.values()) <= answered


def _out_of_turn(turns: Sequence[str | None], shares: Mapping[str, float], bound: float) -> list[str]:
    off = []
    for server, share in shares.items():
        ahead, behind = out_of_turn(turns, server, share)
        for much, which in ((ahead, "more"), (behind, "fewer")):
            if much > bound + 1e-9:
                off.append(
                    f"{server} got up to {much:.1f} connections {which} than its share of {share:.1%} in a "
                    f"run; {bound:g} are in turn"
                )
    return off


def _off_in_all(counted: Mapping[str, int], shares: Mapping[str, float], bound: float) -> list[str]:
    total = sum(counted.values())
    return [
        f"{server} got {counted.get(server, 0)} of {total} connections, its share is {share * total:.1f}"
        for server, share in shares.items()
        if abs(counted.get(server, 0) - share * total) > bound + 1e-9
    ]


def _too_little(shares: Mapping[str, float], missed: float) -> str | None:
    if len(shares) < 2:
        return f"{len(shares)} usable backend{'s' * (len(shares) != 1)}: there is nothing to choose"
    if missed > LARGEST_MISSED:
        return f"too few connections were seen: a share that is off by {missed:.1%} could be missed"
    return None


def _to_fewest(evidence: Visits, problem: str | None) -> Judgement:
    held = [visit.server for visit in evidence.visits if visit.served]
    figures: dict[str, Figure] = {**strength(evidence), **_counts(held), "held": len(held)}
    weights = {s.name: s.weight for s in usable(described_servers(evidence), HashRules())}
    if problem or None in held or not alone(evidence):
        why = problem or (
            "others connected meanwhile, so which server had the fewest is not known"
            if None not in held
            else f"{held.count(None)} of {len(held)} held connections are in no line"
        )
        return inconclusive(why, **figures)
    placed = [server for server in held if server is not None]
    if (wrong := out_of_order(placed, weights)) is not None:
        number, least = wrong
        before = Counter(placed[: number - 1])
        return failed(
            f"connection {number} went to {placed[number - 1]}, not to a {evidence.name} backend with the "
            "fewest connections for its weight",
            [*differences(evidence), f"held before: {_listed(before, weights)}; {least} had fewer"],
            **figures,
        )
    if problem := _too_little(weights, 1 / len(placed) if placed else 1.0):
        return inconclusive(problem, **figures)
    return passed(
        f"each of {len(placed)} connections that were held went to a {evidence.name} backend with the "
        f"fewest for its weight: {_listed(Counter(placed), weights)} (seen in {seen_in(evidence)})",
        missed_rate_95=round(1 / len(placed), 6),
        **figures,
    )


def _listed(counts: Mapping[str, int], weights: Mapping[str, int]) -> str:
    return ", ".join(f"{server} {counts.get(server, 0)} (weight {weights[server]})" for server in weights)


def _on_first(evidence: Visits, problem: str | None) -> Judgement:
    servers = usable(described_servers(evidence), HashRules())
    first = min(servers, key=lambda server: server.puid, default=None)
    found = Counter(visit.server for visit in evidence.visits if visit.server is not None)
    figures: dict[str, Figure] = {**strength(evidence), **_counts(list(found.elements()))}
    elsewhere = {server: n for server, n in found.items() if first is None or server != first.name}
    if elsewhere and first is not None and alone(evidence):
        return failed(
            f"{sum(elsewhere.values())} of {found.total()} connections, one at a time, did not go to "
            f"{first.name}, the first {evidence.name} backend",
            [f"{server}: {n}" for server, n in sorted(elsewhere.items())],
            **figures,
        )
    if elsewhere or first is None:
        problem = problem or "others connected meanwhile: the first backend may have been full"
    if problem := problem or _too_little(dict.fromkeys((s.name for s in servers), 0.0), 0.0):
        return inconclusive(problem, **figures)
    return passed(
        f"all {found.total()} connections, one at a time, went to {first.name if first else ''}, the first "
        f"{evidence.name} backend (`balance first`; seen in {seen_in(evidence)}){loss(evidence)}",
        **figures,
    )


def spread_as_wanted(evidence: Visits) -> Judgement:
    """Whether the backends got their shares, under a policy that does not go by the client's address."""
    policy = policy_of(evidence)
    if policy is Policy.IN_TURN:
        return placed_as_wanted(evidence)
    if policy is not Policy.CHANCE:
        return not_run(
            f"{evidence.described.wanted} is wanted: {policy.decides} decides, which gives no backend a "
            "share"
        )
    quiet, problem = undisturbed(evidence)
    placed = [visit.server for visit in quiet.visits if visit.server is not None]
    figures: dict[str, Figure] = {**strength(evidence), **_counts(placed)}
    try:
        shares = random_shares(described_servers(evidence), evidence.haproxy)
    except Unpredictable as reason:
        return inconclusive(problem or f"no share can be predicted: {reason}", **figures)
    return _by_chance(quiet, placed, shares, problem, figures)


def _by_chance(
    evidence: Visits,
    placed: Sequence[str],
    shares: Mapping[str, float],
    problem: str | None,
    figures: Mapping[str, Figure],
) -> Judgement:
    found, names = Counter(placed), dict.fromkeys((*shares, *placed))
    bounds = {
        name: binomial_bounds(len(placed), shares.get(name, 0.0), (1 - CONFIDENCE) / len(names))
        for name in names
    }
    off = [
        f"{name}: {found[name]} connections, expected {low} to {high}"
        for name, (low, high) in bounds.items()
        if not low <= found[name] <= high
    ]
    if off:
        return failed(
            f"{len(off)} of {len(names)} {evidence.name} backends have another share of the connections "
            f"than the ring gives them that `balance {evidence.described.balance}` draws from",
            [*differences(evidence), *off],
            **figures,
        )
    missed = max(
        (unseen_deviation(len(placed), shares.get(n, 0.0), *bounds[n]) for n in names), default=inf
    )
    if problem := problem or _too_little(shares, 0.0) or (None if placed else "no connection was seen"):
        return inconclusive(problem, **figures)
    return passed(
        f"{len(placed)} connections spread over {len(names)} {evidence.name} backends as the ring gives "
        f"that `balance {evidence.described.balance}` draws from{loss(evidence)}; a share that is off by "
        f"{missed:.1%} would have been seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _counts(servers: Sequence[str | None]) -> dict[str, Figure]:
    return {f"connections_{name}": n for name, n in sorted(Counter(filter(None, servers)).items())}
