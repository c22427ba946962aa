"""Round-robin: whether deliveries rotate over the consumers in exact order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import log

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, inconclusive, passed


class Consumer(Model):
    """One consumer of a queue: `id` is its channel on the broker, `name` the engine process's."""

    id: str
    name: str


class Delivered(Model):
    """One delivery in the order of the broker's trace: to which consumer, for which request."""

    consumer: str
    request_id: str | None
    redelivered: bool = False


class Rotation(Model):
    """Evidence of E2: calls made one at a time, and what the broker's trace saw of the queue.

    `calls` are the request ids of the calls in order; the next was sent only after the answer to the
    last. `counted` is what the broker itself counted as delivered meanwhile; `incomplete` says why the
    trace may have lost something, `unquiet` why there were no quiet ends to count between.
    """

    queue: str
    described: int
    before: tuple[Consumer, ...]
    after: tuple[Consumer, ...]
    calls: tuple[str, ...]
    deliveries: tuple[Delivered, ...]
    counted: int | None = None
    incomplete: str | None = None
    unquiet: str | None = None


def exact_rotation(evidence: Rotation) -> Judgement:
    """Whether delivery k went to the consumer of delivery k − c, and any c in a row to c consumers.

    RabbitMQ hands a queue's messages to its ready consumers in turn; with one call in flight the
    order of the trace is the order of dispatch, so the criterion is exact and needs no statistics.
    What it could have missed: a fault that strikes each delivery with probability p escapes n
    deliveries with (1 − p)^n, so p above −ln(0.05)/n (about 3/n) is excluded with 95 % confidence.
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
    problem = _unusable(evidence)
    if problem:
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
    missed = -log(0.05) / len(evidence.deliveries)
    return passed(
        f"{len(evidence.deliveries)} deliveries rotated over {size} consumers of the {evidence.queue} "
        f"queue without an exception; a fault in more than {missed:.2%} of deliveries would have been "
        "seen (95 % confidence)",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _unusable(evidence: Rotation) -> str | None:
    """Why the order cannot be judged, None where it can."""
    return next(_doubts(evidence), None)


def _doubts(evidence: Rotation) -> Iterator[str]:
    """Everything that stands against judging the order, the gravest first."""
    queue, calls, deliveries = evidence.queue, set(evidence.calls), evidence.deliveries
    before = {consumer.id for consumer in evidence.before}
    if evidence.incomplete:
        yield evidence.incomplete
    if len(before) < 2:
        yield f"the {queue} queue has {len(before)} consumers: a rotation needs two"
    if before != {consumer.id for consumer in evidence.after}:
        yield f"the consumers of {queue} changed meanwhile"
    if len(deliveries) < 2 * len(before):
        yield f"{len(deliveries)} deliveries over {len(before)} consumers are too few"
    if strangers := sum(d.request_id not in calls for d in deliveries):
        yield (
            f"{strangers} of {len(deliveries)} deliveries belong to other clients: with more "
            "than one call in flight the trace does not show the order of dispatch"
        )
    if unseen := calls - {d.request_id for d in deliveries}:
        yield f"{len(unseen)} of {len(calls)} calls are not in the trace"
    if unknown := {d.consumer for d in deliveries} - before:
        yield f"deliveries went to consumers that the broker does not list: {', '.join(sorted(unknown))}"
    if evidence.unquiet:
        yield evidence.unquiet
    if evidence.counted is not None and evidence.counted != len(deliveries):
        yield miscounted(queue, evidence.counted, len(deliveries))


def miscounted(queue: str, counted: int, traced: int) -> str:
    """That the trace and the broker's own counter disagree."""
    return f"the broker counted {counted} deliveries from {queue}, but {traced} were traced"
