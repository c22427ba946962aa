"""What the broker's trace says of calls and queues, while an experiment runs."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.liveness_watch import LivenessWatch
from calorimeter.gates.engines.queue_consumers import named
from calorimeter.gates.engines.rotation import Consumer
from calorimeter.gates.engines.shares import Shares
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import Connection, Process
from calorimeter.gates.evidence.firehose import Firehose, depth
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

QUIET_S = 1.0
"""A queue is quiet where it is empty and nothing was delivered from it for so long."""

QUIET_WITHIN_S = 30.0

CAUGHT_UP_WITHIN_S = 10.0
"""How long beyond `statistics_lag_s` the broker's counter is waited for: a machine that is starved of
processor time collects statistics later than it means to."""

LOOK_S = 0.5
STEADY = 3
"""Looks in a row that must be equal where the broker's counter moved although its queue was quiet."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """One queue while nothing went on, for so long that the broker's counters had caught up.

    `event` is the number of the next event of the trace, `counted` what the broker had counted as
    delivered from the queue (None where it counts nothing), `unquiet` why the queue was not quiet.
    """

    queue: str
    consumers: tuple[Consumer, ...]
    event: int
    counted: int | None
    unquiet: str | None


@dataclass(slots=True)
class Traced:
    """The firehose of both queues, and the names of all consumers that were seen since it was opened."""

    context: Context
    api: BrokerApi
    firehose: Firehose
    known: dict[str, str]
    vigil: LivenessWatch
    processes: dict[str, Process]

    def consumers(self, topic: str = ENGINE) -> tuple[Consumer, ...]:
        """The consumers of a topic now; their names are kept for what is traced."""
        settled = self.api.settled()
        self._note(settled[1])
        found = named(topic, *settled)
        self.known |= {consumer.id: consumer.name for consumer in found}
        return found

    def check(self) -> None:
        """Raise `EvidenceUnavailable`, which names it, where something that this rests on has gone."""
        self.vigil.check()

    def until(self, condition: Callable[[], bool], within_s: float, every_s: float = 0.1) -> bool:
        """Wait until `condition` holds; False where it did not within `within_s`. Raises as `check`."""
        deadline = time.monotonic() + within_s
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(every_s)
        return True

    def know(self, connections: Collection[str]) -> None:
        """Learn whose connections these are, as far as the broker still tells."""
        if unknown := {*connections} - {*self.processes}:
            self.processes |= self.api.processes(unknown)

    def _note(self, connections: Iterable[Connection]) -> None:
        self.processes |= {c.name: c.process for c in connections if c.process is not None}

    def deliveries(self, queue: str, since: int = 0) -> list[Delivery]:
        """What was delivered from a queue, from event number `since` on."""
        return [e for e in self.firehose.since(since) if e.kind == "deliver" and e.queue == queue]

    def engine_of(self, event: Delivery) -> str:
        """The name of the consumer that an event was delivered to."""
        id_ = consumer_of(event)
        return self.known.get(id_, id_)

    def attributed(self, calls: Iterable[HeatCall], since: int = 0) -> tuple[HeatCall, ...]:
        """The calls, each with the engines that its RPC was delivered to; the last is its engine."""
        handed: defaultdict[str | None, list[str]] = defaultdict(list)
        for event in self.deliveries(ENGINE, since):
            handed[event.request_id].append(self.engine_of(event))
        return tuple(_handed(call, handed[call.request_id] if call.request_id else []) for call in calls)

    def await_quiet(self, queues: Collection[str], within_s: float, quiet_s: float = QUIET_S) -> str | None:
        """Wait until the queues are empty and nothing is delivered; why they are not, or None."""
        deadline = time.monotonic() + within_s
        last, since, looked = -1, time.monotonic(), 0
        while time.monotonic() < deadline:
            self.check()
            events = self.firehose.since(looked)
            looked += len(events)
            if last == -1 or any(e.kind == "deliver" and e.queue in queues for e in events):
                last, since = looked, time.monotonic()
            if time.monotonic() - since >= quiet_s and not any(
                depth(self.context.deployment, queue)[0] for queue in queues
            ):
                return None
            time.sleep(0.1)
        return f"{' and '.join(queues)} did not become quiet within {within_s:g} s"

    def quiet(self, queue: str, since: Quiet | None = None) -> Quiet:
        """Wait until a queue is quiet and the broker's counters have caught up (`statistics_lag_s`).

        At the end of a window that began with `since` they have where they agree with the trace, at a
        beginning where they stand still; waited for at most `CAUGHT_UP_WITHIN_S`.
        """
        assert self.context.deployment.broker is not None
        lag_s = self.context.deployment.broker.statistics_lag_s
        unquiet = self.await_quiet([queue], QUIET_WITHIN_S + lag_s, lag_s)
        consumers = self.consumers(queue)
        try:
            self.firehose.settle()
        except EvidenceUnavailable as problem:
            unquiet = unquiet or problem.why
        event = len(self.firehose)
        return Quiet(
            queue=queue,
            consumers=consumers,
            event=event,
            counted=self._steady(queue) if since is None else self._agreed(since),
            unquiet=unquiet,
        )

    def _delivered(self, queue: str) -> int | None:
        record = self.api.queue(queue)
        return record.delivered if record else None

    def _steady(self, queue: str) -> int | None:
        """The broker's counter, once two looks are equal; where they are not, `STEADY` in a row."""
        looks: list[int | None] = []

        def steady() -> bool:
            looks.append(self._delivered(queue))
            return len(looks) > 1 and len({*looks[-STEADY:]}) == 1

        self.until(steady, CAUGHT_UP_WITHIN_S, LOOK_S)
        return looks[-1]

    def _agreed(self, start: Quiet) -> int | None:
        """The broker's counter, once it agrees with the trace or the queue is quiet no more."""
        traced = len(self.deliveries(start.queue, start.event))
        looks: list[int | None] = []

        def settled() -> bool:
            looks.append(self._delivered(start.queue))
            if start.counted is None or looks[-1] is None:
                return True
            agrees = looks[-1] - start.counted == traced
            return agrees or len(self.deliveries(start.queue, start.event)) != traced

        self.until(settled, CAUGHT_UP_WITHIN_S, LOOK_S)
        return looks[-1]

    def shares(self, start: Quiet, **more: object) -> Shares:
        """What each consumer of a queue had from one quiet point to the next, which is waited for."""
        end, queue = self.quiet(start.queue, start), start.queue
        events = self.firehose.since(start.event)[: end.event - start.event]
        got = [e for e in events if e.kind == "deliver" and e.queue == queue]
        return Shares.model_validate(
            {
                "queue": queue,
                "before": start.consumers,
                "after": end.consumers,
                "counts": dict(Counter(consumer_of(e) for e in got)),
                "redelivered": sum(e.redelivered for e in got),
                "published": sum(queue in e.routed for e in events if e.kind == "publish"),
                "busy_s": busy(events) if queue == ENGINE else {},
                "counted": counted(start, end),
                "incomplete": self.firehose.why_incomplete,
                "unquiet": start.unquiet or end.unquiet,
                **more,
            }
        )


def _handed(call: HeatCall, engines: Sequence[str]) -> HeatCall:
    return call.model_copy(update={"engine": engines[-1] if engines else None, "handed": tuple(engines)})


@contextmanager
def traced(
    context: Context, queues: Sequence[str] = (ENGINE, WORKER), *, publishes: bool = True
) -> Iterator[Traced]:
    """Trace queues of the engines (publishes and replies too), and watch whether anybody goes away."""
    deployment = context.deployment
    with tracing(deployment) as api, Firehose(deployment, queues, publishes=publishes) as firehose:
        settled = api.settled()
        names = {c.id: c.name for topic in (ENGINE, WORKER) for c in named(topic, *settled)}
        processes = {c.name: c.process for c in settled[1] if c.process is not None}
        with LivenessWatch(deployment, firehose, names) as vigil:
            yield Traced(context, api, firehose, names, vigil, processes)


def counted(start: Quiet, end: Quiet) -> int | None:
    """What the broker itself counted as delivered from one quiet point to the other."""
    if start.counted is None or end.counted is None:
        return None
    return end.counted - start.counted


def answered(calls: Sequence[HeatCall]) -> dict[str, object]:
    """How many calls there were and how many failed, for `Shares`."""
    bad = [call for call in calls if not call.ok]
    return {"calls": len(calls), "failed_calls": len(bad), "first_failed": str(bad[0]) if bad else ""}


def consumer_of(event: Delivery) -> str:
    """The id of the consumer that an event was delivered to."""
    return f"{event.connection}#{event.channel}"


def busy(events: Iterable[Delivery]) -> dict[str, float]:
    """Consumer → seconds from the delivery of calls to their replies, summed."""
    handed: dict[str, tuple[str, int]] = {}
    spent: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if event.msg_id is None:
            continue
        if event.kind == "deliver" and event.queue == ENGINE:
            handed[event.msg_id] = (consumer_of(event), event.t_ns)
        elif event.kind == "publish" and event.reply and event.msg_id in handed:
            who, at = handed.pop(event.msg_id)
            spent[who] += (event.t_ns - at) / 1e9
    return dict(spent)
