"""Golden evidence for the checks of source affinity."""

from calorimeter.verdict import Outcome
from verify.checks.affinity import each_source_on_one_backend
from verify.checks.visits import LogCount, Visit, Visits


def visit(source: str, server: str | None, port: int = 1, status: int = 300) -> Visit:
    """One visit."""
    return Visit(source=source, port=port, sent_ns=0, done_ns=1, status=status, server=server)


def evidence(*visits: Visit, **log: object) -> Visits:
    """Visits with a whole log."""
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
    """Sources that stay on their backends over several connections pass, with the strength on the label."""
    judgement = each_source_on_one_backend(
        evidence(visit("1", "a"), visit("2", "b"), visit("1", "a"), visit("2", "b"))
    )
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["sources"] == 2
    assert judgement.figures["connections"] == 4
    assert judgement.figures["share_a"] == 0.5
    assert judgement.figures["missed_rate_95"] == round(1 - 0.05**0.5, 6)


def test_source_on_two_backends_fails_and_is_named() -> None:
    """One source on two backends refutes affinity and is the counter-example."""
    judgement = each_source_on_one_backend(
        evidence(visit("1", "a"), visit("2", "b"), visit("1", "b"), visit("2", "b"))
    )
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("1: a 1 times, b 1 times",)


def test_torn_source_is_proof_even_in_a_broken_log() -> None:
    """A source seen on two backends stays a counter-example when other lines were lost."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("1", "b"), dropped=5))
    assert judgement.outcome is Outcome.FAIL


def test_no_visits_prove_nothing() -> None:
    """No data is INCONCLUSIVE."""
    assert each_source_on_one_backend(evidence()).outcome is Outcome.INCONCLUSIVE


def test_unanswered_visits_prove_nothing() -> None:
    """Visits that nobody answered are INCONCLUSIVE, and the reason is said."""
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


def test_line_that_cannot_be_parsed_is_inconclusive_and_quoted() -> None:
    """A line that is no HAProxy log is quoted, not dropped."""
    judgement = each_source_on_one_backend(
        evidence(
            visit("1", "a"), visit("2", "b"), visit("1", "a"), visit("2", "b"), unparsed=("gibberish",)
        )
    )
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "'gibberish'" in judgement.why


def test_all_sources_on_one_backend_prove_nothing() -> None:
    """Where one backend has everybody, staying cannot be told from having nowhere else to go."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("2", "a"), visit("1", "a")))
    assert judgement.outcome is Outcome.INCONCLUSIVE


def test_single_visits_prove_nothing() -> None:
    """A source that came once cannot have moved."""
    judgement = each_source_on_one_backend(evidence(visit("1", "a"), visit("2", "b")))
    assert judgement.outcome is Outcome.INCONCLUSIVE
