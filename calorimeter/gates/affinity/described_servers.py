"""The servers and hash rules that the owner describes, against those that the proxy shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from calorimeter.core.request_key import RequestKey
from calorimeter.core.source_hash import HashRules, HashServer, SourceHash, Unpredictable
from calorimeter.core.string_hash import FUNCTIONS
from calorimeter.gates.clients.visits import STICKY, Visit, Visits
from calorimeter.gates.evidence.placement import placement


def described_rules(evidence: Visits) -> HashRules:
    """The hash rules that the owner describes. Raises Unpredictable if they give no hash that is known.

    A part of the request is chosen from the same table or ring as an address.
    """
    described = evidence.described
    balance = "source" if RequestKey.of(described.balance) else described.balance
    rules = HashRules.from_words(balance, described.hash_type, haproxy=evidence.haproxy)
    rules.check()
    return rules


@dataclass(frozen=True, slots=True)
class VisitHash:
    """HAProxy's choice for a visit: by the client's address, or by the part of the request that varies."""

    hashing: SourceHash
    key: RequestKey | None
    function: str

    def server(self, visit: Visit) -> str | None:
        """The chosen server's name, None if none is usable. Raises Unpredictable (see `source_hash`)."""
        if self.key is None:
            return self.hashing.server(visit.hashed)
        return self.hashing.at(FUNCTIONS[self.function](self.key.hashed(visit.source)))


def visit_hash(evidence: Visits, servers: Sequence[HashServer]) -> VisitHash:
    """The hash that the owner describes, over servers. Raises Unpredictable if it cannot be computed."""
    if (stick_on := evidence.described.stick_on) is not None:
        raise Unpredictable(f"{STICKY[stick_on]} keeps each client where it came first")
    key, rules = RequestKey.of(evidence.described.balance), described_rules(evidence)
    if key is not None and rules.function not in FUNCTIONS:
        raise Unpredictable(f"hash-type {evidence.described.hash_type} hashes no text")
    return VisitHash(SourceHash(servers, rules), key, rules.function)


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
