"""Gates S: source affinity."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.affinity import failover, mapping, persistence, spreading, stability
from calorimeter.gates.affinity.failover_trial import failovers
from calorimeter.gates.affinity.persistence_under_load import persistence_under_load
from calorimeter.gates.clients.visit_rounds import all_visits, visits
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate


@gate("S1", guide="balance  source", needs=("rest", "proxy log"))
def test_each_source_stays_on_one_rest_backend(context: Context, judge: Judge) -> None:
    """Each source address stays on one REST backend.

    The guide's `balance source` sends a client to the API that its address hashes to. Many source
    addresses visit the REST API over fresh connections; the proxy's log says where each went.
    """
    judge(visits(context, "rest"), stability.each_source_on_one_backend, name="visits-rest")


@gate("S2", guide="balance  source", needs=("cfn", "proxy log"))
def test_each_source_stays_on_one_cfn_backend(context: Context, judge: Judge) -> None:
    """Each source address stays on one CFN backend.

    As S1, for the CFN API.
    """
    judge(visits(context, "cfn"), stability.each_source_on_one_backend, name="visits-cfn")


@gate("S3", guide="balance  source", needs=("rest", "cfn", "proxy log"))
def test_sources_are_where_the_hash_puts_them(context: Context, judge: Judge) -> None:
    """Each source is on the backend that HAProxy's hash gives to its address.

    The prediction is made from the address, the described servers, weights and hash type alone.
    """
    judge(all_visits(context), mapping.mapping_is_the_predicted_one, name="visits")


@gate("S4", guide="balance  source", needs=("rest", "cfn", "proxy log"))
def test_sources_spread_as_predicted(context: Context, judge: Judge) -> None:
    """Sources spread over the backends as predicted.

    The same visits, counted by backend; and the skew that a population of clients must expect.
    """
    judge(all_visits(context), spreading.sources_spread_as_predicted, name="visits")


@gate("S5", guide="balance  source", needs=("rest", "cfn", "identity", "proxy log"), consent=Consent.LOAD)
def test_sources_stay_under_load(context: Context, judge: Judge) -> None:
    """Each source keeps its backend over reconnects, over time and under load.

    Sources that visited before visit again over fresh connections, while Locust loads both APIs.
    """
    judge(persistence_under_load(context), persistence.sources_stay_under_load, name="persistence")


@gate(
    "S6",
    guide="balance  source",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last"),),
)
def test_exactly_the_sources_move_that_must(context: Context, judge: Judge) -> None:
    """When a backend goes, exactly the sources move that the hash says must.

    One backend of each API is killed; when the proxy has taken it out, every source visits again. How
    many sources of surviving backends lost their place is a figure of the verdict.
    """
    judge(failovers(context), failover.exactly_the_sources_move_that_must, name="failovers")


@gate(
    "S7",
    guide="balance  source",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last"),),
)
def test_sources_return(context: Context, judge: Judge) -> None:
    """When a backend returns, every source is back where it was.

    The same backend is started again, and every source visits once more.
    """
    judge(failovers(context), failover.sources_return, name="failovers")


@gate("S8", guide="balance  source", needs=("rest", "cfn", "proxy log"))
def test_enough_distinct_sources_reach_the_proxy(context: Context, judge: Judge) -> None:
    """Enough distinct sources reach the proxy.

    Behind address translation (NAT) many clients are one address, and one backend has them all.
    """
    judge(all_visits(context), stability.enough_distinct_sources, name="visits")
