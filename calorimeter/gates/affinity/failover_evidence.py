"""Evidence of S6, S7 and P7: one backend was killed and started again while sources visited."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.clients.lost_lines import why_no_proof
from calorimeter.gates.clients.visits import EVIDENCE, Visit, Visits, log_used


class Failover(Model):
    """Evidence of S6, S7 and P7: one backend, the victim, was killed and started again.

    Each round is one visit of every source: `before`, `during` (the proxy had the victim DOWN, or its time
    for that had passed) and `after` (UP again, or its time for that had passed). `meanwhile` are visits
    from the kill until the proxy noticed it. Moments are ns since the epoch; `down_ns` and `up_ns` are None
    if the proxy did not show that state in time. `checked` is whether the proxy checks the victim at all.
    `happened` is whether the victim had stopped answering at its own address when the kill command ended;
    None if it cannot be reached there. `retries_s` is how long HAProxy's attempts of one connection take at
    most, with its three retries 1 s apart (None: the timeout of an attempt is not known). An attempt that
    the victim's own address refuses takes no time.
    """

    api: str
    victim: str
    checked: bool
    happened: bool | None = None
    before: Visits
    meanwhile: tuple[Visit, ...]
    during: Visits
    after: Visits
    killed_ns: int
    down_ns: int | None
    started_ns: int
    up_ns: int | None
    retries_s: float | None = None


class Failovers(Model):
    """The failovers of all APIs."""

    apis: tuple[Failover, ...]


Places = dict[str, str | None]
"""Source → its backend, None if it was not answered; without the sources that the evidence did not show."""


def places(visits: Visits) -> Places:
    """Where each source was, in its last visit."""
    shown = (visit for visit in visits.visits if visit.server is not None or not visit.served)
    return {visit.source: visit.server if visit.served else None for visit in shown}


def figures_of(evidence: Failover, *rounds: Visits) -> dict[str, Figure]:
    """Figures of a failover judged from these rounds; each visit is a connection and a request."""
    made = [visit for each in rounds for visit in each.visits]
    before, during = places(evidence.before), places(evidence.during)
    lost = [source for source, server in before.items() if server == evidence.victim]
    survivors = [s for s, server in before.items() if server not in (None, evidence.victim)]
    moved = [s for s in survivors if during.get(s) not in (None, before[s])]
    return {
        "victim": evidence.victim,
        "servers": len(evidence.before.before or evidence.before.servers),
        "sources": len(before),
        "connections": sum(visit.server is not None for visit in made),
        "requests": len(made),
        "sources_of_the_victim": len(lost),
        "sources_of_survivors": len(survivors),
        "survivors_moved": len(moved),
        "survivors_moved_share": round(len(moved) / len(survivors), 4) if survivors else None,
        "least_possible_share": 0.0,
        "unanswered_during": sum(not visit.served for visit in evidence.during.visits),
        "down_after_s": seconds(evidence.killed_ns, evidence.down_ns),
        "up_after_s": seconds(evidence.started_ns, evidence.up_ns),
        "evidence": EVIDENCE[evidence.before.evidence],
        "log": log_used(evidence.before),
    }


def seconds(begin_ns: int, end_ns: int | None) -> float | None:
    """Seconds from one moment to another; None if the other did not come."""
    return round((end_ns - begin_ns) / 1e9, 2) if end_ns is not None else None


def why_unproven(evidence: Failover) -> str | None:
    """Why it is not certain that the victim died at all; None if it is."""
    if evidence.happened is False:
        return (
            f"the fault did not happen: {evidence.victim} answered at its own address after the command "
            "for 'kill' had succeeded"
        )
    if evidence.happened is None and evidence.down_ns is None:
        return f"nothing shows that {evidence.victim} died: it cannot be reached at its own address"
    return None


def never_up(evidence: Failover) -> str | None:
    """That the proxy did not mark the victim UP again in time; None if it did."""
    if evidence.up_ns is not None:
        return None
    return f"the proxy did not mark {evidence.victim} UP after it was started (see gates H)"


def incomparable(evidence: Failover) -> str | None:
    """Why the rounds cannot be compared; None if they can."""
    if evidence.down_ns is None:
        return f"the proxy did not mark {evidence.victim} DOWN after it was killed (see gates H)"
    for visits in (evidence.before, evidence.during):
        if not any(visit.served for visit in visits.visits):
            return why_no_proof(visits)
        if visits.before != visits.after:
            return "the state of a server changed while the sources visited"
        if (problem := others_unanswered(evidence, visits)) is not None:
            return problem
    return None


def lost_changes(*rounds: Visits) -> str | None:
    """Why what the evidence of these rounds lacks could change a verdict; None if it could not."""
    return next(filter(None, map(why_no_proof, rounds)), None)


def others_unanswered(evidence: Failover, visits: Visits) -> str | None:
    """Why unanswered visits show that another server failed as well; None if none do."""
    lost = [visit for visit in visits.visits if not visit.served and visit.server != evidence.victim]
    if not lost:
        return None
    whose = ", ".join(sorted({visit.server or "no server" for visit in lost}))
    return (
        f"{len(lost)} of {len(visits.visits)} visits to backends other than {evidence.victim} failed "
        f"({whose}): another backend failed as well"
    )
