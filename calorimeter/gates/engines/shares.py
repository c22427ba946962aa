"""Equal shares: how many deliveries each consumer of a queue had between two quiescent points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import log

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.rotation import Consumer, miscounted

FEWEST_ROUNDS = 10
"""Rounds of deliveries below which equal shares say little."""


class Shares(Model):
    """Evidence of E3 and E4: the deliveries of one queue, from quiet to quiet.

    `counts` maps the consumer's id to its deliveries; `published` counts what was published to the queue
    meanwhile and `counted` what the broker itself counted as delivered, which both must be what was traced;
    `busy_s` is the time from a delivery to its answer, summed, by consumer. `failed_calls` of `calls` got
    no good answer, `first_failed` is the first. `incomplete` says why the trace may have lost something,
    `unquiet` why an end is not quiet.
    """

    queue: str
    before: tuple[Consumer, ...]
    after: tuple[Consumer, ...]
    counts: dict[str, int]
    redelivered: int = 0
    published: int | None = None
    counted: int | None = None
    busy_s: dict[str, float] = {}
    failed_calls: int = 0
    first_failed: str = ""
    calls: int = 0
    in_flight: int = 1
    incomplete: str | None = None
    unquiet: str | None = None


def equal_shares(evidence: Shares) -> Judgement:
    """Whether the shares of all consumers differ by at most one.

    RabbitMQ hands messages to its ready consumers in turn, so between two quiet points with the same
    consumers nobody can be more than one ahead, whatever the concurrency: the criterion is exact. The order
    of the trace says nothing here, for every channel reports by itself.

    What it could have missed: one consumer favoured by a single delivery, for that is what turns give. A
    fault that strikes each delivery with probability p leaves n deliveries untouched with (1 − p)^n, so p
    above −ln(0.05)/n (the rule of three) is excluded with 95 % confidence, unless faults cancel out.
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
    problem = next(_doubts(evidence), None)
    if problem:
        return inconclusive(problem, **figures)
    spread = max(counts.values()) - min(counts.values())
    figures["spread"] = spread
    if spread > 1:
        mean = total / len(names)
        return failed(
            f"the shares of the {evidence.queue} queue differ by {spread} among {total} deliveries; in "
            "turn they cannot differ by more than 1",
            [f"{name} had {n} deliveries, {n - mean:+.1f} against an equal share" for name, n in
             sorted(counts.items(), key=lambda item: item[1])],
            **figures,
        )  # fmt: skip
    figures |= {"smallest_bias_seen": round(2 / total, 6), "missed_rate_95": round(-log(0.05) / total, 6)}
    return passed(
        f"{total} deliveries of the {evidence.queue} queue were shared by {len(names)} consumers with a "
        f"spread of {spread}; {_time(evidence)}who was skipped or favoured twice ({2 / total:.2%}) would "
        f"have been seen, and a fault by chance in more than {-log(0.05) / total:.2%} of deliveries (95 % "
        "confidence), unless such faults cancel out",
        **figures,
    )


def _names(consumers: Sequence[Consumer]) -> dict[str, str]:
    """What to call each consumer, by id: by its name, and by its id as well where that is not its alone."""
    often = Counter(consumer.name for consumer in consumers)
    return {c.id: c.name if often[c.name] == 1 else f"{c.name} ({c.id})" for c in consumers}


def _time(evidence: Shares) -> str:
    busy = [s for s in evidence.busy_s.values() if s > 0]
    if len(busy) < 2:
        return ""
    return f"equal in number, they took from {min(busy):.1f} to {max(busy):.1f} s of the engines' time; "


def _doubts(evidence: Shares) -> Iterator[str]:
    queue, total = evidence.queue, sum(evidence.counts.values())
    before = {consumer.id for consumer in evidence.before}
    if evidence.incomplete:
        yield evidence.incomplete
    if len(before) < 2:
        yield f"the {queue} queue has {len(before)} consumers: shares need two"
    if before != {consumer.id for consumer in evidence.after}:
        yield f"the consumers of {queue} changed meanwhile"
    if evidence.failed_calls:
        yield (
            f"{evidence.failed_calls} of {evidence.calls} calls failed (first: {evidence.first_failed}): "
            "shares of calls that fail tell nothing"
        )
    if evidence.unquiet:
        yield evidence.unquiet
    if total < FEWEST_ROUNDS * len(before):
        yield f"{total} deliveries over {len(before)} consumers are too few"
    if unknown := set(evidence.counts) - before:
        yield f"deliveries went to consumers that the broker does not list: {_listed(sorted(unknown))}"
    if evidence.published is not None and evidence.published + evidence.redelivered != total:
        yield (
            f"{evidence.published} messages were published to {queue} and {evidence.redelivered} "
            f"redelivered, but {total} deliveries were traced"
        )
    if evidence.counted is not None and evidence.counted != total:
        yield miscounted(queue, evidence.counted, total)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
