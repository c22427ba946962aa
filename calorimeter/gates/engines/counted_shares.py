"""Shares of calls from the broker's own counters, where the broker cannot be traced (E4)."""

from __future__ import annotations

from calorimeter.core import waiting
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.evidence import broker_metrics
from calorimeter.gates.evidence.firehose import depth

POLL_S = 1.0
STEADY = 3
"""Consecutive polls that must be equal: a channel reports its counters every few seconds."""


class CountedWindow:
    """The deliveries from the queue `engine` between two moments at which nothing was in progress."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._consumers = depth(context.deployment, ENGINE)[1]
        self._before, self._unquiet = self._steady()

    def shares(self, calls: list[HeatCall], in_flight: int, counts: dict[str, object]) -> QueueShares:
        """The deliveries until now, when the calls have been answered.

        A consumer is a channel; one that had no delivery is not listed, and counts with none.
        """
        after, unquiet = self._steady()
        had = {channel: count - self._before.get(channel, 0) for channel, count in after.items()}
        total = sum(had.values())
        if self._before.keys() - after.keys():
            unquiet = "a channel of a consumer was closed during the calls"
        elif total < len(calls):
            unquiet = f"{total} deliveries from {ENGINE} were counted for {len(calls)} calls"
        now = depth(self._context.deployment, ENGINE)[1]
        return QueueShares.model_validate(
            {
                "queue": ENGINE,
                "before": _consumers(had, self._consumers),
                "after": _consumers(had, now),
                "counts": {channel: count for channel, count in had.items() if count},
                "unquiet": self._unquiet or unquiet,
                "in_flight": in_flight,
                **counts,
            }
        )

    def _steady(self) -> tuple[dict[str, int], str | None]:
        """The counters once they no longer change, and why they still do if they do."""
        seen: list[dict[str, int]] = []

        def steady() -> bool:
            seen.append(broker_metrics.delivered(self._context.deployment, ENGINE))
            return len(seen) >= STEADY and all(each == seen[-1] for each in seen[-STEADY:])

        lag_s = self._context.broker.statistics_lag_s
        if waiting.poll(steady, 30.0 + 2 * lag_s, every_s=max(POLL_S, lag_s / (STEADY - 1))):
            return seen[-1], None
        return seen[-1], f"the counters of {ENGINE} did not stop changing: there are other clients"


def _consumers(had: dict[str, int], number: int) -> tuple[QueueConsumer, ...]:
    """The channels of the consumers; those without a delivery have no name."""
    names = [channel for channel, count in had.items() if count]
    names += [f"without a delivery {n}" for n in range(1, number - len(names) + 1)]
    return tuple(QueueConsumer(id=name, name=name) for name in sorted(names))
