"""Gates S: source affinity."""

from __future__ import annotations

from functools import partial

from calorimeter.core.deployment import Consent
from calorimeter.gates.affinity import failover, mapping, persistence, restart, spreading, stability
from calorimeter.gates.affinity.failover_trial import failovers
from calorimeter.gates.affinity.persistence_under_load import persistence_under_load
from calorimeter.gates.affinity.restart_trial import restarts
from calorimeter.gates.clients.visit_rounds import all_visits, visits
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate

source_gate = partial(gate, guide="balance  source")


@source_gate("S1", needs=("rest", "proxy log"))
def test_each_source_stays_on_one_rest_backend(context: Context, judge: Judge) -> None:
    """Each source address stays on one REST backend.

    The guide's `balance source` sends a client to the API that its address hashes to. Many source
    addresses visit the REST API over fresh connections; the proxy's log shows the server of each.
    """
    judge(visits(context, "rest"), stability.each_source_on_one_backend, name="visits-rest")


@source_gate("S2", needs=("cfn", "proxy log"))
def test_each_source_stays_on_one_cfn_backend(context: Context, judge: Judge) -> None:
    """Each source address stays on one CFN backend.

    The same as S1, for the CFN API.
    """
    judge(visits(context, "cfn"), stability.each_source_on_one_backend, name="visits-cfn")


@source_gate("S3", needs=("rest", "cfn", "proxy log"))
def test_sources_are_where_the_hash_puts_them(context: Context, judge: Judge) -> None:
    """Each source is on the backend that HAProxy's hash gives to its address.

    The prediction uses only the address and the described servers, weights and hash type.
    """
    judge(all_visits(context), mapping.mapping_is_the_predicted_one, name="visits")


@source_gate("S4", needs=("rest", "cfn", "proxy log"))
def test_sources_spread_as_predicted(context: Context, judge: Judge) -> None:
    """Sources spread over the backends as predicted.

    The visits of S1 and S2, counted by backend, and the skew that a population of clients must expect.
    """
    judge(all_visits(context), spreading.sources_spread_as_predicted, name="visits")


@source_gate("S5", needs=("rest", "cfn", "identity", "proxy log"), consent=Consent.LOAD)
def test_sources_stay_under_load(context: Context, judge: Judge) -> None:
    """Each source keeps its backend over reconnects, over time and under load.

    Sources that visited without load visit again over fresh connections while Locust loads both APIs.
    """
    judge(persistence_under_load(context), persistence.sources_stay_under_load, name="persistence")


@source_gate(
    "S6",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last"),),
)
def test_exactly_the_sources_move_that_must(context: Context, judge: Judge) -> None:
    """When a backend fails, exactly the sources move that the hash predicts.

    One backend of each API is killed; once the proxy shows it DOWN, every source visits again. The
    verdict counts the sources of surviving backends that moved.
    """
    judge(failovers(context), failover.exactly_the_sources_move_that_must, name="failovers")


@source_gate(
    "S7",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last"),),
)
def test_sources_return(context: Context, judge: Judge) -> None:
    """When a backend returns, every source is back where it was.

    The backend that S6 killed is started again, and every source visits again.
    """
    judge(failovers(context), failover.sources_return, name="failovers")


@source_gate("S8", needs=("rest", "cfn", "proxy log"))
def test_enough_distinct_sources_reach_the_proxy(context: Context, judge: Judge) -> None:
    """Enough distinct sources reach the proxy.

    Address translation (NAT) gives many clients one address, and one backend serves them all.
    """
    judge(all_visits(context), stability.enough_distinct_sources, name="visits")


@source_gate(
    "S9",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "every", ("proxy",)),),
)
def test_clients_return_after_a_restart_of_the_proxies(context: Context, judge: Judge) -> None:
    """After a restart of the proxies, each client has the backend that it had before.

    Every proxy is killed and started, one after another; every source visits before and after. A hash
    remembers nothing, a stick table is lost with its process unless peers keep it.
    """
    judge(restarts(context), restart.clients_return, name="restarts")
