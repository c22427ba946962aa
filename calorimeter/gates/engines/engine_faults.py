"""One engine, or all, stopped, crashed or frozen under a stream of calls, and brought back."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from calorimeter.core.faults.schedule import Commands, commands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient, Stream
from calorimeter.gates.clients.stacks import Stacks, stacks
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.queue_consumers import host, see_fit
from calorimeter.gates.engines.traced_calls import Traced, answered, traced
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing

EVERY_S = 0.2
"""Pace of the stream: five calls a second."""

ALONE_S = 0.5
"""Pace of the requests that show how slow the API itself is meanwhile."""

BEFORE_S = 2.0
STEADY_S = 30.0
MOST_OPEN = 3
"""Calls that may be open before a fault: one an engine of a usual deployment."""

AFTER_S = 2.0
UNHEARD = 3
"""RabbitMQ gives a connection up between two and three heartbeats after the last that it heard from it."""

BACK_S = 90.0
FINAL_S = 60.0
SHARE_ROUNDS = 20
"""Rounds of calls from which the share of an engine that joined is told."""

STACKS, RESOURCES = 6, 4


def engine_commands(context: Context, fault: str) -> list[Commands]:
    """The commands for a fault of each engine, in the order of the file; `EvidenceUnavailable`: none."""
    context.engines  # noqa: B018 - says so where no engines are described
    found = [c for p in context.deployment.parts if p.kind == "engine" and (c := commands(p, fault))]
    if not found:
        raise EvidenceUnavailable(
            str(context.deployment.path), f"no engine's owner gives commands for {fault!r} and its end"
        )
    return found


def see_breakable(watching: Traced, chosen: Sequence[Commands]) -> None:
    """See that a fault of engines can be judged, before it: they are fit, and their consumers can be told.

    Raises `EvidenceUnavailable`, as `see_fit`, or where on `engine_worker` their going could not be told
    from others'.
    """
    see_fit(watching.api, chosen)
    hosts = {host(consumer.name) for consumer in watching.consumers(WORKER)}
    if blind := [each.part for each in chosen if each.part not in hosts]:
        raise EvidenceUnavailable(
            watching.api.where,
            f"which consumers of {WORKER} are those of {', '.join(blind)} cannot be told: engines that "
            "share an address must not share a process id",
        )


class EngineFaultRun:
    """One trial: a stream of calls, a fault, its end."""

    def __init__(
        self, context: Context, watching: Traced, client: HeatClient, chosen: list[Commands]
    ) -> None:
        self.context = context
        self.watching = watching
        self.client = client
        self.chosen = chosen
        see_breakable(watching, chosen)
        self.before = watching.consumers(ENGINE)
        hosts = [each.part for each in chosen]
        self.engines = tuple(c.name for c in self.before if host(c.name) in hosts)
        self._broken_ids = {c.id for c in self.before if c.name in self.engines}
        self.broken: list[CommandResult] = []
        self.noticed_ns = 0
        self.healing_ns = self.healed_ns = 0
        self._new: set[str] = set()

    def together(self, act: Callable[[Commands], CommandResult]) -> list[CommandResult]:
        """Do the same to all chosen engines at once."""
        with ThreadPoolExecutor(len(self.chosen)) as pool:
            return list(pool.map(partial(carried_out, act), self.chosen))

    def await_steady(self, stream: Stream) -> None:
        """Wait until calls are answered as they come: what they meet later is then the fault's doing."""
        time.sleep(BEFORE_S)
        if not self.watching.until(lambda: stream.open <= MOST_OPEN and _answered(stream), STEADY_S):
            raise EvidenceUnavailable(
                self.context.deployment.rest.url,
                f"lags at {1 / EVERY_S:g} calls a second, before any fault: {stream.open} are open",
            )

    def inject(self) -> None:
        """Bring the fault about, and look whether the broker notices, for a moment."""
        self.watching.vigil.spare(self.engines)
        self.broken = self.together(self.context.injector.inject)
        self.look()

    def look(self) -> bool:
        """Whether the broker no longer has the broken engines' consumers; when is kept."""
        # By id: what a supervisor has started anew, with the same process id in a container, is another.
        if not self.noticed_ns and not {c.id for c in self.watching.consumers(ENGINE)} & self._broken_ids:
            self.noticed_ns = time.time_ns()
        return bool(self.noticed_ns)

    def heal(self) -> None:
        """End the fault, and wait until the queue has as many consumers as before."""
        self.look()
        self.healing_ns = time.time_ns()
        self.together(self.context.injector.heal)
        if self.watching.until(lambda: len(self.watching.consumers(ENGINE)) == len(self.before), BACK_S):
            self.healed_ns = time.time_ns()
            self._new = {c.id for c in self.watching.consumers(ENGINE)} - {c.id for c in self.before}

    @property
    def returned(self) -> tuple[str, ...]:
        """The engines that were started anew, by the names that calls have: their consumers are new.

        One that was frozen is none, though its connection may be new. In a container the name may be the
        same as before, process id and all.
        """
        if self.chosen[0].fault == "freeze":
            return ()
        return tuple(sorted({self.watching.known.get(id_, id_) for id_ in self._new}))

    def heartbeat_s(self) -> int | None:
        """AMQP's heartbeat of the engines to be broken, the longest; None where not all have one."""
        connections = {id_.rpartition("#")[0] for id_ in self._broken_ids}
        agreed = {c.name: c.heartbeat_s for c in self.watching.api.connections()}
        found = [agreed.get(name) or 0 for name in connections]
        return max(found) if found and all(found) else None

    def await_serving(self, stream: Stream) -> None:
        """Wait until every consumer that returned has answered a call, at most for the RPC timeout.

        By then nothing of the outage waits any more: what was sent during it has expired.
        """
        within_s = self.context.deployment.expect.rpc_timeout_s
        self.watching.until(lambda: {*self.returned} <= self._answering(stream), within_s, 0.5)

    def _answering(self, stream: Stream) -> set[str | None]:
        """Who answered calls well that were sent after the fault."""
        after = [call for call in stream.calls() if call.ok and call.sent_ns > self.healing_ns]
        return {call.engine for call in self.watching.attributed(after)}

    def answers(self, stream: Stream) -> bool:
        """Whether a call that was sent after the fault was answered well by one that had been broken."""
        return bool({*self.engines} & self._answering(stream))

    def trial(
        self, stream: Stream, made: Stacks | None = None, alone: Iterable[HeatCall] = (), **more: object
    ) -> EngineTrial:
        """The evidence of it; the stream must have ended.

        `alone` are requests of the same time that the API refuses by itself.
        """
        self.watching.check()
        self.watching.firehose.settle()
        events = self.watching.firehose.deliveries()
        broken_ns = min(done.at_ns or done.began_ns for done in self.broken)
        calls = self.watching.attributed(stream.calls())
        most, unmarked = _repeated(events)
        return EngineTrial.model_validate(
            {
                "fault": self.chosen[0].fault,
                "parts": tuple(each.part for each in self.chosen),
                "engines": self.engines,
                "consumers": len(self.before),
                "broken_ns": broken_ns,
                "settled_ns": max(done.ended_ns for done in self.broken),
                "healing_ns": self.healing_ns,
                "healed_ns": self.healed_ns,
                "noticed_ns": self.noticed_ns,
                "first_ns": self._first(events),
                "rpc_timeout_s": self.context.deployment.expect.rpc_timeout_s,
                "proxy_timeout_s": self.context.deployment.expect.timeout_server_s,
                "returned": self.returned,
                "late_s": round(stream.late_s, 3),
                "api_s": max(
                    without_fault_s(calls, self.engines, broken_ns, self.healed_ns), alone_s(alone)
                ),
                "calls": calls,
                "stacks": made.entries if made else (),
                "most_deliveries": most,
                "unmarked": unmarked,
                "incomplete": self.watching.firehose.why_incomplete,
                **more,
            }
        )

    def _first(self, events: Iterable[Delivery]) -> int:
        hosts = {each.part for each in self.chosen}
        return next(
            (
                e.t_ns for e in events
                if e.kind == "deliver" and e.queue == ENGINE and e.t_ns > self.healing_ns
                and host(self.watching.engine_of(e)) in hosts
            ),
            0,
        )  # fmt: skip


def without_fault_s(
    calls: Iterable[HeatCall], broken: Collection[str], broken_ns: int, healed_ns: int
) -> float:
    """The longest that a call took before the fault; where there was none, after it, by another engine.

    What a thawed or restarted engine answers may have been queued behind its backlog.
    """
    good = [call for call in calls if call.ok]
    before = [call.took_s for call in good if call.done_ns < broken_ns]
    after = [c.took_s for c in good if c.sent_ns > healed_ns > 0 and c.engine not in broken]
    return max(before or after, default=0.0)


def alone_s(calls: Iterable[HeatCall]) -> float:
    """The longest that the API took for what it refuses by itself: so slow it was without any engine."""
    return max((call.took_s for call in calls if call.status == HTTPStatus.BAD_REQUEST), default=0.0)


def _repeated(events: Iterable[Delivery]) -> tuple[int, int]:
    """The most deliveries of one message, and how many were repeated without the broker's mark."""
    handed: Counter[tuple[str, str]] = Counter()
    unmarked = 0
    for event in events:
        if event.kind == "deliver" and event.unique_id:
            key = (event.queue, event.unique_id)
            handed[key] += 1
            unmarked += handed[key] > 1 and not event.redelivered
    return max(handed.values(), default=0), unmarked


def restarted(context: Context) -> EngineTrial:
    """Stop the last engine cleanly under load and start it again; for E9 and E5."""
    return context.once("engine-restarted", lambda: _restarted(context))


def _restarted(context: Context) -> EngineTrial:
    client = HeatClient(context)
    chosen = engine_commands(context, "stop")[-1:]
    with traced(context) as watching, stacks(client, RESOURCES, watching.check) as made:
        trying = EngineFaultRun(context, watching, client, chosen)
        # Within the stream: the calls that are still open find all alive, too.
        with Stream(client.look, EVERY_S) as stream, healing(context):
            trying.await_steady(stream)
            made.burst(STACKS)
            trying.inject()
            watching.until(trying.look, BACK_S)
            made.await_final(FINAL_S)
            watching.until(lambda: len(stream.calls()) > 0 and _enough(stream, trying), FINAL_S)
            trying.heal()
            trying.await_serving(stream)
            # The first call comes in its turn, at most one round later.
            time.sleep(AFTER_S)
        start = watching.quiet(ENGINE)
        calls = [client.look() for _ in range(SHARE_ROUNDS * len(start.consumers))]
        after = watching.shares(start, **answered(calls))
        made.delete_all()
        return trying.trial(stream, made, after=after)


def _answered(stream: Stream) -> bool:
    return sum(call.ok for call in stream.calls()) >= 10


def _enough(stream: Stream, trying: EngineFaultRun) -> bool:
    began = min(done.ended_ns for done in trying.broken)
    return sum(call.sent_ns > began for call in stream.calls()) >= 10


def crashed(context: Context) -> EngineTrial:
    """Kill the last engine under load and start it again; for E6."""
    client = HeatClient(context)
    chosen = engine_commands(context, "kill")[-1:]
    with traced(context) as watching:
        trying = EngineFaultRun(context, watching, client, chosen)
        with Stream(client.look, EVERY_S) as stream, healing(context):
            trying.await_steady(stream)
            trying.inject()
            watching.until(trying.look, BACK_S)
            watching.until(lambda: _enough(stream, trying), FINAL_S)
            trying.heal()
            trying.await_serving(stream)
            time.sleep(AFTER_S)
        return trying.trial(stream)


def frozen(context: Context) -> EngineTrial:
    """Freeze the last engine until calls to it have failed, and thaw it; for E7.

    Where AMQP's heartbeat promises that the broker notices within the context's `notice` seconds it stays
    frozen for as long as that.
    """
    client = HeatClient(context)
    chosen = engine_commands(context, "freeze")[-1:]
    rpc_s = context.deployment.expect.rpc_timeout_s
    with traced(context) as watching:
        trying = EngineFaultRun(context, watching, client, chosen)
        with (
            Stream(client.look, EVERY_S) as stream,
            Stream(client.refuse, ALONE_S) as alone,
            healing(context),
        ):
            trying.await_steady(stream)
            trying.inject()
            heartbeat_s = trying.heartbeat_s()
            # A frozen consumer's first call is at most one round away; it fails an RPC timeout later.
            frozen_s = max(rpc_s + AFTER_S, noticing_s(heartbeat_s, context.settings.notice))
            watching.until(trying.look, frozen_s, 1.0)
            # Those that it had are handed to others now, and answered.
            if trying.noticed_ns:
                time.sleep(AFTER_S)
            trying.heal()
            time.sleep(AFTER_S)
            watching.until(lambda: trying.answers(stream), BACK_S, 0.5)
        return trying.trial(stream, alone=alone.calls(), heartbeat_s=heartbeat_s)


def noticing_s(heartbeat_s: int | None, most_s: float) -> float:
    """How long until the broker must have noticed; 0 where that is more than `most_s`, or never."""
    longest = UNHEARD * heartbeat_s + AFTER_S if heartbeat_s else math.inf
    return longest if longest <= most_s else 0.0


def all_gone(context: Context) -> EngineTrial:
    """Kill every engine until calls have failed, and start them all; for E8."""
    client = HeatClient(context)
    chosen = engine_commands(context, "kill")
    if len(chosen) < len(context.engines.names):
        raise EvidenceUnavailable(
            str(context.deployment.path), "not every engine can be killed and started"
        )
    rpc_s = context.deployment.expect.rpc_timeout_s
    with traced(context) as watching:
        trying = EngineFaultRun(context, watching, client, chosen)
        with (
            Stream(client.look, EVERY_S) as stream,
            Stream(client.refuse, ALONE_S) as alone,
            healing(context),
        ):
            trying.await_steady(stream)
            trying.inject()
            seen = time.time_ns()
            within_s = rpc_s + 3 * AFTER_S
            watching.until(lambda: any(c.sent_ns > seen and not c.ok for c in stream.calls()), within_s)
            trying.heal()
            trying.await_serving(stream)
            time.sleep(AFTER_S)
        return trying.trial(stream, alone=alone.calls())
