"""S3: each source is on the backend that HAProxy's hash gives to its address.

Where another policy is wanted: each connection is where that policy sends it (`turns`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from calorimeter.core.source_hash import Unpredictable
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates import both_apis
from calorimeter.gates.affinity.described_servers import described_servers, differences, visit_hash
from calorimeter.gates.affinity.disturbance import undisturbed
from calorimeter.gates.affinity.turns import has_home, placed_as_wanted
from calorimeter.gates.clients.lost_lines import loss
from calorimeter.gates.clients.visits import (
    AllVisits,
    Visits,
    by_source,
    counted,
    moved_sources,
    no_violation,
    seen_in,
    strength,
)
from calorimeter.gates.evidence.placement import placement


def mapping_is_the_predicted_one(evidence: AllVisits) -> Judgement:
    """Whether every visit went to the backend that HAProxy's source hash gives to its address.

    Under another wanted policy: whether it went where that policy sends it.
    The evidence names servers. Whether a server is the backend described under its name is judged by its
    address, if the proxy shows it.
    """
    return both_apis.check_each_api(evidence.apis, lambda visits: visits.api, _placed)


def _placed(evidence: Visits) -> Judgement:
    return _mapping(evidence) if has_home(evidence) else placed_as_wanted(evidence)


def _mapping(evidence: Visits) -> Judgement:
    figures: dict[str, Figure] = {**strength(evidence)}
    try:
        hashing = visit_hash(evidence, described_servers(evidence))
    except Unpredictable as reason:
        return _observed(evidence, str(reason))
    quiet, problem = undisturbed(evidence)
    visits = [visit for visit in quiet.visits if visit.server is not None]
    expected = {visit.source: hashing.server(visit) for visit in visits}
    found = by_source(quiet)
    wrong = {source: servers for source, servers in found.items() if set(servers) != {expected[source]}}
    figures |= {"sources_predicted": len(found) - len(wrong), "sources_elsewhere": len(wrong)}
    if wrong:
        return failed(
            f"{len(wrong)} of {len(found)} sources are not on the {evidence.name} backend that "
            f"`{_rules_text(evidence)}` over the described servers gives",
            [
                *differences(evidence),
                *(
                    f"{source}: {counted(servers)}, predicted {expected[source]}"
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
    if problem := problem or where.doubt or _one_only(found):
        return inconclusive(problem, **figures)
    assumed = "" if evidence.before is not None else ", assuming the described order of servers"
    why = (
        f"each of {len(found)} sources is on the predicted {evidence.name} backend "
        f"(`{_rules_text(evidence)}`{assumed}; seen in {seen_in(evidence)}){loss(evidence)}"
    )
    return no_violation(why, len(found), "misplaced sources", figures)


def _one_only(found: Mapping[str, Counter[str]]) -> str | None:
    """Why a mapping to a single backend proves nothing; None if there are several."""
    used = {server for servers in found.values() for server in servers}
    why = (
        f"all {len(found)} sources landed on {', '.join(used)}: any rule may have sent them there (see S8)"
    )
    return why if len(used) < 2 else None


def _rules_text(evidence: Visits) -> str:
    return f"balance {evidence.described.balance}, hash-type {evidence.described.hash_type}"


def _observed(evidence: Visits, reason: str) -> Judgement:
    """Without a prediction: whether there is a mapping at all."""
    quiet, problem = undisturbed(evidence)
    found = by_source(quiet)
    figures: dict[str, Figure] = {**strength(evidence), "not_predicted": reason}
    if several := moved_sources(found):
        return failed(
            f"cannot be predicted ({reason}), and no mapping was observed: {len(several)} of {len(found)} "
            f"sources were on more than one {evidence.name} backend",
            [f"{source}: {counted(servers)}" for source, servers in several.items()],
            **figures,
        )
    if problem is None and not any(servers.total() > 1 for servers in found.values()):
        problem = "no source address visited twice"
    if problem := problem or _one_only(found):
        return inconclusive(f"cannot be predicted ({reason}), and {problem}", **figures)
    why = (
        f"cannot be predicted ({reason}); observed instead: each of {len(found)} sources kept one "
        f"{evidence.name} backend (seen in {seen_in(evidence)}){loss(evidence)}"
    )
    return no_violation(
        why, sum(servers.total() > 1 for servers in found.values()), "sources that change backend", figures
    )
