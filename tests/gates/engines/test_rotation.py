"""Literal evidence and properties of the exact rotation."""

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.engines.rotation import Rotation, TracedDelivery, exact_rotation


def evidence(order: str, **changes: object) -> Rotation:
    """Deliveries to consumers named by letters, one call each."""
    consumers = tuple(QueueConsumer(id=letter, name=f"engine-{letter}") for letter in "ABC")
    fields: dict[str, object] = {
        "queue": "engine",
        "described": 3,
        "before": consumers,
        "after": consumers,
        "calls": tuple(f"req-{n}" for n in range(len(order))),
        "deliveries": tuple(TracedDelivery(consumer=c, request_id=f"req-{n}") for n, c in enumerate(order)),
    }
    return Rotation.model_validate(fields | changes)


def test_exact_rotation_passes() -> None:
    """A B C A B C … passes, with the deliveries of each engine."""
    judgement = exact_rotation(evidence("ABCABCAB"))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["deliveries_engine-A"] == 3


def test_one_delivery_out_of_turn_fails_and_is_named() -> None:
    """It is the counter-example."""
    judgement = exact_rotation(evidence("ABCABB"))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("delivery 6 (req-5) went to engine-B, expected engine-C",)


def test_period_over_too_few_consumers_fails() -> None:
    """A B A A B A repeats every three, but leaves C out."""
    assert exact_rotation(evidence("ABAABA")).outcome is Outcome.FAIL


def test_consumer_listed_twice_needs_no_more_deliveries() -> None:
    """A consumer counts once, however many entries the broker's list has of its channel."""
    twice = tuple(QueueConsumer(id=letter, name=f"engine-{letter}") for letter in "ABCABC")
    assert exact_rotation(evidence("ABCABB", before=twice, after=twice)).outcome is Outcome.FAIL


def test_changed_consumers_are_inconclusive() -> None:
    """Without constant consumers there is no expected order."""
    judgement = exact_rotation(evidence("ABCABC", after=(QueueConsumer(id="A", name="engine-A"),)))
    assert judgement.outcome is Outcome.INCONCLUSIVE


def test_foreign_calls_are_inconclusive() -> None:
    """Other clients' calls mean that more than one call was in flight."""
    judgement = exact_rotation(evidence("ABCABC", calls=("req-0", "req-1")))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "other clients" in judgement.why


def test_what_the_broker_counted_must_be_in_the_trace() -> None:
    """A delivery that the broker counted and the trace lacks may have been out of turn."""
    assert exact_rotation(evidence("ABCABC", counted=6)).outcome is Outcome.PASS
    judgement = exact_rotation(evidence("ABCABC", counted=7))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "the broker counted 7 deliveries from engine, but 6 were traced"


def test_without_quiet_ends_the_order_is_inconclusive() -> None:
    """If calls were in progress before or after, the broker's counter does not fit these calls."""
    judgement = exact_rotation(evidence("ABCABC", unquiet="engine did not become quiet"))
    assert (judgement.outcome, judgement.why) == (Outcome.INCONCLUSIVE, "engine did not become quiet")


def test_call_missing_from_the_trace_is_inconclusive() -> None:
    """A call that the trace does not show was lost on the way to us or to the engine."""
    calls = tuple(f"req-{n}" for n in range(7))
    assert exact_rotation(evidence("ABCABC", calls=calls)).outcome is Outcome.INCONCLUSIVE


def test_too_few_deliveries_are_inconclusive() -> None:
    """Less than two rounds show no rotation."""
    assert exact_rotation(evidence("ABCAB")).outcome is Outcome.INCONCLUSIVE


def test_single_consumer_is_inconclusive() -> None:
    """One consumer cannot rotate."""
    one = (QueueConsumer(id="A", name="engine-A"),)
    assert exact_rotation(evidence("AAAA", before=one, after=one)).outcome is Outcome.INCONCLUSIVE


def test_broken_trace_is_inconclusive() -> None:
    """A trace that may have lost something is not judged."""
    judgement = exact_rotation(evidence("ABCABC", incomplete="tracing was switched off"))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "tracing was switched off"


@given(st.permutations("ABC"), st.integers(6, 60), st.data())
def test_any_rotation_passes_and_any_swap_fails(order: list[str], length: int, data: st.DataObject) -> None:
    """Every rotation in any order passes; exchanging two neighbours anywhere refutes it."""
    sequence = (order * length)[:length]
    assert exact_rotation(evidence("".join(sequence))).outcome is Outcome.PASS
    at = data.draw(st.integers(0, length - 2))
    sequence[at], sequence[at + 1] = sequence[at + 1], sequence[at]
    assert exact_rotation(evidence("".join(sequence))).outcome is Outcome.FAIL
