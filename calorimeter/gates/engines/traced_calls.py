"""What the broker's trace shows of calls and queues while an experiment runs."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from calorimeter.core import waiting
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.liveness_watch import LivenessWatch
from calorimeter.gates.engines.queue_consumers import name_consumers
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.engines.struck_engines import host_of
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.evidence.firehose import Firehose, depth
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

QUIET_S = 1.0
"""A queue is quiet when it is empty and nothing was delivered from it for this long."""

QUIET_WITHIN_S = 30.0

CAUGHT_UP_WITHIN_S = 10.0
"""How long beyond `statistics_lag_s` to wait for the broker's counter: a broker that is starved of
processor time collects its statistics late."""

POLL_S = 0.5
STEADY = 3
"""Consecutive polls that must be equal if the broker's counter moved although its queue was quiet."""


@dataclass(frozen=True, slots=True)
class QuietPoint:
    """One queue while nothing was in progress, long enough for the broker's counters to catch up.

    `event` is the number of the next event of the trace, `counted` the broker's count of deliveries from
    the queue (None without statistics), `unquiet` why the queue was not quiet after all.
    """

    queue: str
    consumers: tuple[QueueConsumer, ...]
    event: int
    counted: int | None
    unquiet: str | None


@dataclass(slots=True)
class BrokerTrace:
    """The firehose of both queues, and the names of all consumers seen since it was opened.

    `known` maps consumer ids to names, `processes` connection names to processes.
    """

    context: Context
    api: BrokerApi
    firehose: Firehose
    known: dict[str, str]
    liveness: LivenessWatch
    processes: dict[str, BrokerProcess]

    def consumers(self, topic: str = ENGINE) -> tuple[QueueConsumer, ...]:
        """The consumers of a topic now; their names are kept for traced deliveries.

        A consumer keeps its name when another process of its host has the same id (see `name_consumers`).
        """
        settled = self.api.settled()
        self.processes |= {c.name: c.process for c in settled[1] if c.process is not None}
        found = name_consumers(topic, *settled)
        renamed = (c for c in found if host_of(self.known.get(c.id, "")) != host_of(c.name))
        self.known |= {consumer.id: consumer.name for consumer in renamed}
        return tuple(QueueConsumer(id=c.id, name=self.known[c.id]) for c in found)

    def check(self) -> None:
        """Raise `EvidenceUnavailable` if a part that the experiment depends on has gone away."""
        self.liveness.check()

    def until(self, condition: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
        """Wait until `condition` holds; False if it does not within `within_s`. Raises as `check`."""

        def holds() -> bool:
            if condition():
                return True
            self.check()
            return False

        try:
            return waiting.until(holds, within_s, every_s=every_s)
        except waiting.DeadlineError:
            return False

    def learn_processes(self, connections: Collection[str]) -> None:
        """Ask the broker for the processes of these connections, as far as it still lists them."""
        if unknown := {*connections} - {*self.processes}:
            self.processes |= self.api.processes(unknown)

    def deliveries(self, queue: str, since: int = 0) -> list[Delivery]:
        """The deliveries from a queue, from event number `since` on."""
        return [e for e in self.firehose.since(since) if e.kind == "deliver" and e.queue == queue]

    def engine_of(self, event: Delivery) -> str:
        """The name of the consumer of a delivery."""
        id_ = consumer_of(event)
        return self.known.get(id_, id_)

    def attributed(self, calls: Iterable[HeatCall], since: int = 0) -> tuple[HeatCall, ...]:
        """The calls, each with the engines that its RPC was delivered to; `engine` is the last of them."""
        handed: defaultdict[str, list[str]] = defaultdict(list)
        for event in self.deliveries(ENGINE, since):
            if event.request_id:
                handed[event.request_id].append(self.engine_of(event))

        def attribute(call: HeatCall) -> HeatCall:
            engines = handed.get(call.request_id or "", [])
            update = {"engine": engines[-1] if engines else None, "handed": tuple(engines)}
            return call.model_copy(update=update)

        return tuple(attribute(call) for call in calls)

    def await_quiet(self, queues: Collection[str], within_s: float, quiet_s: float = QUIET_S) -> str | None:
        """Wait until the queues are empty and nothing is delivered; the reason if they are not."""
        seen, since = len(self.firehose), time.monotonic()

        def quiet() -> bool:
            nonlocal seen, since
            events = self.firehose.since(seen)
            seen += len(events)
            if any(e.kind == "deliver" and e.queue in queues for e in events):
                since = time.monotonic()
            return time.monotonic() - since >= quiet_s and not any(
                depth(self.context.deployment, queue)[0] for queue in queues
            )

        if self.until(quiet, within_s):
            return None
        return f"{' and '.join(queues)} did not become quiet within {within_s:g} s"

    def quiet_point(self, queue: str, since: QuietPoint | None = None) -> QuietPoint:
        """Wait until a queue is quiet and the broker's counters have caught up (`statistics_lag_s`).

        At the end of a window that began at `since`, counters have caught up when they agree with the
        trace; at its beginning, when they no longer change. The wait is bounded by `CAUGHT_UP_WITHIN_S`.
        """
        lag_s = self.context.broker.statistics_lag_s
        unquiet = self.await_quiet([queue], QUIET_WITHIN_S + lag_s, lag_s)
        consumers = self.consumers(queue)
        try:
            self.firehose.settle()
        except EvidenceUnavailable as problem:
            unquiet = unquiet or problem.why
        event = len(self.firehose)
        return QuietPoint(
            queue=queue,
            consumers=consumers,
            event=event,
            counted=self._steady_count(queue) if since is None else self._agreed_count(since),
            unquiet=unquiet,
        )

    def _poll_count(self, queue: str, caught_up: Callable[[list[int | None]], bool]) -> int | None:
        """The broker's count of deliveries, polled until `caught_up(counts so far)`."""
        counts: list[int | None] = []

        def poll() -> bool:
            record = self.api.queue(queue)
            counts.append(record.delivered if record else None)
            return caught_up(counts)

        self.until(poll, CAUGHT_UP_WITHIN_S, POLL_S)
        return counts[-1]

    def _steady_count(self, queue: str) -> int | None:
        """The broker's count once the first two polls are equal, or `STEADY` consecutive later ones."""
        return self._poll_count(queue, lambda counts: len(counts) > 1 and len({*counts[-STEADY:]}) == 1)

    def _agreed_count(self, start: QuietPoint) -> int | None:
        """The broker's count once it agrees with the trace, or once the queue is no longer quiet."""
        traced = len(self.deliveries(start.queue, start.event))

        def agreed(counts: list[int | None]) -> bool:
            if start.counted is None or counts[-1] is None:
                return True
            agrees = counts[-1] - start.counted == traced
            return agrees or len(self.deliveries(start.queue, start.event)) != traced

        return self._poll_count(start.queue, agreed)

    def shares(self, start: QuietPoint, **more: object) -> QueueShares:
        """Each consumer's deliveries from quiet point `start` to the next one, which is awaited."""
        end, queue = self.quiet_point(start.queue, start), start.queue
        events = self.firehose.since(start.event)[: end.event - start.event]
        delivered = [e for e in events if e.kind == "deliver" and e.queue == queue]
        return QueueShares.model_validate(
            {
                "queue": queue,
                "before": start.consumers,
                "after": end.consumers,
                "counts": dict(Counter(consumer_of(e) for e in delivered)),
                "redelivered": sum(e.redelivered for e in delivered),
                "published": sum(queue in e.routed for e in events if e.kind == "publish"),
                "busy_s": busy_seconds(events) if queue == ENGINE else {},
                "counted": counted_between(start, end),
                "incomplete": self.firehose.why_incomplete,
                "unquiet": start.unquiet or end.unquiet,
                **more,
            }
        )


@contextmanager
def trace_broker(
    context: Context, queues: Sequence[str] = (ENGINE, WORKER), *, publishes: bool = True
) -> Iterator[BrokerTrace]:
    """Trace deliveries from these queues (and publishes and replies), and watch that no part goes away."""
    deployment = context.deployment
    with (
        tracing(deployment) as traced,
        Firehose(deployment, queues, publishes=publishes, gaps=traced.gaps) as firehose,
    ):
        api = traced.api
        settled = api.settled()
        names = {c.id: c.name for topic in (ENGINE, WORKER) for c in name_consumers(topic, *settled)}
        processes = {c.name: c.process for c in settled[1] if c.process is not None}
        with LivenessWatch(deployment, firehose, names) as liveness:
            yield BrokerTrace(context, api, firehose, names, liveness, processes)


def counted_between(start: QuietPoint, end: QuietPoint) -> int | None:
    """The broker's own count of deliveries between two quiet points; None without statistics."""
    if start.counted is None or end.counted is None:
        return None
    return end.counted - start.counted


def call_counts(calls: Sequence[HeatCall]) -> dict[str, object]:
    """How many calls there were and how many failed, as fields of `QueueShares`."""
    bad = [call for call in calls if not call.ok]
    return {"calls": len(calls), "failed_calls": len(bad), "first_failed": str(bad[0]) if bad else ""}


def consumer_of(event: Delivery) -> str:
    """The id of the consumer of a delivery (`connection#channel`)."""
    return f"{event.connection}#{event.channel}"


def busy_seconds(events: Iterable[Delivery]) -> dict[str, float]:
    """Consumer → seconds from the delivery of calls to their replies, summed."""
    open_: dict[str, tuple[str, int]] = {}
    spent: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if event.msg_id is None:
            continue
        if event.kind == "deliver" and event.queue == ENGINE:
            open_[event.msg_id] = (consumer_of(event), event.t_ns)
        elif event.kind == "publish" and event.reply and event.msg_id in open_:
            consumer, at_ns = open_.pop(event.msg_id)
            spent[consumer] += (event.t_ns - at_ns) / 1e9
    return dict(spent)
