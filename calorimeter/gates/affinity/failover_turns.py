"""S6 and S7 where the wanted `balance` does not go by the client's address: the others take over."""

from __future__ import annotations

from calorimeter.core.source_hash import HashRules, usable
from calorimeter.core.verdict import Figure, Judgement, Outcome, failed, inconclusive, passed
from calorimeter.gates.affinity.described_servers import described_servers
from calorimeter.gates.affinity.disturbance import undisturbed
from calorimeter.gates.affinity.failover_evidence import Failover, figures_of, never_up, why_unproven
from calorimeter.gates.affinity.turns import LARGEST_MISSED, placed_as_wanted
from calorimeter.gates.clients.lost_lines import loss, why_no_proof
from calorimeter.gates.clients.visits import Visits


def others_take_over(evidence: Failover) -> Judgement:
    """Whether the failed backend got no connection while it was DOWN, and the others as is wanted."""
    figures = figures_of(evidence, evidence.before, evidence.during)
    during = evidence.during
    unanswered = [visit for visit in during.visits if not visit.served]
    if (problem := why_unproven(evidence)) is not None:
        return inconclusive(problem, **figures)
    if not evidence.checked:
        return failed(
            f"without health checks {evidence.victim} was dead and stayed in use: {len(unanswered)} of "
            f"{len(during.visits)} visits were not answered",
            [f"{visit.source}: {visit.error or f'status {visit.status}'}" for visit in unanswered],
            **figures,
        )
    if evidence.down_ns is None:
        why = f"the proxy did not mark {evidence.victim} DOWN after it was killed (see gates H)"
        return inconclusive(why, **figures)
    met = [visit for visit in during.visits if visit.server == evidence.victim]
    if met:
        return failed(
            f"{len(met)} of {len(during.visits)} visits were sent to {evidence.victim} while it was DOWN",
            [visit.source for visit in met],
            **figures,
        )
    return _among_the_others(evidence, figures)


def _among_the_others(evidence: Failover, figures: dict[str, Figure]) -> Judgement:
    during = evidence.during
    left = usable(described_servers(during), HashRules())
    if len(left) == 1 and any(visit.server == left[0].name for visit in during.visits):
        if (problem := undisturbed(during)[1]) is not None:
            return inconclusive(problem, **figures)
        return passed(f"with {evidence.victim} down every visit went to {left[0].name}", **figures)
    return _as_wanted(
        during, f"with {evidence.victim} down every visit was served by another backend", figures
    )


def takes_part_again(evidence: Failover) -> Judgement:
    """Whether the failed backend gets connections again once it has returned, and all as is wanted."""
    figures = figures_of(evidence, evidence.before, evidence.during, evidence.after)
    problem = why_unproven(evidence) or never_up(evidence)
    was = sum(visit.server == evidence.victim for visit in evidence.before.visits)
    now = sum(visit.server == evidence.victim for visit in evidence.after.visits)
    figures |= {"victim_before": was, "victim_after": now}
    if problem or not was:
        why = problem or f"{evidence.victim} got no visit before it failed"
        return inconclusive(why, **figures)
    if not now and why_no_proof(evidence.after) is None:
        return failed(
            f"{evidence.victim} got {was} of {len(evidence.before.visits)} visits before it failed, and "
            f"none of {len(evidence.after.visits)} after it had returned",
            [],
            **figures,
        )
    return _as_wanted(evidence.after, f"{evidence.victim} is served again: {now} visits", figures)


def _as_wanted(visits: Visits, why: str, figures: dict[str, Figure]) -> Judgement:
    """PASS if the visits went where the policy sends them, or if it does not say where."""
    placed = placed_as_wanted(visits)
    figures |= {f"then_{name}": value for name, value in placed.figures.items()}
    if placed.outcome is Outcome.FAIL:
        return failed(placed.why, placed.counter_examples, **figures)
    if placed.outcome is Outcome.INCONCLUSIVE:
        return inconclusive(placed.why, **figures)
    answered = [visit for visit in visits.visits if visit.served]
    lost = sum(visit.server is None for visit in answered)
    if lost > LARGEST_MISSED * len(answered) or not answered:
        why = f"{lost} of {len(answered)} answered visits left no trace"
        return inconclusive(why_no_proof(visits) or why, **figures)
    then = f"; {placed.why}" if placed.outcome is Outcome.PASS else loss(visits)
    return passed(f"{why}{then}", **figures)
