"""The share that each server of a section should get, as its servers are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calorimeter.core.expect import Balance
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.core.source_hash import HashRules, HashServer, SourceHash, Unpredictable, weight_shares

MOST_SOURCES = 4096
"""Of more addresses the hash's own shares are as good a prediction."""

MOST_PLACES = 100_000
"""Servers times the sum of their weights: a table of this size takes some 20 ms."""


@dataclass(frozen=True, slots=True)
class PredictedShares:
    """Server → share, 0 to 1, and a clause that says by what; empty if nothing can be predicted."""

    shares: dict[str, float]
    by: str


def predicted_shares(
    servers: Sequence[HashServer],
    wanted: Balance,
    version: str | None,
    sources: SourceAddresses,
    users: int,
) -> PredictedShares:
    """Predict from the addresses of a load's users, each as busy as the others; without them from the hash.

    `servers` are in the order of HAProxy's file. If the section does not balance by the source, the
    prediction is the servers' share of the weights.
    """
    if not any(server.up and server.weight for server in servers):
        return PredictedShares({}, "no server is up")
    try:
        if len(servers) * sum(server.weight for server in servers) > MOST_PLACES:
            raise Unpredictable("the section is too large to be computed every second")
        rules = HashRules.from_words(wanted.balance, wanted.hash_type, haproxy=version)
        hashing = SourceHash(servers, rules)
        different = min(users, len(sources))
        if 0 < different <= MOST_SOURCES:
            by = f"source hash of the load's {different} addresses"
            return PredictedShares(_of_all(servers, _of_users(hashing, sources, users, different)), by)
        return PredictedShares(_of_all(servers, hashing.shares), "source hash of any addresses")
    except Unpredictable:
        return PredictedShares(_of_all(servers, weight_shares(servers, HashRules())), "weights")


def _of_users(
    hashing: SourceHash, sources: SourceAddresses, users: int, different: int
) -> dict[str, float]:
    """User n has the address n, modulo their number: if they repeat, the first may have one user more."""
    rounds, more = divmod(users, len(sources)) if different == len(sources) else (1, 0)
    counts: Counter[str] = Counter()
    for number in range(different):
        if name := hashing.server(sources[number]):
            counts[name] += rounds + (number < more)
    return {name: count / counts.total() for name, count in counts.items()}


def _of_all(servers: Sequence[HashServer], shares: dict[str, float]) -> dict[str, float]:
    return {server.name: shares.get(server.name, 0.0) for server in servers}
