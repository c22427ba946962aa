"""Equal shares: how many deliveries each consumer of a queue had between two quiet points (E3, E4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.queue_window import QueueConsumer, QueueWindow, missed_rate_95

FEWEST_ROUNDS = 10
"""Deliveries per consumer below which equal shares prove little."""


class QueueShares(QueueWindow):
    """Evidence of E3 and E4: the deliveries of one queue between two quiet points.

    `counts` maps a consumer's id to its deliveries. `published` counts the messages published to the queue,
    which must agree with the trace. `busy_s` maps a consumer's id to the summed seconds from delivery to
    answer. `failed_calls` of `calls` were not answered well, `first_failed` is the first of them.
    """

    counts: dict[str, int]
    redelivered: int = 0
    published: int | None = None
    busy_s: dict[str, float] = {}
    failed_calls: int = 0
    first_failed: str = ""
    calls: int = 0
    in_flight: int = 1


def equal_shares(evidence: QueueShares) -> Judgement:
    """E3, E4: whether the shares of all consumers differ by at most one delivery.

    RabbitMQ delivers messages to its ready consumers in turn, so between two quiet points with the same
    consumers none can be more than one delivery ahead, at any concurrency: the criterion is exact. The
    order of the trace is not used, because each channel reports separately.

    Its limits: a consumer favoured by a single delivery is not detected, since turns allow that, and
    `missed_rate_95`, unless faults cancel out.
    """
    names = _names(evidence.before)
    counts = {name: evidence.counts.get(id_, 0) for id_, name in names.items()}
    total = sum(evidence.counts.values())
    figures: dict[str, Figure] = {
        "deliveries": total,
        "consumers": len(names),
        "in_flight": evidence.in_flight,
        "redelivered": evidence.redelivered,
        "failed_calls": evidence.failed_calls,
        **{f"deliveries_{name}": n for name, n in sorted(counts.items())},
        **{f"busy_s_{names.get(i, i)}": round(s, 3) for i, s in sorted(evidence.busy_s.items())},
    }
    if problem := next(_gaps(evidence), None):
        return inconclusive(problem, **figures)
    spread = max(counts.values()) - min(counts.values())
    figures["spread"] = spread
    if spread > 1:
        mean = total / len(names)
        return failed(
            f"the consumers' shares of {total} deliveries from the {evidence.queue} queue differ by "
            f"{spread}; under round robin they differ by at most 1",
            [f"{name} had {n} deliveries, {n - mean:+.1f} compared with an equal share" for name, n in
             sorted(counts.items(), key=lambda item: item[1])],
            **figures,
        )  # fmt: skip
    figures |= {
        "smallest_bias_seen": round(2 / total, 6),
        "missed_rate_95": round(missed_rate_95(total), 6),
    }
    return passed(
        f"{total} deliveries from the {evidence.queue} queue went to {len(names)} consumers, whose shares "
        f"differ by {spread}; {_busy_range(evidence)}a consumer skipped or favoured twice "
        f"({2 / total:.2%}) would have been detected, and with 95 % confidence random faults in more than "
        f"{missed_rate_95(total):.2%} of deliveries, unless they cancel out",
        **figures,
    )


def _names(consumers: Sequence[QueueConsumer]) -> dict[str, str]:
    """Consumer id → name; followed by the id if several consumers have the same name."""
    often = Counter(consumer.name for consumer in consumers)
    return {c.id: c.name if often[c.name] == 1 else f"{c.name} ({c.id})" for c in consumers}


def _busy_range(evidence: QueueShares) -> str:
    busy = [s for s in evidence.busy_s.values() if s > 0]
    if len(busy) < 2:
        return ""
    return f"they kept each engine busy for {min(busy):.1f} to {max(busy):.1f} s; "


def _gaps(evidence: QueueShares) -> Iterator[str]:
    """The reasons why the shares cannot be judged, the worst first."""
    total = sum(evidence.counts.values())
    yield from evidence.gaps()
    if evidence.failed_calls:
        yield (
            f"{evidence.failed_calls} of {evidence.calls} calls failed (first: {evidence.first_failed}): "
            "shares of failing calls prove nothing"
        )
    yield from evidence.delivery_gaps(evidence.counts, total, FEWEST_ROUNDS)
    if evidence.published is not None and evidence.published + evidence.redelivered != total:
        yield (
            f"{evidence.published} messages were published to {evidence.queue} and {evidence.redelivered} "
            f"redelivered, but {total} deliveries were traced"
        )
