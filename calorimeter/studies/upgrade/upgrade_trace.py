"""The broker's trace of the old and of the new virtual host, while an upgrade goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.upgrade_record import EngineWork, LostStack, UpgradeRecord
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import BrokerProcess, hosts
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TOPICS = ("engine", "engine_worker")


def on_vhost(deployment: Deployment, vhost: str) -> Deployment:
    """The deployment as it is on another virtual host."""
    assert deployment.broker is not None
    return deployment.model_copy(update={"broker": deployment.broker.model_copy(update={"vhost": vhost})})


@dataclass(slots=True)
class _Traced:
    """The recording of one virtual host."""

    firehose: Firehose
    api: BrokerApi
    closing: ExitStack
    processes: dict[str, BrokerProcess] = field(default_factory=dict)
    hosts: dict[BrokerProcess, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VhostMessages:
    """The events of one virtual host until `ended_ns`, and the process at each of its connections."""

    vhost: str
    events: tuple[Delivery, ...]
    names: Mapping[str, str]
    ended_ns: int = 0


class UpgradeTrace:
    """The recordings of virtual hosts. `close` switches tracing off where it is still on."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._open: dict[str, _Traced] = {}
        self._done: list[VhostMessages] = []
        self.doubts: list[str] = []

    def close(self) -> None:
        """End all recordings."""
        for vhost in list(self._open):
            self.end(vhost)

    def begin(self, vhost: str) -> None:
        """Record a virtual host from now on; why it cannot be recorded is a doubt, no error."""
        if vhost in self._open:
            return
        if self._deployment.broker is None:
            self.doubts.append("the deployment file has no [broker]: nothing was traced")
            return
        there = on_vhost(self._deployment, vhost)
        with ExitStack() as closing:
            try:
                traced = closing.enter_context(tracing(there))
                firehose = closing.enter_context(Firehose(there, gaps=traced.gaps))
            except EvidenceUnavailable as problem:
                self.doubts.append(f"{vhost} was not traced: {problem}")
                return
            self._open[vhost] = _Traced(firehose, traced.api, closing.pop_all())
        self.look()

    def look(self) -> None:
        """Note which process is at each connection: connections come and go during an upgrade."""
        for traced in self._open.values():
            with suppress(EvidenceUnavailable):
                traced.processes |= traced.api.processes()
                traced.hosts |= hosts(traced.api.engine_consumers())

    def end(self, vhost: str) -> None:
        """End the recording of a virtual host, before it is removed."""
        traced = self._open.pop(vhost, None)
        if traced is None:
            return
        with suppress(EvidenceUnavailable):
            traced.firehose.settle()
        if traced.firehose.why_incomplete:
            self.doubts.append(f"{vhost}: {traced.firehose.why_incomplete}")
        events = traced.firehose.deliveries()
        names = {
            connection: traced.hosts.get(process, str(process))
            for connection, process in traced.processes.items()
        }
        self._done.append(VhostMessages(vhost, events, names, time.time_ns()))
        try:
            traced.closing.close()
        except EvidenceUnavailable as problem:
            self.doubts.append(f"{vhost}: {problem}")

    def messages(self) -> tuple[VhostMessages, ...]:
        """What was recorded, once all recordings have ended."""
        return tuple(self._done)


def lost_stacks(
    entries: Iterable[LostStack], recorded: Iterable[VhostMessages], record: UpgradeRecord
) -> Iterator[LostStack]:
    """The stacks with the last message of their request, and the step in which it was sent or delivered.

    The last message is one that was published and never delivered, if there is one; else the one delivered
    last. Replies are no messages of the work.
    """
    found, recorded = [*entries], [*recorded]
    ended = {each.vhost: each.ended_ns for each in recorded}
    ids = {entry.request_id for entry in found if entry.request_id}
    last = _last_messages(ids, recorded)
    for entry in found:
        message = last.get(entry.request_id)
        if message is None:
            yield entry
            continue
        at_ns = message.delivered_ns or message.published_ns
        step = record.step_at(at_ns)
        yield entry.model_copy(
            update={
                **{name: getattr(message, name) for name in _OF_MESSAGE},
                "step": str(step.planned) if step else "",
                "silent_s": round(max(0, ended[message.vhost] - at_ns) / 1e9, 3),
            }
        )


def engine_work(recorded: Iterable[VhostMessages]) -> Iterator[EngineWork]:
    """The messages that each engine got, counted by the second."""
    for each in recorded:
        counts: dict[str, Counter[int]] = {}
        for event in each.events:
            if event.kind == "deliver" and event.queue in TOPICS:
                engine = each.names.get(event.connection, event.connection)
                counts.setdefault(engine, Counter())[event.t_ns // 10**9] += 1
        for engine, seconds in sorted(counts.items()):
            yield EngineWork(engine=engine, vhost=each.vhost, seconds=dict(sorted(seconds.items())))


_OF_MESSAGE = ("vhost", "method", "queue", "resource_id", "published_ns", "delivered_ns", "engine")


def _last_messages(ids: Collection[str], recorded: Iterable[VhostMessages]) -> dict[str, LostStack]:
    """Request id → its last message; only the fields of `_OF_MESSAGE` say something."""
    last: dict[str, LostStack] = {}
    for each in recorded:
        messages: dict[str, dict[str, LostStack]] = {}
        for event in each.events:
            if event.reply or event.request_id not in ids or event.unique_id is None:
                continue
            assert event.request_id is not None
            known = messages.setdefault(event.request_id, {})
            known[event.unique_id] = _merged(known.get(event.unique_id), event, each)
        for request_id, some in messages.items():
            for message in some.values():
                before = last.get(request_id)
                if before is None or _order(message) > _order(before):
                    last[request_id] = message
    return last


def _order(message: LostStack) -> tuple[bool, int]:
    """A message that was never delivered is later than all others."""
    return not message.delivered_ns, message.delivered_ns or message.published_ns


def _merged(before: LostStack | None, event: Delivery, of: VhostMessages) -> LostStack:
    """One message from its events: published, and delivered."""
    known = before or LostStack(stack="", stack_id="", accepted_ns=0, vhost=of.vhost)
    more = {"method": event.method or known.method, "resource_id": event.resource_id or known.resource_id}
    if event.kind == "publish":
        queue = known.queue or ", ".join(event.routed or event.routing_keys)
        return known.model_copy(update={**more, "queue": queue, "published_ns": event.t_ns})
    engine = of.names.get(event.connection, event.connection)
    return known.model_copy(
        update={**more, "queue": event.queue, "delivered_ns": event.t_ns, "engine": engine}
    )
