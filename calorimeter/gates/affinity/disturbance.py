"""Whether the servers stayed as they were while sources visited: only then can affinity be judged.

A server that dies, is drained or comes back moves sources by design, and that is no violation. Visits
that had ended before the first sign of it still count, as proof of what they show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.gates.clients.lost_lines import why_no_proof
from calorimeter.gates.clients.visits import GIVEN_UP, Visit, Visits

LOG_LATE_NS = 1_000_000_000
"""How late a line of the proxy's log may be read. A higher value only makes a FAIL less likely."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happened, as a sentence, and from when on visits prove nothing, ns since the epoch."""

    why: str
    since_ns: int


def undisturbed(evidence: Visits) -> tuple[Visits, str | None]:
    """The evidence with only those visits that had ended before a disturbance; and why they prove nothing.

    None as the reason if there was no disturbance and the evidence is complete.
    """
    found = disturbance(evidence)
    if found is None:
        return evidence, why_no_proof(evidence)
    early = tuple(visit for visit in evidence.visits if visit.done_ns < found.since_ns)
    return evidence.model_copy(update={"visits": early}), found.why


def disturbance(evidence: Visits) -> Disturbance | None:
    """What disturbed the visits; None if nothing did, or if no visit was answered at all."""
    if not any(visit.served for visit in evidence.visits):
        return None
    signs = [*_state_lines(evidence), *_unanswered(evidence), *_redispatched(evidence)]
    # A difference between two readings has no moment: without another sign, no visit is known to be early.
    changed = list(_changed(evidence))
    if not signs and not changed:
        return None
    whys = list(dict.fromkeys([*changed, *(why for why, _ in signs)]))
    stopped = ""
    if evidence.planned is not None and len(evidence.visits) < evidence.planned:
        stopped = f"; stopped after {len(evidence.visits)} of {evidence.planned} visits"
    return Disturbance(
        "the servers changed while the sources visited, so where the sources landed proves nothing: "
        f"{'; '.join(whys)}{stopped}",
        min((since for _, since in signs), default=0),
    )


def _state_lines(evidence: Visits) -> Iterator[tuple[str, int]]:
    seen: set[tuple[str, str]] = set()
    for line in evidence.told:
        if (line.server, line.state) not in seen:
            seen.add((line.server, line.state))
            reason = f" ({line.reason})" if line.reason else ""
            yield (
                f"the proxy's log reports {line.server} {line.state}{reason}",
                (line.received_ns - LOG_LATE_NS),
            )


def _changed(evidence: Visits) -> Iterator[str]:
    if evidence.before is None or evidence.after is None or evidence.before == evidence.after:
        return
    before = {server.name: server for server in evidence.before}
    after = {server.name: server for server in evidence.after}
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield f"{name} was {'added to' if old is None else 'removed from'} the proxy"
        elif old.up != new.up:
            yield f"{name} {'came up' if new.up else 'went down'}"
        elif old != new:
            yield f"{name} changed its weight or position"


def _unanswered(evidence: Visits) -> Iterator[tuple[str, int]]:
    lost = [visit for visit in evidence.visits if not visit.served and visit.error != GIVEN_UP]
    if not lost:
        return
    errors = Counter(visit.error or f"status {visit.status}" for visit in lost).most_common(1)[0]
    by = Counter(visit.server for visit in lost if visit.server is not None)
    whose = ", ".join(f"{count} of them were sent to {server}" for server, count in by.most_common())
    yield (
        f"{len(lost)} of {len(evidence.visits)} visits were not answered ({errors[0]}, {errors[1]} times)"
        + (f", {whose}" if whose else ""),
        _first_ns(lost),
    )


def _redispatched(evidence: Visits) -> Iterator[tuple[str, int]]:
    found = [visit for visit in evidence.visits if visit.redispatched]
    if found:
        counts = Counter(visit.server for visit in found).most_common()
        by = ", ".join(f"{count} to {server}" for server, count in counts)
        yield f"{len(found)} visits were redispatched ({by})", _first_ns(found)


def _first_ns(visits: list[Visit]) -> int:
    return min(visit.sent_ns for visit in visits)
