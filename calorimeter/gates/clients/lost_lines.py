"""Whether visits can be judged: they were answered, and what the evidence lacks could not change a verdict.

A visit whose line was lost is made again (`visit_rounds`), so that each source is seen as often as planned.
Then what is missing matters only if lines are lost because of where a connection went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import exp, lgamma

from calorimeter.core.source_hash import HashRules, usable
from calorimeter.gates.clients.visits import EVIDENCE, Visit, Visits, by_source, log_used
from calorimeter.gates.evidence.placement import disagreement

CHANCE = 0.01
"""Lost lines count as dependent on the backend if a loss by chance is as uneven in fewer cases."""


def unseen(visits: Sequence[Visit]) -> tuple[Visit, ...]:
    """The answered visits without a server whose source was not seen in a later visit."""
    open_visits: dict[str, list[Visit]] = {}
    for visit in visits:
        if visit.server is not None:
            open_visits.pop(visit.source, None)
        elif visit.served:
            open_visits.setdefault(visit.source, []).append(visit)
    return tuple(visit for of_source in open_visits.values() for visit in of_source)


def why_no_proof(evidence: Visits) -> str | None:
    """Why the visits prove nothing (servers are missing or may be wrong); None if they can be judged."""
    return next(_doubts(evidence), None)


def _doubts(evidence: Visits) -> Iterator[str]:
    answered = [visit for visit in evidence.visits if visit.served]
    if not answered:
        errors = Counter(visit.error for visit in evidence.visits).most_common(1)
        why = f" ({errors[0][0]}, {errors[0][1]} times)" if errors else ""
        yield f"none of {len(evidence.visits)} visits was answered{why}"
        return
    if evidence.evidence == "log" and not evidence.logs:
        yield "no log of the proxy was read"
        return
    if (differing := disagreement(evidence.backends, evidence.placed)) is not None:
        yield differing
    yield from _missing(evidence)


def log_doubts(evidence: Visits) -> Iterator[str]:
    """Reasons why log lines may be missing, for our connections or anyone else's."""
    for log in evidence.logs:
        if log.unparsed:
            yield f"{log.source} has {len(log.unparsed)} lines that are not HAProxy's: {log.unparsed[0]!r}"
        if log.dropped:
            yield f"{log.source} lost {log.dropped} lines in this machine's socket buffer"
        yield from log.doubts
        if log.connections is not None and log.logged < log.connections:
            yield (
                f"the log holds {log.logged} of the {log.connections} connections that the proxy "
                f"counted on {evidence.section}: lines were lost on the way to {log_used(evidence)}"
            )


def _missing(evidence: Visits) -> Iterator[str]:
    """Why the visits without a server may have gone elsewhere than the others."""
    if evidence.described.policy.one_at_a_time:
        return  # Each connection counts, not each source: their own checks know what is missing.
    answered = [visit for visit in evidence.visits if visit.served]
    if left := unseen(evidence.visits):
        yield from log_doubts(evidence)
        where = log_used(evidence) or EVIDENCE[evidence.evidence]
        what = "are in no log line of" if evidence.evidence == "log" else "are not attributed by"
        again = ", and their sources in no later one" if evidence.asked_again else ""
        yield f"{len(left)} of {len(answered)} answered visits {what} {where}{again}"
    if any(visit.server is None for visit in answered):
        yield from _never_named(evidence)
        homes = {source: servers.most_common(1)[0][0] for source, servers in by_source(evidence).items()}
        # Those that were made again were chosen because of a loss.
        first = evidence.visits[: len(evidence.visits) - evidence.asked_again]
        dependent = uneven(
            (homes[v.source], v.server is None) for v in first if v.served and v.source in homes
        )
        if dependent is not None:
            yield dependent


def _never_named(evidence: Visits) -> Iterator[str]:
    named = {visit.server for visit in evidence.visits}
    takers = {server.name for server in usable(evidence.before or (), HashRules())}
    if never := sorted((takers or set(evidence.servers)) - named):
        yield (
            f"lines were lost, and none that is left names {', '.join(never)}: all its lines may be lost"
        )


def uneven(requests: Iterable[tuple[str, bool]]) -> str | None:
    """Why the loss of lines depends on the backend; None if it may be by chance.

    A request is the server of its source, as others of its requests show it, and whether its line is lost.
    """
    placed = list(requests)
    of, lost = Counter(home for home, _ in placed), Counter(home for home, gone in placed if gone)
    for server, count in lost.most_common():
        if at_least(count, len(placed), of[server], lost.total()) < CHANCE / len(of):
            return (
                f"the loss of lines depends on the backend: {count} of {of[server]} requests of sources on "
                f"{server} are in no line, {lost.total() - count} of {len(placed) - of[server]} others"
            )
    return None


def at_least(count: int, population: int, marked: int, drawn: int) -> float:
    """The probability that of `drawn` out of a `population` at least `count` are `marked`.

    The upper tail of the hypergeometric distribution (Fisher's exact test).
    """

    def ways(among: int, taken: int) -> float:
        return lgamma(among + 1) - lgamma(taken + 1) - lgamma(among - taken + 1)

    every = ways(population, drawn)
    most = min(marked, drawn)
    least = max(count, drawn - (population - marked))
    return sum(
        exp(ways(marked, k) + ways(population - marked, drawn - k) - every) for k in range(least, most + 1)
    )


def loss(*rounds: Visits) -> str:
    """How much the evidence lost, as the end of a verdict's sentence; empty if nothing."""
    answered = [visit for evidence in rounds for visit in evidence.visits if visit.served]
    lost = sum(visit.server is None for visit in answered)
    if lost:
        again = ", and were made again" if any(evidence.asked_again for evidence in rounds) else ""
        return f"; {lost} of {len(answered)} answered visits left no trace there{again}"
    doubts = [doubt for evidence in rounds for doubt in log_doubts(evidence)]
    return f"; all {len(answered)} answered visits were found, but {doubts[0]}" if doubts else ""
