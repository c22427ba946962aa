"""Golden evidence and properties of equal shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.verdict import Outcome
from calorimeter.gates.engines.equal_shares import QueueShares, equal_shares
from calorimeter.gates.engines.queue_window import QueueConsumer

CONSUMERS = tuple(QueueConsumer(id=letter, name=f"engine-{letter}") for letter in "ABC")


def evidence(a: int, b: int, c: int, **changes: object) -> QueueShares:
    """So many deliveries to each of three engines."""
    fields: dict[str, object] = {
        "queue": "engine_worker",
        "before": CONSUMERS,
        "after": CONSUMERS,
        "counts": {"A": a, "B": b, "C": c},
        "published": a + b + c,
    }
    return QueueShares.model_validate(fields | changes)


def test_shares_that_differ_by_one_pass() -> None:
    """334, 333, 333 is what turns give."""
    judgement = equal_shares(evidence(334, 333, 333))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["spread"] == 1
    assert judgement.figures["smallest_bias_seen"] == 0.002
    assert "random faults in more than 0.30% of deliveries" in judgement.why


def test_consumers_of_one_name_are_counted_each() -> None:
    """Containers behind one address may be called the same: 500, 40, 500 is no equal share."""
    twins = tuple(QueueConsumer(id=letter, name="engine-3 [7]") for letter in "ABC")
    judgement = equal_shares(evidence(500, 40, 500, before=twins, after=twins))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0] == (
        "engine-3 [7] (B) had 40 deliveries, -306.7 compared with an equal share"
    )


def test_shares_that_differ_by_two_fail_and_are_named() -> None:
    """Two apart is impossible in turn, though no statistical test would notice it."""
    judgement = equal_shares(evidence(334, 334, 332))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0] == "engine-C had 332 deliveries, -1.3 compared with an equal share"


def test_consumer_without_a_delivery_fails() -> None:
    """One that the counts do not even name had none."""
    judgement = equal_shares(evidence(50, 50, 0, counts={"A": 50, "B": 50}))
    assert judgement.outcome is Outcome.FAIL


def test_lost_events_are_inconclusive() -> None:
    """What was published must be what was delivered."""
    judgement = equal_shares(evidence(334, 333, 333, published=1001))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "1001 messages were published" in judgement.why


def test_what_the_broker_counted_must_be_in_the_trace() -> None:
    """A share is of what the broker handed out, not of what was seen of it."""
    assert equal_shares(evidence(334, 333, 333, counted=1000)).outcome is Outcome.PASS
    judgement = equal_shares(evidence(334, 333, 333, counted=1007))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "the broker counted 1007 deliveries from engine_worker, but 1000 were traced"


def test_shares_of_calls_that_fail_tell_nothing() -> None:
    """Whose call failed may have been cut short or asked for twice: neither PASS nor FAIL."""
    first = "list req-1: 504 after 60.0 s"
    for counts in ((334, 333, 333), (400, 333, 333)):
        judgement = equal_shares(evidence(*counts, calls=1000, failed_calls=3, first_failed=first))
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert judgement.why == (
            "3 of 1000 calls failed (first: list req-1: 504 after 60.0 s): "
            "shares of failing calls prove nothing"
        )
        assert judgement.figures["failed_calls"] == 3
    assert equal_shares(evidence(334, 333, 333, calls=1000)).figures["failed_calls"] == 0


def test_tracing_that_was_off_meanwhile_is_inconclusive_even_where_shares_differ() -> None:
    """A recording with a hole refutes nothing."""
    judgement = equal_shares(evidence(400, 333, 333, incomplete="tracing is off"))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == "tracing is off"


def test_restless_queue_few_deliveries_or_changed_consumers_are_inconclusive() -> None:
    """The criterion holds from quiet to quiet, with the same consumers, over some rounds."""
    for changed in (
        evidence(334, 333, 333, unquiet="engine did not become quiet within 30 s"),
        evidence(9, 9, 9),
        evidence(334, 333, 333, after=CONSUMERS[:2]),
        evidence(334, 333, 333, before=CONSUMERS[:1], after=CONSUMERS[:1]),
    ):
        assert equal_shares(changed).outcome is Outcome.INCONCLUSIVE


@given(st.integers(2, 9), st.integers(90, 2000), st.integers(0, 8))
def test_any_turn_passes_and_any_theft_of_two_fails(size: int, total: int, first: int) -> None:
    """Turns pass wherever they begin; two deliveries moved from one consumer to another do not."""
    consumers = tuple(QueueConsumer(id=str(n), name=f"e{n}") for n in range(size))
    counts = dict.fromkeys((c.id for c in consumers), 0)
    for k in range(total):
        counts[str((first + k) % size)] += 1
    given_ = QueueShares(queue="engine", before=consumers, after=consumers, counts=counts)
    assert equal_shares(given_).outcome is Outcome.PASS
    low, high = min(counts, key=lambda i: counts[i]), max(counts, key=lambda i: counts[i])
    low = low if low != high else str((int(high) + 1) % size)
    stolen = counts | {low: counts[low] - 2, high: counts[high] + 2}
    assert equal_shares(given_.model_copy(update={"counts": stolen})).outcome is Outcome.FAIL
