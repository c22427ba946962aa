"""P7: what retries and redispatch do while a backend is dead and the proxy has not yet noticed."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.failover_evidence import Failover, Failovers, places, seconds, why_unproven
from calorimeter.gates.affinity.turns import no_home
from calorimeter.gates.clients.visits import ANSWER_S, NO_ANSWER, Visit, no_violation


def retries_as_measured(evidence: Failovers) -> Judgement:
    """What retries and redispatch did for visits made while a backend was dead and not yet DOWN.

    A measured fact: the gate passes whatever they did for the victim's sources, and fails if these were
    neither answered nor closed, or if sources of the other backends were harmed. With n visits of others
    and none harmed, a rate of harmed ones above 1 − 0.05^(1/n) would be detected with 95 % probability;
    without visits of others it is INCONCLUSIVE.
    """
    return both_apis.check_each_api(
        evidence.apis, lambda one: one.api, lambda one: no_home(one.before) or _retries(one)
    )


def _retries(evidence: Failover) -> Judgement:
    home = places(evidence.before)
    end_ns = evidence.down_ns or evidence.started_ns
    window = [v for v in evidence.meanwhile if evidence.killed_ns <= v.sent_ns < end_ns]
    ours = [visit for visit in window if home.get(visit.source) == evidence.victim]
    # The command takes time: until it took effect, the victim itself answered.
    ours = [visit for visit in ours if not (visit.served and visit.server == evidence.victim)]
    others = [visit for visit in window if home.get(visit.source) not in (None, evidence.victim)]
    answered = [visit for visit in ours if visit.served]
    figures: dict[str, Figure] = {
        "victim": evidence.victim,
        "sources": len({visit.source for visit in (*ours, *others)}),
        "connections": len(ours) + len(others),
        "requests": len(ours) + len(others),
        "checked": evidence.checked,
        "hash_type": evidence.before.described.hash_type,
        "visits_of_the_victims_sources": len(ours),
        "answered": len(answered),
        "redispatched": sum(bool(visit.redispatched) for visit in ours),
        "most_retries": max((visit.retries or 0 for visit in ours), default=0),
        "longest_s": round(max((visit.took_s for visit in ours), default=0.0), 2),
        "visits_of_other_sources": len(others),
        "down_after_s": seconds(evidence.killed_ns, evidence.down_ns),
    }
    harmed = [visit for visit in others if not visit.served]
    if (problem := why_unproven(evidence) or _other_cause(evidence, others, harmed)) is not None:
        return inconclusive(problem, **figures)
    if harmed:
        return failed(
            f"{len(harmed)} of {len(others)} visits of sources of other backends were not answered while "
            f"{evidence.victim} was dead",
            [f"{v.source} (of {home[v.source]}): {v.error or f'answered {v.status}'}" for v in harmed],
            **figures,
        )
    if hung := _hung(evidence, ours):
        return failed(
            f"{len(hung)} of {len(ours)} visits to the dead {evidence.victim} got neither an answer nor an "
            f"end in {ANSWER_S:g} s, and HAProxy's attempts take {evidence.retries_s:g} s at most: it "
            "forgot them between two attempts (`option redispatch 1` avoids that, see A7-redispatch-late)",
            [f"{visit.source}: {visit.error}" for visit in hung],
            **figures,
        )
    if not ours or not others:
        whose = evidence.victim if not ours else f"another backend than {evidence.victim}"
        return inconclusive(
            f"no source of {whose} visited between its death and its detection by the proxy",
            **figures,
        )
    if unknown := sum(visit.server is None for visit in answered):
        return inconclusive(
            f"no log shows which backend answered {unknown} of {len(answered)} answered visits of sources "
            f"of {evidence.victim}, which may not have been dead yet",
            **figures,
        )
    kind = f"hash-type {evidence.before.described.hash_type}"
    checks = "without end, as there are no health checks"
    if evidence.checked and evidence.down_ns is None:
        checks = "and the checks did not mark it DOWN in time"
    elif evidence.checked:
        checks = f"until the checks marked it DOWN after {figures['down_after_s']} s"
    why = (
        f"measured: of {len(ours)} visits to the dead {evidence.victim} retries and redispatch rescued "
        f"{len(answered)} with {kind} (up to {figures['most_retries']} retries, "
        f"{figures['redispatched']} redispatched, {figures['longest_s']} s at most), {checks}; the "
        f"{len(others)} visits of other sources were all answered"
    )
    return no_violation(why, len(others), "unanswered visits of other sources", figures)


def _hung(evidence: Failover, ours: Sequence[Visit]) -> list[Visit]:
    """The visits that were neither answered nor ended, if HAProxy's attempts are over well before."""
    if evidence.retries_s is None or evidence.retries_s > ANSWER_S / 2:
        return []
    return [visit for visit in ours if visit.error.startswith(NO_ANSWER)]


def _other_cause(evidence: Failover, others: Sequence[Visit], harmed: Sequence[Visit]) -> str | None:
    """Why harm to sources of other backends cannot be attributed to this death; None if it can."""
    # A retry means a dead server, and no other one was killed.
    strays = sum(v.server == evidence.victim or bool(v.retries or v.redispatched) for v in others)
    if strays:
        return (
            f"{strays} of {len(others)} visits of sources of other backends met a dead backend: while "
            "sources do not stay (S1, S2), retries cannot be attributed to a backend"
        )
    made = (*evidence.before.visits, *evidence.meanwhile)
    earlier = sum(not visit.served for visit in made if visit.done_ns < evidence.killed_ns)
    if harmed and earlier:
        return (
            f"{earlier} visits were not answered before {evidence.victim} died: {len(harmed)} unanswered "
            "visits of other sources while it was dead cannot be attributed to its death"
        )
    return None
