"""S6 and S7 where clients stick (stick table, cookie): only those of a failed backend move, and once."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, failed, inconclusive
from calorimeter.gates.affinity.failover_evidence import (
    Failover,
    figures_of,
    incomparable,
    lost_changes,
    never_up,
    others_unanswered,
    places,
    why_unproven,
)
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import no_violation


def only_clients_of_the_victim_move(evidence: Failover) -> Judgement:
    """Whether, with one backend down, its clients are served elsewhere, and no other client moved."""
    figures = figures_of(evidence, evidence.before, evidence.during)
    before, during = places(evidence.before), places(evidence.during)
    wanted = evidence.before.described.wanted
    if problem := why_unproven(evidence) or (incomparable(evidence) if evidence.checked else None):
        return inconclusive(problem, **figures)
    wrong = [
        f"{source}: {was} → {during[source] or 'not answered'}"
        for source, was in before.items()
        if was is not None
        and source in during
        and (during[source] in (None, was) if was == evidence.victim else during[source] != was)
    ]
    if wrong:
        unchecked = "" if evidence.checked else " (it is not checked)"
        return failed(
            f"with {evidence.victim} down{unchecked} {len(wrong)} of {len(before)} clients were not where "
            f"{wanted} keeps them: its own elsewhere, the others where they were",
            wrong,
            **figures,
        )
    own = int(figures["sources_of_the_victim"] or 0)
    problem = lost_changes(evidence.before, evidence.during)
    if problem or not own:
        return inconclusive(problem or f"no client was on {evidence.victim}", **figures)
    alone = " (two backends: they had no other)" if len(evidence.before.servers) == 2 else ""
    why = (
        f"with {evidence.victim} down its {own} clients were served elsewhere, and the other "
        f"{len(before) - own} stayed where they were{alone} ({wanted})"
        f"{loss(evidence.before, evidence.during)}"
    )
    return no_violation(why, len(before), "misplaced clients", figures)


def clients_stay_elsewhere(evidence: Failover) -> Judgement:
    """Whether, once the killed backend has returned, each client is still where it was meanwhile.

    HAProxy writes the new server into the table or the cookie, so nobody moves a second time.
    """
    figures = figures_of(evidence, evidence.before, evidence.during, evidence.after)
    before, during, after = (places(v) for v in (evidence.before, evidence.during, evidence.after))
    if problem := (
        why_unproven(evidence)
        or incomparable(evidence)
        or others_unanswered(evidence, evidence.after)
        or never_up(evidence)
    ):
        return inconclusive(problem, **figures)
    moved = [
        f"{source}: {before.get(source)} before, {there} meanwhile, {after[source]} after"
        for source, there in during.items()
        if there is not None and source in after and after[source] != there
    ]
    away = sum(before.get(source, there) != there for source, there in during.items())
    figures["sources_moved"] = away
    wanted = evidence.before.described.wanted
    if moved:
        return failed(
            f"{len(moved)} of {len(during)} clients moved once more when {evidence.victim} returned: "
            f"{wanted} keeps them where they were meanwhile",
            moved,
            **figures,
        )
    problem = lost_changes(evidence.before, evidence.during, evidence.after)
    if problem or not away:
        return inconclusive(problem or f"no client moved while {evidence.victim} was down", **figures)
    why = (
        f"{evidence.victim} returned, and each of {len(during)} clients stayed where it was, the {away} "
        f"that had moved too ({wanted}){loss(evidence.before, evidence.during, evidence.after)}"
    )
    return no_violation(why, len(during), "clients that move twice", figures)
