"""Round-robin: whether deliveries rotate over the consumers in exact order (E2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.queue_window import QueueWindow, missed_rate_95


class TracedDelivery(Model):
    """One delivery, in the order of the broker's trace."""

    consumer: str
    request_id: str | None
    redelivered: bool = False


class Rotation(QueueWindow):
    """Evidence of E2: calls made one at a time, and the deliveries that the broker's trace shows.

    `calls` are the request ids in order; each call was sent after the answer to the one before.
    """

    described: int
    calls: tuple[str, ...]
    deliveries: tuple[TracedDelivery, ...]


def exact_rotation(evidence: Rotation) -> Judgement:
    """E2: whether delivery k went to the consumer of delivery k − c, and any c in a row to c consumers.

    RabbitMQ delivers a queue's messages to its ready consumers in turn. With one call in flight the
    order of the trace is the order of dispatch, so the criterion is exact and needs no statistics; its
    limit is `missed_rate_95`.
    """
    names = {consumer.id: consumer.name for consumer in evidence.before}
    shares = Counter(names.get(d.consumer, d.consumer) for d in evidence.deliveries)
    size = len(names)
    figures = {
        "calls": len(evidence.calls),
        "deliveries": len(evidence.deliveries),
        "consumers": size,
        **{f"deliveries_{name}": n for name, n in sorted(shares.items())},
    }
    if problem := next(_gaps(evidence), None):
        return inconclusive(problem, **figures)
    breaks = [
        f"delivery {k + 1} ({d.request_id}) went to {names[d.consumer]}, "
        f"expected {names[evidence.deliveries[k - size].consumer]}"
        for k, d in enumerate(evidence.deliveries)
        if k >= size and d.consumer != evidence.deliveries[k - size].consumer
    ]
    first = evidence.deliveries[:size]
    if len({d.consumer for d in first}) < size:
        order = ", ".join(names[d.consumer] for d in first)
        breaks.insert(0, f"the first {size} deliveries went to {order}")
    if breaks:
        return failed(
            f"the {evidence.queue} queue did not rotate over its {size} consumers: "
            f"{len(breaks)} of {len(evidence.deliveries)} deliveries were out of turn",
            breaks,
            out_of_turn=len(breaks),
            **figures,
        )
    missed = missed_rate_95(len(evidence.deliveries))
    return passed(
        f"{len(evidence.deliveries)} deliveries rotated over {size} consumers of the {evidence.queue} "
        f"queue without an exception; a fault in more than {missed:.2%} of deliveries would have been "
        "detected with 95 % confidence",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _gaps(evidence: Rotation) -> Iterator[str]:
    """The reasons why the order cannot be judged, the worst first."""
    calls, deliveries = set(evidence.calls), evidence.deliveries
    yield from evidence.gaps()
    if strangers := sum(d.request_id not in calls for d in deliveries):
        yield (
            f"{strangers} of {len(deliveries)} deliveries belong to other clients: with more than one call "
            "in flight the trace does not show the order of dispatch"
        )
    if unseen := calls - {d.request_id for d in deliveries}:
        yield f"{len(unseen)} of {len(calls)} calls are not in the trace"
    yield from evidence.delivery_gaps({d.consumer for d in deliveries}, len(deliveries), 2)
