"""The servers and hash rules that the owner describes, against those that the proxy shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from calorimeter.core.source_hash import HashRules, HashServer
from calorimeter.gates.clients.visits import Visits
from calorimeter.gates.evidence.placement import placement


def described_rules(evidence: Visits) -> HashRules:
    """The hash rules that the owner describes. Raises Unpredictable if they give no source hash."""
    described = evidence.described
    rules = HashRules.from_words(described.balance, described.hash_type, haproxy=evidence.haproxy)
    rules.check()
    return rules


def described_servers(evidence: Visits) -> tuple[HashServer, ...]:
    """The servers and weights that the owner describes.

    What the description lacks is taken from the proxy, if it shows it: the order in its file, the servers'
    numbers, and which are up. Otherwise the described order is assumed, with all servers up.
    """
    shown = {server.name: server for server in evidence.before or ()}
    weights = evidence.described.weights
    names = list(evidence.servers)
    if set(names) <= set(shown):
        names.sort(key=list(shown).index)
    return tuple(
        replace(shown.get(name) or HashServer(name, position), weight=weights.get(name, 1))
        for position, name in enumerate(names, start=1)
    )


def differences(evidence: Visits) -> Iterator[str]:
    """Where the proxy's own list of servers differs from the described one."""
    yield from placement(evidence.backends, evidence.placed).differences
    if evidence.before is None:
        return
    shown = {server.name: server for server in evidence.before}
    for name in evidence.servers:
        wanted = evidence.described.weights.get(name, 1)
        if name not in shown:
            yield f"{name} is described, but is not in the proxy's section {evidence.section}"
        elif shown[name].weight != wanted:
            since = _changed_since(evidence, shown[name])
            yield f"{name} has weight {shown[name].weight} in the proxy{since}, {wanted} is described"
    for name in shown:
        if name not in evidence.servers:
            yield f"{name} is in the proxy's section {evidence.section}, but is not described"


def _changed_since(evidence: Visits, server: HashServer) -> str:
    in_file = {at.file_weight for at in evidence.placed if at.server == server.name} - {None}
    return f" (its file says {in_file.pop()})" if len(in_file) == 1 and server.weight not in in_file else ""
