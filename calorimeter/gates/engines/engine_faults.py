"""The experiments of E5 to E9: one engine, or all, stopped, crashed or frozen under calls, and healed."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus

from calorimeter.core import engine_groups
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import CallStream, HeatClient
from calorimeter.gates.clients.stacks import Stacks, temporary_stacks
from calorimeter.gates.context import Context, shared
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.engine_trial import GRAIN_S, EngineTrial
from calorimeter.gates.engines.fault_targets import fault_targets
from calorimeter.gates.engines.struck_engines import silent_consumers
from calorimeter.gates.engines.traced_calls import (
    BrokerTrace,
    call_counts,
    consumer_of,
    trace_broker,
)
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing

EVERY_S = 0.2
"""Interval of the stream: five calls per second."""

REFUSED_EVERY_S = 0.5
"""Interval of the requests that show how slow the API itself is during the trial."""

BEFORE_S = 2.0
STEADY_S = 30.0
MOST_OPEN = 3
"""Calls that may be open before a fault: one for each engine of a usual deployment."""

AFTER_S = 2.0
ENOUGH_CALLS = 10
MISSED_HEARTBEATS = 3
"""RabbitMQ closes a connection two to three heartbeats after it last received data on it."""

BACK_S = 90.0
FINAL_S = 60.0
SHARE_ROUNDS = 20
"""Rounds of calls that determine the share of an engine that joined."""

STACKS, RESOURCES = 6, 4


def engine_commands(context: Context, fault: str) -> list[FaultCommands]:
    """The commands for a fault of each engine, in the order of the deployment file.

    Raises `EvidenceUnavailable` if commands are missing, or no engines are described.
    """
    context.engines  # noqa: B018 - raises if no engines are described
    found = [c for p in context.deployment.parts if p.kind == "engine" and (c := commands(p, fault))]
    if not found:
        raise EvidenceUnavailable(
            str(context.deployment.path), f"has no [[parts]] of kind 'engine' with commands for {fault!r}"
        )
    return found


class EngineFaultRun:
    """One trial: a stream of calls, a fault of the `chosen` engines, its end."""

    def __init__(
        self, context: Context, trace: BrokerTrace, client: HeatClient, chosen: list[FaultCommands]
    ) -> None:
        self.context = context
        self.trace = trace
        self.chosen = chosen
        self.targets = fault_targets(context, trace, chosen)
        self.before = trace.consumers(ENGINE)
        self.stream = CallStream(client.list_stacks, EVERY_S)
        self.refused = CallStream(client.list_refused, REFUSED_EVERY_S)
        self.steady_ns = self.noticed_ns = 0
        self.healing_ns = self.healed_ns = 0
        self._gone: tuple[str, ...] = ()
        self._broken: list[CommandResult] = []
        self._new_ids: set[str] = set()

    @contextmanager
    def under_calls(self, *, refused: bool = False) -> Iterator[None]:
        """Send calls at a fixed pace while the context is open, and first wait until they are answered.

        The trial counts the calls of the first `ENOUGH_CALLS` in a row that were answered well, and later
        ones: the first seconds of an API are not the fault's. With `refused`, requests that the API refuses
        on its own are sent too. Every fault is healed when the context is left, before the calls end: those
        still open then find all engines alive.
        """
        with ExitStack() as stack:
            stack.enter_context(self.stream)
            if refused:
                stack.enter_context(self.refused)
            stack.enter_context(healing(self.context))
            self._await_steady()
            yield

    def _await_steady(self) -> None:
        time.sleep(BEFORE_S)

        def steady() -> bool:
            self.steady_ns = self.stream.content_since_ns(ENOUGH_CALLS, MOST_OPEN)
            return bool(self.steady_ns)

        if not self.trace.until(steady, STEADY_S):
            ended, still_open = self.stream.calls(), self.stream.open
            raise EvidenceUnavailable(
                self.context.deployment.rest.url,
                f"did not answer {ENOUGH_CALLS} calls in a row, at {1 / EVERY_S:g} per second, without a "
                f"fault: {sum(not call.ok for call in ended)} of {len(ended)} failed, {still_open} open",
            )

    def calls(self) -> tuple[HeatCall, ...]:
        """The calls that have ended, sent since the deployment was steady: earlier ones prove nothing."""
        return tuple(call for call in self.stream.calls() if call.sent_ns >= self.steady_ns)

    def _on_all(self, act: Callable[[FaultCommands], CommandResult]) -> list[CommandResult]:
        """Do the same to all chosen engines at once."""
        with ThreadPoolExecutor(len(self.chosen)) as pool:
            return list(pool.map(partial(carried_out, act), self.chosen))

    @property
    def _what(self) -> str:
        return f"{', '.join(each.part for each in self.chosen)} {self.chosen[0].fault}"

    def inject(self) -> None:
        """Inject the fault into all chosen engines."""
        self.context.say(self._what)
        self.trace.liveness.exclude(self.targets.names)
        self._broken = self._on_all(self.context.injector.inject)
        self.noticed()

    def noticed(self) -> bool:
        """Whether the broker has dropped whole engines, as many as were broken; the first time is kept."""
        if not self.noticed_ns and self.targets.whole(self.targets.gone()):
            self.noticed_ns = time.time_ns()
        return bool(self.noticed_ns)

    @property
    def broken_ns(self) -> int:
        """When the fault took effect."""
        return min(done.at_ns or done.began_ns for done in self._broken)

    def struck(self) -> tuple[str, ...]:
        """The names of the consumers that went away before the healing began.

        A frozen engine's consumers may stay: they are struck if they answer nothing more
        (`silent_consumers`).
        """
        if self.chosen[0].fault != "freeze":
            return self._gone
        calls = self.trace.attributed(self.calls())
        usual_s = longest_undisturbed_s(calls, self.targets.names, self.broken_ns, 0)
        patience_s = min(self.context.deployment.expect.rpc_timeout_s, usual_s + GRAIN_S)
        silent = silent_consumers(calls, self.targets.names, self.broken_ns, self.healing_ns, patience_s)
        return tuple(name for name in self.targets.names if name in {*self._gone, *silent})

    def enough_calls(self) -> bool:
        """Whether enough calls that were sent during the fault have ended."""
        began_ns = min(done.ended_ns for done in self._broken)
        return sum(call.sent_ns > began_ns for call in self.calls()) >= ENOUGH_CALLS

    def heal(self) -> None:
        """End the fault, and wait until the queue has as many consumers as before."""
        self.noticed()
        self.context.say(f"healing {self._what}")
        self._gone = self.targets.gone()
        self.healing_ns = time.time_ns()
        self._on_all(self.context.injector.heal)
        if self.noticed_ns:  # only then it is known which engines were not struck
            self.trace.liveness.exclude(self.struck())
        if self.trace.until(lambda: len(self.trace.consumers(ENGINE)) == len(self.before), BACK_S):
            self.healed_ns = time.time_ns()
            self._new_ids = {c.id for c in self.trace.consumers(ENGINE)} - {c.id for c in self.before}

    def heal_and_await_service(self) -> None:
        """As `heal`; then wait until every returned consumer has answered a call, and `AFTER_S` more.

        The wait is bounded by the RPC timeout: by then every message of the outage has expired. An engine
        that answered gets its next call within one round.
        """
        self.heal()
        within_s = self.context.deployment.expect.rpc_timeout_s
        self.trace.until(lambda: {*self.returned} <= self._answering(), within_s, 0.5)
        time.sleep(AFTER_S)

    @property
    def returned(self) -> tuple[str, ...]:
        """The names of the restarted engines, whose consumers are new; empty after a freeze.

        A thawed engine was not restarted, though its connection may be new. A restarted engine in a
        container may have its old name, process id included.
        """
        if self.chosen[0].fault == "freeze":
            return ()
        return tuple(sorted({self.trace.known.get(id_, id_) for id_ in self._new_ids}))

    def heartbeat_s(self) -> int | None:
        """The longest AMQP heartbeat of the engines that may be struck; None unless all have one."""
        connections = {consumer.id.rpartition("#")[0] for consumer in self.targets.consumers}
        agreed = {c.name: c.heartbeat_s for c in self.trace.api.connections()}
        found = [agreed.get(name) or 0 for name in connections]
        return max(found) if found and all(found) else None

    def _answering(self) -> set[str | None]:
        """The engines that answered calls sent after the healing began."""
        after = [call for call in self.calls() if call.ok and call.sent_ns > self.healing_ns]
        return {call.engine for call in self.trace.attributed(after)}

    def broken_one_answers(self) -> bool:
        """Whether a broken engine has answered a call sent after the healing began."""
        return bool({*self.struck()} & self._answering())

    def trial(self, created: Stacks | None = None, **more: object) -> EngineTrial:
        """The evidence, once the calls have ended."""
        self.trace.check()
        self.trace.consumers(ENGINE)  # an engine that has just started gets its name
        self.trace.firehose.settle()
        events = self.trace.firehose.deliveries()
        calls, struck = self.trace.attributed(self.calls()), self.struck()
        most, unmarked = _redeliveries(events)
        expect = self.context.deployment.expect
        return EngineTrial.model_validate(
            {
                "fault": self.chosen[0].fault,
                "parts": tuple(each.part for each in self.chosen),
                "engines": struck,
                "sizes": self.targets.sizes,
                "consumers": len(self.before),
                "broken_ns": self.broken_ns,
                "settled_ns": max(done.ended_ns for done in self._broken),
                "healing_ns": self.healing_ns,
                "healed_ns": self.healed_ns,
                "noticed_ns": self.noticed_ns,
                "first_ns": self._first_delivery_ns(events),
                "rpc_timeout_s": expect.rpc_timeout_s,
                "proxy_timeout_s": expect.timeout_server_s,
                "returned": self.returned,
                "late_s": round(self.stream.late_s, 3),
                "api_s": max(
                    longest_undisturbed_s(calls, struck, self.broken_ns, self.healed_ns),
                    longest_refused_s(self.refused.calls()),
                ),
                "calls": calls,
                "stacks": created.records if created else (),
                "most_deliveries": most,
                "unmarked": unmarked,
                "incomplete": self.trace.firehose.why_incomplete,
                **more,
            }
        )

    def _first_delivery_ns(self, events: Iterable[Delivery]) -> int:
        """When an engine that was started again had its first delivery; 0 if it had none."""
        return next(
            (
                e.t_ns for e in events
                if e.kind == "deliver" and e.queue == ENGINE and e.t_ns > self.healing_ns
                and consumer_of(e) in self._new_ids
            ),
            0,
        )  # fmt: skip


def longest_undisturbed_s(
    calls: Iterable[HeatCall], broken: Collection[str], broken_ns: int, healed_ns: int
) -> float:
    """The longest time of a good call before the fault; without one, after it by an engine never broken.

    A call to a thawed or restarted engine may have been queued behind its backlog.
    """
    good = [call for call in calls if call.ok]
    before = [call.took_s for call in good if call.done_ns < broken_ns]
    after = [c.took_s for c in good if c.sent_ns > healed_ns > 0 and c.engine not in broken]
    return max(before or after, default=0.0)


def longest_refused_s(calls: Iterable[HeatCall]) -> float:
    """The longest time that the API took to refuse a request on its own (400); 0 without such an answer."""
    return max((call.took_s for call in calls if call.status == HTTPStatus.BAD_REQUEST), default=0.0)


def longest_notice_s(heartbeat_s: int | None, most_s: float) -> float:
    """Seconds until the broker must have noticed a freeze; 0 if never, or if that is more than `most_s`."""
    longest = MISSED_HEARTBEATS * heartbeat_s + AFTER_S if heartbeat_s else math.inf
    return longest if longest <= most_s else 0.0


def _redeliveries(events: Iterable[Delivery]) -> tuple[int, int]:
    """The most deliveries of one message, and the number of repeats without the broker's mark."""
    delivered: Counter[tuple[str, str]] = Counter()
    unmarked = 0
    for event in events:
        if event.kind == "deliver" and event.unique_id:
            key = (event.queue, event.unique_id)
            delivered[key] += 1
            unmarked += delivered[key] > 1 and not event.redelivered
    return max(delivered.values(), default=0), unmarked


@shared
def restart_engine(context: Context) -> EngineTrial:
    """Stop the last engine cleanly under load and start it again; for E9 and E5."""
    client = HeatClient(context)
    chosen = engine_commands(context, "stop")[-1:]
    with trace_broker(context) as trace, temporary_stacks(client, RESOURCES, trace.check) as created:
        run = EngineFaultRun(context, trace, client, chosen)
        with run.under_calls():
            created.burst(STACKS)
            run.inject()
            trace.until(run.noticed, BACK_S)
            created.await_final(FINAL_S)
            trace.until(run.enough_calls, FINAL_S)
            run.heal_and_await_service()
        start = trace.quiet_point(ENGINE)
        calls = [client.list_stacks() for _ in range(SHARE_ROUNDS * len(start.consumers))]
        after = trace.shares(start, **call_counts(calls))
        created.delete_all()
        return run.trial(created, after=after)


def crash_engine(context: Context) -> EngineTrial:
    """Kill the last engine under load and start it again; for E6."""
    chosen = engine_commands(context, "kill")[-1:]
    with trace_broker(context) as trace:
        run = EngineFaultRun(context, trace, HeatClient(context), chosen)
        with run.under_calls():
            run.inject()
            trace.until(run.noticed, BACK_S)
            trace.until(run.enough_calls, FINAL_S)
            run.heal_and_await_service()
        return run.trial()


def freeze_engine(context: Context) -> EngineTrial:
    """Freeze the last engine until calls to it have failed, and thaw it; for E7.

    If AMQP's heartbeat makes the broker notice within the context's `notice` seconds, the engine stays
    frozen until then.
    """
    client = HeatClient(context)
    chosen = engine_commands(context, "freeze")[-1:]
    rpc_s = context.deployment.expect.rpc_timeout_s
    with trace_broker(context) as trace:
        run = EngineFaultRun(context, trace, client, chosen)
        with run.under_calls(refused=True):
            run.inject()
            heartbeat_s = run.heartbeat_s()
            # The frozen engine gets its first call within one round; it fails an RPC timeout later.
            frozen_s = max(rpc_s + AFTER_S, longest_notice_s(heartbeat_s, context.strength("notice")))
            trace.until(run.noticed, frozen_s, 1.0)
            if run.noticed_ns:
                time.sleep(AFTER_S)  # others answer the calls that are redelivered now
            run.heal()
            time.sleep(AFTER_S)
            trace.until(run.broken_one_answers, BACK_S, 0.5)
        return run.trial(heartbeat_s=heartbeat_s)


def kill_all_engines(context: Context) -> EngineTrial:
    """Kill every engine until calls have failed, and start them all; for E8."""
    client = HeatClient(context)
    chosen = engine_commands(context, "kill")
    described = engine_groups.processes(context.engines)
    if len(chosen) != described:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            f"has commands to kill and start {len(chosen)} engines, and describes {described} processes",
        )
    within_s = context.deployment.expect.rpc_timeout_s + 3 * AFTER_S
    with trace_broker(context) as trace:
        run = EngineFaultRun(context, trace, client, chosen)
        with run.under_calls(refused=True):
            run.inject()
            trace.until(run.noticed, BACK_S)
            gone_ns = time.time_ns()
            trace.until(lambda: any(c.sent_ns > gone_ns and not c.ok for c in run.calls()), within_s)
            run.heal_and_await_service()
        return run.trial()
