"""Golden evidence for the checks of source affinity."""

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.stability import (
    each_source_on_one_backend,
    enough_distinct_sources,
    sources_needed,
)
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, LogCount, Visit, Visits


def visit(source: str, server: str | None, port: int = 1, status: int = 300) -> Visit:
    """One visit."""
    return Visit(source=source, port=port, sent_ns=0, done_ns=1, status=status, server=server)


def evidence(*visits: Visit, **log: object) -> Visits:
    """Visits with a complete log."""
    count = LogCount.model_validate(
        {
            "source": "udp",
            "lines": len(visits),
            "logged": len(visits),
            "connections": len(visits),
            "dropped": 0,
        }
        | log
    )
    return Visits(api="rest", section="rest_api_proxy", servers=("a", "b"), visits=visits, logs=(count,))


def test_sources_that_stay_pass() -> None:
    """Sources that stay on their backends pass, with the number of sources and requests."""
    judgement = each_source_on_one_backend(
        evidence(visit("1", "a"), visit("2", "b"), visit("1", "a"), visit("2", "b"))
    )
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["sources"] == 2
    assert judgement.figures["connections"] == 4
    assert judgement.figures["share_a"] == 0.5
    assert judgement.figures["log"] == "udp"
    assert "(seen in the proxy's log udp)" in judgement.why
    assert judgement.figures["missed_rate_95"] == round(1 - 0.05**0.5, 6)


def test_source_on_two_backends_fails_and_is_named() -> None:
    """One source on two backends refutes affinity and is the counter-example."""
    judgement = each_source_on_one_backend(
        evidence(visit("1", "a"), visit("2", "b"), visit("1", "b"), visit("2", "b"))
    )
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("1: a 1 times, b 1 times",)


def test_source_on_two_backends_is_proof_even_in_an_incomplete_log() -> None:
    """A source seen on two backends stays a counter-example when other lines were lost."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("1", "b"), dropped=5))
    assert judgement.outcome is Outcome.FAIL


def test_no_visits_prove_nothing() -> None:
    """No data is INCONCLUSIVE."""
    assert each_source_on_one_backend(evidence()).outcome is Outcome.INCONCLUSIVE


def test_unanswered_visits_prove_nothing() -> None:
    """Visits without any answer are INCONCLUSIVE, and the verdict gives the reason."""
    refused = visit("1", None, status=0).model_copy(update={"error": "Connection refused"})
    judgement = each_source_on_one_backend(evidence(refused))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "Connection refused, 1 times" in judgement.why


def test_lost_log_line_is_inconclusive() -> None:
    """An answered visit without a log line could have gone anywhere."""
    judgement = each_source_on_one_backend(
        evidence(visit("1", "a"), visit("2", "b"), visit("1", None), visit("2", "b"))
    )
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "1 of 4 answered visits are in no log line" in judgement.why


def test_lines_lost_by_one_of_two_proxies_are_not_attributed_to_the_first() -> None:
    """Both counts are of all logs together: it is not known which log the lines were lost for."""
    made = evidence(visit("1", "a"), visit("2", "b"), visit("1", "a"), visit("2", None), connections=5)
    other = made.logs[0].model_copy(update={"source": "udp2"})
    judgement = each_source_on_one_backend(made.model_copy(update={"logs": (*made.logs, other)}))
    assert judgement.why == (
        "the log holds 4 of the 5 connections that the proxy counted on rest_api_proxy: lines were lost on "
        "the way to udp, udp2"
    )


@pytest.mark.parametrize(("server", "outcome"), [("b", Outcome.PASS), (None, Outcome.INCONCLUSIVE)])
def test_line_that_cannot_be_parsed_is_quoted(server: str | None, outcome: Outcome) -> None:
    """A line that HAProxy did not write is quoted; it matters if it may be that of a visit."""
    visits = (visit("1", "a"), visit("2", "b"), visit("1", "a"), visit("2", server))
    judgement = each_source_on_one_backend(evidence(*visits, unparsed=("gibberish",)))
    assert judgement.outcome is outcome
    assert "'gibberish'" in judgement.why


def test_all_sources_on_one_backend_prove_nothing() -> None:
    """If one backend has all sources, staying cannot be told from having nowhere else to go."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("2", "a"), visit("1", "a")))
    assert judgement.outcome is Outcome.INCONCLUSIVE


def test_single_visits_prove_nothing() -> None:
    """A source that visited once cannot have moved."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("2", "b")))
    assert judgement.outcome is Outcome.INCONCLUSIVE


def enough(count: int, clients: dict[str, dict[str, int]] | None = None) -> Judgement:
    """The judgement of S8 on this many sources, and what the proxy saw of them (None: all of them)."""
    made = tuple(visit(f"10.0.{n // 250}.{n % 250}", "ab"[n % 2], n) for n in range(count))
    seen = clients if clients is not None else {v.source: {v.server or "": 1} for v in made}
    return enough_distinct_sources(AllVisits(apis=(evidence(*made).model_copy(update={"clients": seen}),)))


def test_enough_sources_pass_with_the_number_that_would_do() -> None:
    """Sources that each reach the proxy as themselves, and are enough, pass."""
    judgement = enough(300)
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_sources_needed"] == 299
    assert judgement.figures["rest_missed_rate_95"] == 0.009936  # 1 - 0.05^(1/300)
    assert "a rate of translated addresses above 0.99%" in judgement.why


def test_single_client_machine_is_inconclusive_with_how_many_would_do() -> None:
    """One source address, as of one client machine, is too few."""
    judgement = enough(1)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "299 would do" in judgement.why


def test_translated_addresses_fail_and_are_named() -> None:
    """Many clients that reach the proxy as one address are behind NAT, whose address is named."""
    judgement = enough(300, {"192.0.2.1": {"a": 300}})
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 192.0.2.1: 300 connections",)


def test_sources_whose_lines_were_lost_are_not_translated() -> None:
    """Others' connections make up the number of lines; a source missing from such a log may have come."""
    made = tuple(visit(f"10.0.{n // 250}.{n % 250}", "ab"[n % 2], n) for n in range(300))
    made = (*made[:290], *(each.model_copy(update={"server": None}) for each in made[290:]))
    clients: dict[str, dict[str, int]] = {v.source: {v.server: 1} for v in made if v.server}
    clients["10.9.9.9"] = {"a": 50}
    holes = evidence(*made, logged=340, connections=350).model_copy(update={"clients": clients})
    judgement = enough_distinct_sources(AllVisits(apis=(holes,)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "the log holds 340 of the 350 connections" in judgement.why
    whole = evidence(*made, logged=340, connections=340).model_copy(update={"clients": clients})
    assert enough_distinct_sources(AllVisits(apis=(whole,))).outcome is Outcome.FAIL


def test_counters_show_no_addresses() -> None:
    """If only the proxy's counters can be read, nothing shows who its clients are."""
    made = tuple(visit(f"10.0.{n // 250}.{n % 250}", "ab"[n % 2], n) for n in range(300))
    judgement = enough_distinct_sources(
        AllVisits(apis=(evidence(*made).model_copy(update={"evidence": "counters", "logs": ()}),))
    )
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "counters show no addresses" in judgement.why
    assert judgement.figures["rest_clients_seen_by_the_proxy"] is None


def test_more_backends_need_more_sources() -> None:
    """Each backend must have a source, so servers with little weight need more of them."""
    light = evidence(visit("1", "a")).model_copy(
        update={"described": ExpectedBalance(weights={"a": 255, "b": 1})}
    )
    assert sources_needed(light) > 900
