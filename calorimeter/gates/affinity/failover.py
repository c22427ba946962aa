"""S6 and S7: which sources move when a backend fails, and whether they return with it."""

from __future__ import annotations

from collections.abc import Mapping

from calorimeter.core.balance_policy import Policy
from calorimeter.core.source_hash import HashServer, Unpredictable, moved_share_map_based
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.described_servers import VisitHash, visit_hash
from calorimeter.gates.affinity.failover_evidence import (
    Failover,
    Failovers,
    figures_of,
    incomparable,
    lost_changes,
    never_up,
    others_unanswered,
    places,
    why_unproven,
)
from calorimeter.gates.affinity.failover_stuck import (
    clients_stay_elsewhere,
    only_clients_of_the_victim_move,
)
from calorimeter.gates.affinity.failover_turns import others_take_over, takes_part_again
from calorimeter.gates.affinity.turns import hashed, policy_of
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import Visit, Visits, no_violation

ALL_HASHES_AGREE = 2
"""S6: with two servers all sources of the failed one must move to the other, whatever the hash."""


def _visit_of(visits: Visits) -> dict[str, Visit]:
    return {visit.source: visit for visit in visits.visits}


def _never_moves(evidence: Failover, figures: Mapping[str, Figure]) -> Judgement:
    """The verdict if no server is checked, as in the guide's own file."""
    during = places(evidence.during)
    lost = [s for s, server in places(evidence.before).items() if server == evidence.victim]
    dead = sorted(source for source in lost if during.get(source, "") is None)
    rescued = len(lost) - len(dead)
    by_retries = f", {rescued} were rescued by a retry each time" if rescued else ""
    return failed(
        f"without health checks no source ever moves: {evidence.victim} was dead and stayed in the hash; "
        f"{len(dead)} of its {len(lost)} sources were not answered{by_retries}",
        [f"{source}: on {evidence.victim} before, not answered after it was killed" for source in dead],
        sources_not_answered=len(dead),
        sources_rescued_by_retries=rescued,
        **figures,
    )


def exactly_the_sources_move_that_must(evidence: Failovers) -> Judgement:
    """Whether, with one backend down, every source is where the hash over the remaining ones puts it.

    The hash is the described one; servers, weights and states are those in force in the proxy. Where
    clients stick, whether only those of the failed backend moved.
    """
    return both_apis.check_each_api(evidence.apis, lambda one: one.api, _while_down)


def _while_down(evidence: Failover) -> Judgement:
    if policy_of(evidence.before) is Policy.STICKY:
        return only_clients_of_the_victim_move(evidence)
    return _moves(evidence) if hashed(evidence.before) else others_take_over(evidence)


def _moves(evidence: Failover) -> Judgement:
    figures = figures_of(evidence, evidence.before, evidence.during)
    if (
        problem := why_unproven(evidence) or (incomparable(evidence) if evidence.checked else None)
    ) is not None:
        return inconclusive(problem, **figures)
    if not evidence.checked:
        return _never_moves(evidence, figures)
    servers = len(evidence.before.before or evidence.before.servers)
    try:
        then = _hashing(evidence.before, evidence.before.before)
        now = _hashing(evidence.during, evidence.during.before)
    except Unpredictable as reason:
        return _observed_moves(evidence, str(reason), figures)
    wrong, must = [], 0
    found, hashed = places(evidence.during), _visit_of(evidence.before)
    for source, was in places(evidence.before).items():
        old, new = then.server(hashed[source]), now.server(hashed[source])
        must += was != evidence.victim and old != new
        if was is not None and source in found and (was, found[source]) != (old, new):
            wrong.append(f"{source}: {was} → {found[source]}, the hash predicts {old} → {new}")
    survivors = int(figures["sources_of_survivors"] or 0)
    figures["predicted_moved_share"] = round(must / survivors, 4) if survivors else None
    if evidence.before.described.hash_type.split()[:1] == ["map-based"]:
        figures["share_of_even_sources"] = round(moved_share_map_based(servers), 4)
    if wrong:
        return failed(
            f"{len(wrong)} of {len(hashed)} sources are not where the hash puts them with "
            f"{evidence.victim} down",
            wrong,
            **figures,
        )
    if problem := lost_changes(evidence.before, evidence.during):
        return inconclusive(problem, **figures)
    alike = " (with two backends no hash type can be told from another)"
    why = (
        f"with {evidence.victim} down exactly the sources moved that the hash predicts: its own "
        f"{figures['sources_of_the_victim']}, and {figures['survivors_moved']} of the {survivors} of "
        f"surviving backends (the minimum is 0){alike if servers == ALL_HASHES_AGREE else ''}"
        f"{loss(evidence.before, evidence.during)}"
    )
    return no_violation(why, len(hashed), "misplaced sources", figures)


def _hashing(visits: Visits, servers: tuple[HashServer, ...] | None) -> VisitHash:
    if servers is None:
        raise Unpredictable("the proxy does not show its servers and their states")
    return visit_hash(visits, servers)


def _observed_moves(evidence: Failover, reason: str, figures: Mapping[str, Figure]) -> Judgement:
    """Without a prediction: the sources of the victim must be served elsewhere."""
    during = places(evidence.during)
    stuck = [
        source
        for source, server in places(evidence.before).items()
        if server == evidence.victim and during.get(source, "") in (None, evidence.victim)
    ]
    if stuck:
        return failed(
            f"{len(stuck)} sources of {evidence.victim} have no other backend while it is down",
            stuck,
            **figures,
        )
    if problem := lost_changes(evidence.before, evidence.during):
        return inconclusive(problem, **figures)
    if not (lost := int(figures["sources_of_the_victim"] or 0)):
        why = f"cannot be predicted ({reason}), and no source was on {evidence.victim}"
        return inconclusive(why, **figures)
    why = (
        f"cannot be predicted ({reason}); observed instead: all sources of {evidence.victim} were served "
        f"elsewhere, and {figures['survivors_moved']} of {figures['sources_of_survivors']} of surviving "
        "backends moved"
    )
    return no_violation(why, lost, "unserved sources", {"not_predicted": reason, **figures})


def sources_return(evidence: Failovers) -> Judgement:
    """Whether every source is back on its backend once the killed one has returned.

    Where clients stick, whether each is still on the backend that it came to meanwhile.
    """
    return both_apis.check_each_api(evidence.apis, lambda one: one.api, _afterwards)


def _afterwards(evidence: Failover) -> Judgement:
    if policy_of(evidence.before) is Policy.STICKY:
        return clients_stay_elsewhere(evidence)
    return _return(evidence) if hashed(evidence.before) else takes_part_again(evidence)


def _return(evidence: Failover) -> Judgement:
    figures = figures_of(evidence, evidence.before, evidence.during, evidence.after)
    if problem := why_unproven(evidence):
        return inconclusive(problem, **figures)
    if not evidence.checked:
        return _never_moves(evidence, figures)
    if problem := (
        never_up(evidence) or incomparable(evidence) or others_unanswered(evidence, evidence.after)
    ):
        return inconclusive(problem, **figures)
    before, during, after = (places(v) for v in (evidence.before, evidence.during, evidence.after))
    away = [source for source, server in before.items() if during.get(source, server) != server]
    elsewhere = [
        f"{source}: {server} before, {during.get(source)} while it was down, {after.get(source)} after"
        for source, server in before.items()
        if server is not None and after.get(source, server) != server
    ]
    figures["sources_moved"] = len(away)
    if elsewhere:
        return failed(
            f"{len(elsewhere)} of {len(before)} sources did not return to the backend that they had "
            f"before {evidence.victim} failed",
            elsewhere,
            **figures,
        )
    problem = lost_changes(evidence.before, evidence.during, evidence.after)
    if problem or not away:
        return inconclusive(problem or f"no source moved while {evidence.victim} was down", **figures)
    why = (
        f"all {len(away)} sources that had moved returned, and the other {len(before) - len(away)} stayed"
        f"{loss(evidence.before, evidence.during, evidence.after)}"
    )
    return no_violation(why, len(away), "sources that do not return", figures)
