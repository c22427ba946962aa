"""V3: a source has the same backend, whichever proxy of a pair serves it.

HAProxy's source hash depends on the client's address, and on the servers of the proxy's own file: their
order, weights and numbers, and which of them are UP. If these are equal, so is the choice for every source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calorimeter.core.source_hash import HashServer, Unpredictable
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, not_run
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.described_servers import visit_hash
from calorimeter.gates.affinity.turns import no_home
from calorimeter.gates.clients.visits import Visits, by_source, counted, no_violation
from calorimeter.gates.pair.pair_mapping import PairMapping, PairMappings


def same_backend_on_either_proxy(evidence: PairMappings) -> Judgement:
    """Whether each source was sent to the same backend by two proxies, and is by prediction by all of them.

    Not run where no address moves between proxies, and for an API whose balance gives no source a backend
    of its own. Where clients stick to the server that they were given first, what was observed counts.
    """
    if evidence.lacks:
        return not_run(evidence.lacks)
    return both_apis.check_each_api(evidence.apis, lambda one: one.first.api, _same)


def _same(evidence: PairMapping) -> Judgement:
    if (none := no_home(evidence.first)) is not None:
        return none
    one, two = by_source(evidence.first), by_source(evidence.second)
    both = sorted(one.keys() & two.keys())
    moved = [source for source in both if set(one[source]) != set(two[source])]
    first, second = evidence.proxies
    unpredicted, predicted = _predicted(evidence)
    figures: dict[str, Figure] = {
        "first": first,
        "second": second,
        "sources": len(both),
        "sources_elsewhere": len(moved),
        "sources_predicted": predicted,
        **{f"{proxy}_stick_entries": count for proxy, count in evidence.tables.items()},
    }
    if doubt := _doubt(evidence, both):
        return inconclusive(doubt, **figures)
    if moved:
        return failed(
            f"{len(moved)} of {len(both)} sources are on another backend when {second} has the address "
            f"than when {first} has it",
            [
                *_differences(evidence),
                *(
                    f"{source}: {counted(one[source])} on {first}, {counted(two[source])} on {second}"
                    for source in moved
                ),
            ],
            **figures,
        )
    if differing := _predicted_elsewhere(evidence):
        return failed(
            f"by their servers the proxies send sources to different backends: {differing}",
            [*_differences(evidence)],
            **figures,
        )
    why = (
        f"each of {len(both)} sources is on the same backend on {first} and {second}, "
        f"{'as observed (' + unpredicted + ')' if unpredicted else 'the predicted one'}{_table(evidence)}"
    )
    return no_violation(why, len(both), "sources that change backend", figures)


def _doubt(evidence: PairMapping, both: list[str]) -> str | None:
    """Why the two rounds of visits cannot be compared; None if they can."""
    first, second = evidence.proxies
    if not both:
        return f"no source was seen on both {first} and {second}"
    used = {server for servers in by_source(evidence.first).values() for server in servers}
    if len(used) < 2:
        return (
            f"all {len(both)} sources are on {', '.join(used)}: any rule may have sent them there (see S8)"
        )
    up = [_up(servers) for servers in _lists(evidence)]
    if any(each != up[0] for each in up):
        shown = "; ".join(", ".join(sorted(each)) or "none" for each in up)
        return f"the proxies had different servers UP: {shown}"
    return None


def _lists(evidence: PairMapping) -> Iterator[tuple[HashServer, ...]]:
    """The servers of all proxies, and those of the two around the visits."""
    yield from evidence.servers.values()
    for visits in (evidence.first, evidence.second):
        yield from (shown for shown in (visits.before, visits.after) if shown is not None)


def _up(servers: tuple[HashServer, ...]) -> frozenset[str]:
    return frozenset(server.name for server in servers if server.up)


def _choices(evidence: PairMapping, proxy: str, visits: Visits) -> Mapping[str, str | None]:
    """Source → the server that a proxy's hash gives to it. Raises Unpredictable."""
    own = visits.model_copy(update={"haproxy": evidence.versions.get(proxy) or visits.haproxy})
    hashing = visit_hash(own, evidence.servers[proxy])
    return {visit.source: hashing.server(visit) for visit in visits.visits}


def _predicted(evidence: PairMapping) -> tuple[str, int | None]:
    """Why the choice of the two proxies is not the predicted one (empty if it is), and for how many sources
    it is on both (None: no prediction)."""
    right: set[str] | None = None
    for proxy, visits in zip(evidence.proxies, (evidence.first, evidence.second), strict=True):
        try:
            choices = _choices(evidence, proxy, visits)
        except Unpredictable as reason:
            return f"not predicted: {reason}", None
        found = by_source(visits)
        as_chosen = {source for source in found if set(found[source]) == {choices[source]}}
        right = as_chosen if right is None else right & as_chosen
    seen = by_source(evidence.first).keys() & by_source(evidence.second).keys()
    count = len(seen & (right or set()))
    return ("" if count == len(seen) else f"the hash predicts {count} of them"), count


def _predicted_elsewhere(evidence: PairMapping) -> str:
    """Two proxies whose hashes differ, with a source for which they do; empty if there are none."""
    if evidence.tables:
        return ""
    base = evidence.proxies[0]
    try:
        own = _choices(evidence, base, evidence.first)
        for proxy in evidence.servers:
            for source, server in _choices(evidence, proxy, evidence.first).items():
                if server != own[source]:
                    return f"{source} is on {own[source]} by {base}, and on {server} by {proxy}"
    except Unpredictable:
        pass
    return ""


def _table(evidence: PairMapping) -> str:
    if not evidence.tables:
        return ""
    counts = ", ".join(f"{count} entries on {proxy}" for proxy, count in evidence.tables.items())
    return f"; the section has a stick table ({counts}), so a source that a failure moved was not judged"


def _differences(evidence: PairMapping) -> Iterator[str]:
    """What differs between the proxies, as far as the choice depends on it."""
    lists = {
        proxy: ", ".join(f"{s.name} (number {s.puid}, weight {s.weight})" for s in servers)
        for proxy, servers in evidence.servers.items()
    }
    if len(set(lists.values())) > 1:
        yield from (f"{proxy} has the servers {text}" for proxy, text in lists.items())
    if len(set(evidence.versions.values())) > 1:
        yield from (f"{proxy} is HAProxy {version}" for proxy, version in evidence.versions.items())
