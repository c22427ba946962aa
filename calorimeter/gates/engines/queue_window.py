"""The deliveries of one queue between two quiet points: what the evidence of E2 to E4 has in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import log

from calorimeter.core.toml import Model


class QueueConsumer(Model):
    """One consumer of a queue: `id` is `connection#channel`, `name` that of the engine process."""

    id: str
    name: str


class QueueWindow(Model):
    """One queue in a window, with its consumers `before` and `after` it.

    `counted` is the broker's own count of deliveries in the window (None without statistics).
    `incomplete` is why the trace may lack events, `unquiet` why the window did not begin and end at quiet
    points.
    """

    queue: str
    before: tuple[QueueConsumer, ...]
    after: tuple[QueueConsumer, ...]
    counted: int | None = None
    incomplete: str | None = None
    unquiet: str | None = None

    def gaps(self) -> Iterator[str]:
        """Why round robin cannot be expected, or cannot be observed: the trace, or the consumers."""
        if self.incomplete:
            yield self.incomplete
        ids = {consumer.id for consumer in self.before}
        if len(ids) < 2:
            yield f"the {self.queue} queue has {len(ids)} consumers, at least 2 are needed"
        if ids != {consumer.id for consumer in self.after}:
            yield f"the consumers of {self.queue} changed during the calls"

    def delivery_gaps(self, consumers: Collection[str], total: int, rounds: int) -> Iterator[str]:
        """Why `total` deliveries to `consumers` (ids) are not all that the broker made, or are too few."""
        if self.unquiet:
            yield self.unquiet
        ids = {consumer.id for consumer in self.before}
        if total < (least := rounds * len(ids)):
            yield f"{total} deliveries to {len(ids)} consumers are too few, at least {least} are needed"
        if unknown := sorted({*consumers} - ids):
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            names = ", ".join(unknown[:3])
            yield f"deliveries went to consumers that the broker does not list: {names}{more}"
        if self.counted is not None and self.counted != total:
            yield f"the broker counted {self.counted} deliveries from {self.queue}, but {total} were traced"


def missed_rate_95(deliveries: int) -> float:
    """The rate of faults that so many deliveries without one exclude with 95 % confidence.

    A fault that strikes each delivery with probability p is missed in n deliveries with probability
    (1 − p)^n, so p above −ln(0.05)/n (about 3/n, the rule of three) is excluded.
    """
    return -log(0.05) / deliveries
