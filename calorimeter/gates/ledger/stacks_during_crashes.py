"""The experiment of L3: stacks requested by REST and CFN while an engine and then APIs crash and return."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from calorimeter.core.control.controlled_part import PartKind
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.own_address import inject_and_probe, own_address
from calorimeter.gates.clients.stack_records import with_traced_request_ids
from calorimeter.gates.clients.stacks import CHAINS, Stacks, temporary_stacks
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.engine_faults import BACK_S, engine_commands
from calorimeter.gates.engines.fault_targets import FaultTargets, fault_targets
from calorimeter.gates.engines.traced_calls import BrokerTrace, trace_broker
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.ledger.accounting import Crash, StacksDuringCrashes
from calorimeter.gates.ledger.unfinished import unfinished
from calorimeter.gates.request_path.joining import join_requests

STACKS, RESOURCES, IN_FLIGHT = 10, 6, 3
API_IN_FLIGHT = 6
"""Concurrent creates at the APIs of one kind, one of which crashes: some of them are at that one."""

BEGUN = 3
"""Stacks that are accepted before the crash, so that it happens in the middle of the work."""

MOST = 40
"""Most stacks of a burst that goes on until the crash has happened."""

GONE_S = 15.0
"""How long the broker may take to see the connections of a killed engine close."""

QUIET_S = 5.0
"""After so long without a delivery no work is in progress: a stack that is not final then stays so."""

SETTLE_S = 60.0

WARM, WARM_IN_FLIGHT, WARM_ROUNDS = 64, 32, 5


def create_stacks_during_crashes(context: Context) -> StacksDuringCrashes:
    """One burst of stacks for each victim: an engine, a REST API, a CFN API. All of them return."""
    client = HeatClient(context)
    victims = [engine_commands(context, "kill")[-1], *_api_victims(context, client.speaks_cfn)]
    with (
        trace_broker(context) as trace,
        join_requests(context, trace) as joiner,
        temporary_stacks(client, RESOURCES, trace.check) as created,
        healing(context),  # innermost: the stacks are deleted by parts that are alive
    ):
        targets = fault_targets(context, trace, victims[:1])
        context.say("connections to the APIs are opened")
        _open_known_connections(client, trace)
        consumers = len(trace.consumers(ENGINE))
        may_strike = {victims[0].part: targets}
        crashes = [
            _crash(context, trace, created, victim, may_strike.get(victim.part), consumers)
            for victim in victims
        ]
        context.say("waiting until the stacks are final")
        began = time.monotonic()
        while not created.await_final(1.0) and time.monotonic() - began < SETTLE_S:
            if trace.await_quiet([WORKER], QUIET_S + 1, QUIET_S) is None:
                created.poll()
                break
        settled_s = round(time.monotonic() - began, 1)
        client.close()
        trace.firehose.settle()
        records = with_traced_request_ids(created.records, trace.deliveries(ENGINE))
        return StacksDuringCrashes(
            entries=records,
            followed=joiner.follow(record.create for record in records),
            crashes=tuple(crashes),
            settled_s=settled_s,
            incomplete=trace.firehose.why_incomplete,
        )


def _api_victims(context: Context, cfn: bool) -> list[FaultCommands]:
    """The first API of each kind, unless it is the only one: its crash would cut off all clients."""
    kinds: tuple[PartKind, ...] = ("rest", "cfn") if cfn else ("rest",)
    apis = [context.deployment.parts_of(kind) for kind in kinds]
    given = [commands(parts[0], "kill") for parts in apis if len(parts) > 1]
    return [each for each in given if each is not None]


def _open_known_connections(client: HeatClient, trace: BrokerTrace) -> None:
    """Call both APIs until each of their processes has a known connection for each call of a burst.

    The broker lists a connection's process only after seconds: a connection that a burst opens just before
    its API crashes would never be attributed.
    """
    for _ in range(WARM_ROUNDS):
        with ThreadPoolExecutor(WARM_IN_FLIGHT) as pool:
            list(pool.map(lambda _: client.list_stacks(), range(WARM)))
            if client.speaks_cfn:
                list(pool.map(lambda _: client.cfn("ListStacks"), range(WARM)))
        trace.firehose.settle()
        senders = {e.connection for e in trace.firehose.deliveries() if not e.reply}
        trace.learn_processes(senders)
        known = Counter(trace.processes[c] for c in senders if c in trace.processes)
        if all(number >= API_IN_FLIGHT for number in known.values()):
            return


def _crash(
    context: Context,
    trace: BrokerTrace,
    created: Stacks,
    victim: FaultCommands,
    targets: FaultTargets | None,
    consumers: int,
) -> Crash:
    """Kill the victim in the middle of a burst, and start it again after the burst.

    `targets` are the engines that it may be; None for an API.
    """
    kind = victim.kind
    before = _engine_consumers(trace, targets) if targets else {}
    own = None if targets else own_address(context.api(kind), victim.part, context.deployment.tls)
    enough = sum(e.accepted for e in created.records) + BEGUN
    crashed = threading.Event()
    context.say(f"a burst of stacks, in which {victim.part} is killed")
    burst = threading.Thread(target=_burst, args=(created, kind, crashed), daemon=True)
    burst.start()

    def kill() -> CommandResult:
        done = carried_out(context.injector.inject, victim)
        crashed.set()
        return done

    try:
        if not trace.until(lambda: sum(e.accepted for e in created.records) >= enough, BACK_S, 0.02):
            raise EvidenceUnavailable(
                context.deployment.rest.url,
                f"accepted fewer than {BEGUN} stacks within {BACK_S:g} s, so {victim.part} was not killed",
            )
        done, happened = inject_and_probe(own, kill)
        died = _await_gone(trace, targets, before) if targets else ()
        trace.firehose.settle()
        gone = len(trace.firehose)
    finally:
        crashed.set()
        burst.join()
    created.poll()
    context.say(f"healing {victim.part} kill")
    carried_out(context.injector.heal, victim)
    if targets and targets.whole(died):
        trace.liveness.exclude(died)
    back = trace.until(lambda: len(trace.consumers(ENGINE)) == consumers, BACK_S)
    return Crash(
        part=victim.part,
        engine=targets is not None,
        engines=died,
        sizes=targets.sizes if targets else {},
        at_ns=done.at_ns or done.began_ns,
        back_ns=time.time_ns() if back else 0,
        held=_held(trace, [id_ for id_, name in before.items() if name in died], gone) if targets else (),
        happened=targets.whole(died) if targets else happened,
    )


def _engine_consumers(trace: BrokerTrace, targets: FaultTargets) -> dict[str, str]:
    """Id → name of the consumers, on both queues, of the engines that are about to be broken.

    Those before the crash: nothing is delivered to a dead connection.
    """
    trace.consumers(ENGINE)
    trace.consumers(WORKER)
    trace.liveness.exclude(targets.names)
    return {id_: name for id_, name in trace.known.items() if name in targets.names}


def _await_gone(trace: BrokerTrace, targets: FaultTargets, before: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the consumers that the broker drops, a whole engine on both queues, within `GONE_S`."""
    gone: tuple[str, ...] = ()

    def dropped() -> bool:
        nonlocal gone
        gone = targets.gone()
        working = {before.get(consumer.id) for consumer in trace.consumers(WORKER)}
        return targets.whole(gone) and working.isdisjoint(gone)

    trace.until(dropped, GONE_S)
    return gone


def _held(trace: BrokerTrace, consumers: Collection[str], gone: int) -> tuple[str, ...]:
    """The requests of which a crashed engine had unfinished work.

    `consumers` were its own; at event number `gone` of the trace it was dead.
    """
    trace.firehose.settle()
    connections = {id_.rpartition("#")[0] for id_ in consumers}
    processes = {trace.processes[name] for name in connections if name in trace.processes}
    pooled = {name for name, process in trace.processes.items() if process in processes}
    leaves = min(CHAINS, RESOURCES)
    return unfinished(trace.firehose.deliveries(), consumers, connections | pooled, leaves, gone)


def _burst(created: Stacks, kind: str, crashed: threading.Event) -> None:
    """One burst, in a thread of its own; the experiment itself reports that a part has gone away.

    If an API is to crash, all creates go to its kind, more of them at once, until it has crashed: a crash
    while no create is open shows nothing, and the duration of its command is unknown.
    """
    with suppress(EvidenceUnavailable):
        if kind == "engine":
            apis = ("rest", "cfn") if created.client.speaks_cfn else ("rest",)
            created.burst(STACKS, IN_FLIGHT, apis=apis)
        else:
            created.burst(
                MOST, API_IN_FLIGHT, apis=(kind,), wanted=lambda n: n < STACKS or not crashed.is_set()
            )
