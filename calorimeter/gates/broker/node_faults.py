"""The experiments of B1 to B5: nodes of RabbitMQ die, freeze, are cut off, restart and return."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial

from calorimeter.core import messaging_bounds, waiting
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.core.messaging_bounds import Silence
from calorimeter.gates.broker import cluster_view
from calorimeter.gates.broker.broker_trial import (
    FEWEST_CALLS,
    BrokerTrial,
    EngineQueue,
    NodeFault,
)
from calorimeter.gates.broker.cluster_view import PROBE_S, BrokerPart
from calorimeter.gates.clients.heat_client import CallStream, HeatClient
from calorimeter.gates.clients.stacks import TIMEOUT_MIN, Stacks, temporary_stacks
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.rotation_calls import make_rotation_calls
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing

EVERY_S = 0.5
"""Interval of the calls: two a second, which leaves a lab on two cores enough time to start a node."""

STACK_EVERY_S = 3.0
RESOURCES = 3
MOST_OPEN = 3
"""Calls that may be open before a fault: one for each engine of a usual deployment."""

ENOUGH_CALLS = 2 * FEWEST_CALLS
"""Calls without a failure: before a fault, or it cannot be blamed for those that fail; and after it, since
the cluster was whole, so that no end of a bound is waited for."""

STEADY_STACKS = 2
"""Stacks that are accepted before a fault."""

AFTER_S = ENOUGH_CALLS * EVERY_S
"""Time beyond a bound in which calls are sent that must succeed."""

OUTAGE_S = 5.0
"""How long nobody serves: calls and creates are sent meanwhile."""

BACK_S = 120.0
FINAL_S = 60.0 * TIMEOUT_MIN
ROUNDS = 10
"""Rounds of calls over all consumers that show whether rotation is restored."""

USUAL_NET_TICK_S = 60
"""Erlang's default of net_ticktime."""


SINGLE = {
    "kill": "the broker is a single node: no other can go on without it (B5 judges such an outage)",
    "partitioned": "the broker is a single node: there is no other from which it could be cut off",
}
"""Fault that a broker of one node cannot have → why."""


def lose_node(context: Context, fault: Silence) -> BrokerTrial:
    """Break the node that leads the queue `engine`, and heal it; for B1 to B3.

    A cluster is needed, except for a freeze, which a single node can have, too.
    """
    run = BrokerFaultRun(context, fault)
    if len(run.nodes) == 1 and fault in SINGLE:
        return run.inapplicable(SINGLE[fault])
    with run.under_calls():
        run.strike(run.leader_first()[:1])
        run.heal()
    return run.trial()


def restart_in_turn(context: Context) -> BrokerTrial:
    """Stop and start each node, one after the other; for B4."""
    run = BrokerFaultRun(context, "stop")
    with run.under_calls():
        for each in run.parts:
            run.strike([each])
            run.heal()
    return run.trial()


def kill_all_nodes(context: Context) -> BrokerTrial:
    """Kill all nodes at once, and start them; for B5."""
    run = BrokerFaultRun(context, "kill")
    if missing := {*run.nodes} - {each.node for each in run.parts}:
        raise EvidenceUnavailable(
            str(context.deployment.path), f"has no commands to kill and start {', '.join(sorted(missing))}"
        )
    with run.under_calls():
        run.strike(run.parts)
        run.heal()
    return run.trial()


class BrokerFaultRun:
    """One trial: streams of calls and of creates, faults of nodes, and their end."""

    def __init__(self, context: Context, fault: Silence) -> None:
        self.context = context
        self.fault = fault
        with BrokerApi.of(context.deployment) as api:
            seen = [node for node in api.nodes() if node.running]
            queues = {queue.name: queue for queue in api.queues()}
            self.consumers = len(api.engine_consumers())
        self.nodes = tuple(node.name for node in seen)
        self.queues = [queues[name] for name in (ENGINE, WORKER) if name in queues]
        tick_s = max((node.net_ticktime_s or USUAL_NET_TICK_S for node in seen), default=USUAL_NET_TICK_S)
        expect = context.deployment.expect
        bound = messaging_bounds.outage_s(expect, fault, tick_s)
        if bound is None:
            raise EvidenceUnavailable(
                f"{context.deployment.path}: expect.heartbeat_s",
                "is 0: without heartbeats nothing bounds the time until a client notices a frozen node",
            )
        self.outage_bound_s = bound
        self._again_s = messaging_bounds.outage_s(expect, "stop", tick_s) or 0.0
        self._all_again_s = messaging_bounds.return_s(expect, len(self.nodes))
        self._was_total = False
        self._faults: list[NodeFault] = []
        self._open: dict[str, FaultCommands] = {}
        self._during: dict[str, str] | None = None
        self._created: Stacks | None = None
        self._waited_s = 0.0
        self._steady_ns = 0
        self._stream: CallStream
        self._left: dict[str, object] = {}

    @cached_property
    def parts(self) -> list[BrokerPart]:
        """The nodes with commands for the fault.

        Raises `EvidenceUnavailable` if there are none, or it is not known which node a part is.
        """
        deployment, fault = self.context.deployment, self.fault
        described = self.context.broker.nodes
        able = [c for p in deployment.parts if p.kind == "broker" and (c := commands(p, fault))]
        if not able:
            raise EvidenceUnavailable(
                str(deployment.path), f"has no [[parts]] of kind 'broker' with commands for {fault!r}"
            )
        found = []
        for each in able:
            node = next((node for node in described if node.runs_on(each.part)), None)
            if node is None and len(self.nodes) == 1:
                node = described[0].model_copy(update={"name": self.nodes[0]})
            if node is None or node.name not in self.nodes:
                raise EvidenceUnavailable(
                    str(deployment.path),
                    f"does not say which node {each.part} is: [broker] nodes must have a name that is "
                    f"NAME@{each.part} (the cluster has {', '.join(self.nodes)})",
                )
            found.append(BrokerPart(node.name or "", each, node.amqp, node.management))
        return found

    def inapplicable(self, why: str) -> BrokerTrial:
        """The evidence of a fault that this broker cannot have."""
        return BrokerTrial(fault=self.fault, nodes=self.nodes, does_not_apply=why)

    def leader_first(self) -> list[BrokerPart]:
        """The nodes that can be broken; first the one that leads the queue `engine`, or is its home."""
        home = next((queue.node for queue in self.queues if queue.name == ENGINE), "")
        return sorted(self.parts, key=lambda part: part.node != home)

    @contextmanager
    def under_calls(self) -> Iterator[None]:
        """Send calls and creates at a fixed pace while the context is open; all is healed at its end.

        Then the stacks have time to end, rotation is looked at, and the stacks are deleted.
        """
        client = HeatClient(self.context)
        with ExitStack() as stack:
            created = self._created = stack.enter_context(temporary_stacks(client, RESOURCES))
            with (
                CallStream(client.list_stacks, EVERY_S) as self._stream,
                CallStream(lambda: created.create().create, STACK_EVERY_S),
                healing(self.context),
            ):
                self._await_steady()
                yield
            self.context.say("waiting until the stacks are final")
            began = time.monotonic()
            created.await_final(FINAL_S)
            self._waited_s = round(time.monotonic() - began, 1)
            self._look_back()

    def _await_steady(self) -> None:
        """Wait until the latest calls were answered well and stacks are accepted."""
        created = self._created
        assert created is not None

        def steady() -> int:
            accepted = sum(each.accepted for each in created.records)
            return self._content_since_ns(0) if accepted >= STEADY_STACKS else 0

        self._steady_ns = waiting.poll(steady, BACK_S)
        if not self._steady_ns:
            raise EvidenceUnavailable(
                self.context.deployment.rest.url,
                f"did not accept {STEADY_STACKS} stacks and answer {1 / EVERY_S:g} calls per second within "
                f"{BACK_S:g} s, even without a fault",
            )

    def _content_since_ns(self, since_ns: int) -> int:
        """When the first of the latest `ENOUGH_CALLS` calls was sent; 0 unless all were answered well."""
        return self._stream.content_since_ns(ENOUGH_CALLS, MOST_OPEN, since_ns)

    @property
    def return_bound_s(self) -> float:
        """The longest time from the return of what was broken until calls must succeed.

        Its clients have connected by then, and an RPC timeout later every call that waited has expired.
        """
        rpc_s = self.context.deployment.expect.rpc_timeout_s
        return (self._all_again_s if self._was_total else self._again_s) + rpc_s

    @property
    def _total(self) -> bool:
        """Whether all nodes are broken now."""
        return len(self._open) == len(self.nodes)

    def strike(self, chosen: Sequence[BrokerPart]) -> None:
        """Break these nodes at once, until calls have been sent that must have succeeded."""
        self.context.say(f"{self.fault}: {', '.join(each.commands.part for each in chosen)}")
        done = self._on_all(self.context.injector.inject, [each.commands for each in chosen])
        self._open = {each.node: each.commands for each in chosen}
        noticed = self._await_noticed(chosen)
        for each, result in zip(chosen, done, strict=True):
            self._faults.append(
                NodeFault(
                    part=each.commands.part,
                    node=each.node,
                    begun_ns=result.at_ns or result.began_ns,
                    struck_ns=result.at_ns or result.ended_ns,
                    noticed_ns=noticed.get(each.node, 0),
                )
            )
        if not self._total:
            struck_ns = max(fault.struck_ns for fault in self._faults)
            self._sleep_until(struck_ns + int((self.outage_bound_s + AFTER_S) * 1e9))
        else:
            time.sleep(OUTAGE_S)  # nobody serves: the length of the outage proves nothing
        if self._during is None:
            self._during = cluster_view.queue_states(self.context.deployment, chosen)

    def heal(self) -> None:
        """End the faults; wait until the cluster is whole, and calls were sent that must succeed."""
        self._was_total = self._total
        healing_ns = time.time_ns()
        parts = [*self._open.values()]
        self.context.say(f"healing {', '.join(each.part for each in parts)}")
        self._on_all(self.context.injector.heal, parts)
        healed_ns = time.time_ns()
        names = {each.part for each in parts}
        self._faults = [
            fault
            if fault.healing_ns or fault.part not in names
            else fault.model_copy(update={"healing_ns": healing_ns, "healed_ns": healed_ns})
            for fault in self._faults
        ]
        self._open = {}
        served_ns = self._await_service(healed_ns)
        self._faults[-1] = self._faults[-1].model_copy(update={"served_ns": served_ns})
        waiting.poll(self._whole, BACK_S, every_s=1.0)

    def _await_service(self, healed_ns: int) -> int:
        """Wait until all consumers are back and the latest calls were answered well, or the bound is over.

        Returns when the first of these calls was sent; 0 if the bound was over first.
        """
        until_ns = healed_ns + int((self.return_bound_s + AFTER_S) * 1e9)
        whole_ns = 0

        def content() -> int:
            nonlocal whole_ns
            whole_ns = (whole_ns or time.time_ns()) if self._whole() else 0
            return self._content_since_ns(whole_ns) if whole_ns else 0

        return waiting.poll(content, (until_ns - time.time_ns()) / 1e9, every_s=0.5)

    def _whole(self) -> bool:
        """Whether the nodes are one cluster again, and `engine` has as many consumers as before."""
        return not self._apart() and self._returned() >= self.consumers

    def _on_all(
        self, act: Callable[[FaultCommands], CommandResult], given: Sequence[FaultCommands]
    ) -> list[CommandResult]:
        """Do the same to several nodes at once."""
        with ThreadPoolExecutor(len(given)) as pool:
            return list(pool.map(partial(carried_out, act), given))

    def _sleep_until(self, at_ns: int) -> None:
        time.sleep(max(0.0, (at_ns - time.time_ns()) / 1e9))

    def _await_noticed(self, chosen: Sequence[BrokerPart]) -> dict[str, int]:
        """Node → when it no longer answered, or the others no longer counted it as running."""
        noticed: dict[str, int] = {}

        def all_noticed() -> bool:
            for each in chosen:
                if each.node not in noticed and cluster_view.is_gone(self.context.deployment, each, chosen):
                    noticed[each.node] = time.time_ns()
            return len(noticed) == len(chosen)

        waiting.poll(all_noticed, self.outage_bound_s + PROBE_S, every_s=0.5)
        return noticed

    def _apart(self) -> tuple[str, ...]:
        return cluster_view.apart(self.context.deployment, self.nodes)

    def _returned(self) -> int:
        return cluster_view.consumers(self.context.deployment)

    def _look_back(self) -> None:
        """What is left of the fault: the cluster, the consumers, and whether calls rotate over them."""
        self._left = {"apart": self._apart(), "returned": self._returned()}
        self.context.say("whether calls rotate again")
        try:
            self._left["rotation"] = make_rotation_calls(self.context, ROUNDS * max(1, self.consumers))
        except EvidenceUnavailable as problem:
            self._left["no_rotation"] = f"{problem.where}: {problem.why}"

    def trial(self) -> BrokerTrial:
        """The evidence, once the context of calls has been left."""
        assert self._created is not None
        during = self._during
        return BrokerTrial.model_validate(
            {
                "fault": self.fault,
                "nodes": self.nodes,
                "faults": tuple(self._faults),
                "queues": tuple(
                    EngineQueue(
                        name=queue.name,
                        type=queue.type,
                        home=queue.node,
                        during=None if during is None else during.get(queue.name, ""),
                    )
                    for queue in self.queues
                ),
                "outage_bound_s": self.outage_bound_s,
                "return_bound_s": self.return_bound_s,
                "calls": tuple(c for c in self._stream.calls() if c.sent_ns >= self._steady_ns),
                "stacks": self._created.records,
                "waited_s": self._waited_s,
                "consumers": self.consumers,
                **self._left,
            }
        )
