"""Gates S: source affinity."""

from __future__ import annotations

from verify.bench import Bench
from verify.checks import affinity
from verify.experiments.affinity import visits
from verify.gates import gate
from verify.judge import Judge


@gate("S1", guide="balance  source", needs=("rest", "proxy log"))
def test_each_source_stays_on_one_rest_backend(bench: Bench, judge: Judge) -> None:
    """Each source address stays on one REST backend.

    The guide's `balance source` sends a client to the API that its address hashes to. Many source
    addresses visit the REST API over fresh connections; the proxy's log says where each went.
    """
    judge(visits(bench, "rest"), affinity.each_source_on_one_backend, name="visits-rest")
