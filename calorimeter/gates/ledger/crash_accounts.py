"""Stacks that are asked for, by REST and CFN, while an engine and then APIs crash and return."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from calorimeter.core.deployment import Address, address
from calorimeter.core.faults.schedule import Commands, commands
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.own_address import struck
from calorimeter.gates.clients.stacks import CHAINS, Stacks, identified, stacks
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.engine_faults import BACK_S, engine_commands, see_breakable
from calorimeter.gates.engines.queue_consumers import host
from calorimeter.gates.engines.traced_calls import Traced, traced
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.ledger.accounting import Accounts, Crash
from calorimeter.gates.ledger.unfinished import unfinished
from calorimeter.gates.request_path.joining import joining

STACKS, RESOURCES, IN_FLIGHT = 10, 6, 3
API_IN_FLIGHT = 6
"""Creates that are open at once at the APIs of a kind, one of which crashes: some are at that one."""

BEGUN = 3
"""Stacks that are accepted before the crash comes: it strikes in the middle of the work."""

MOST = 40
"""Stacks of a burst that goes on until the crash has struck."""

GONE_S = 15.0
"""How long the broker may take to see that an engine's process is gone: it sees its connections close."""

QUIET_S = 5.0
"""Without a delivery for so long nothing goes on any more: what has no end by then has none."""

SETTLE_S = 60.0

WARM, WARM_IN_FLIGHT, WARM_ROUNDS = 64, 32, 5


def accounts(context: Context) -> Accounts:
    """A burst of stacks for each victim: an engine, a REST API, a CFN API; all of them return."""
    client = HeatClient(context)
    victims = [engine_commands(context, "kill")[-1], *_apis(context, client.speaks_cfn)]
    with (
        traced(context) as watching,
        joining(context, watching) as joiner,
        stacks(client, RESOURCES, watching.check) as made,
        healing(context),  # within: the stacks are removed by parts that are alive
    ):
        see_breakable(watching, victims[:1])
        _warm(client, watching)
        consumers = len(watching.consumers(ENGINE))
        crashes = [_crash(context, watching, made, victim, consumers) for victim in victims]
        began = time.monotonic()
        while not made.await_final(1.0) and time.monotonic() - began < SETTLE_S:
            if watching.await_quiet([WORKER], QUIET_S + 1, QUIET_S) is None:
                made.look()
                break
        settled_s = round(time.monotonic() - began, 1)
        client.close()
        watching.firehose.settle()
        entries = identified(made.entries, watching.deliveries(ENGINE))
        return Accounts(
            entries=entries,
            followed=joiner.follow(entry.create for entry in entries),
            crashes=tuple(crashes),
            settled_s=settled_s,
            incomplete=watching.firehose.why_incomplete,
        )


def _apis(context: Context, cfn: bool) -> list[Commands]:
    """The first API of each kind, where it is not the only one: with it all clients would be cut off."""
    kinds = ("rest", "cfn") if cfn else ("rest",)
    apis = [[p for p in context.deployment.parts if p.kind == kind] for kind in kinds]
    given = [commands(parts[0], "kill") for parts in apis if len(parts) > 1]
    return [each for each in given if each is not None]


def _warm(client: HeatClient, watching: Traced) -> None:
    """Calls at both APIs, until each of their processes has a known connection for each call of a burst.

    The broker tells whose a connection is after seconds only: one that a burst opens just before its API
    crashes would remain nobody's.
    """
    for _ in range(WARM_ROUNDS):
        with ThreadPoolExecutor(WARM_IN_FLIGHT) as pool:
            list(pool.map(lambda _: client.look(), range(WARM)))
            if client.speaks_cfn:
                list(pool.map(lambda _: client.cfn("ListStacks"), range(WARM)))
        watching.firehose.settle()
        senders = {e.connection for e in watching.firehose.deliveries() if not e.reply}
        watching.know(senders)
        known = Counter(watching.processes[c] for c in senders if c in watching.processes)
        if all(number >= API_IN_FLIGHT for number in known.values()):
            return


def _crash(context: Context, watching: Traced, made: Stacks, victim: Commands, consumers: int) -> Crash:
    """A burst in whose midst the victim is killed; it is started again when the burst is over."""
    kind = next(p.kind for p in context.deployment.parts if p.name == victim.part)
    watching.consumers(ENGINE)
    watching.consumers(WORKER)
    # Those of before the crash: a dead connection is handed nothing more.
    had = {id_ for id_, name in watching.known.items() if host(name) == victim.part}
    watching.vigil.spare([watching.known[id_] for id_ in had])
    own = None if kind == "engine" else _own(context, kind, victim.part)
    enough = sum(e.accepted for e in made.entries) + BEGUN
    crashed = threading.Event()
    burst = threading.Thread(target=_burst, args=(made, kind, crashed), daemon=True)
    burst.start()

    def strike() -> CommandResult:
        done = carried_out(context.injector.inject, victim)
        crashed.set()
        return done

    try:
        if not watching.until(lambda: sum(e.accepted for e in made.entries) >= enough, BACK_S, 0.02):
            raise EvidenceUnavailable(
                context.deployment.rest.url, "accepted too few stacks before the crash"
            )
        done, happened = struck(own, strike)
        if kind == "engine":
            happened = _gone(watching, had)
            watching.firehose.settle()
        gone = len(watching.firehose)
    finally:
        crashed.set()
        burst.join()
    made.look()
    carried_out(context.injector.heal, victim)
    back = watching.until(lambda: len(watching.consumers(ENGINE)) == consumers, BACK_S)
    at_ns = done.at_ns or done.began_ns
    return Crash(
        part=victim.part,
        engine=kind == "engine",
        at_ns=at_ns,
        back_ns=time.time_ns() if back else 0,
        held=_in_hand(watching, had, gone) if kind == "engine" else (),
        happened=happened,
    )


def _own(context: Context, kind: str, part: str) -> Address | None:
    """Where an API of this kind listens itself; None where its part is none of the backends."""
    backends = context.api(kind).backends
    return next((address(backend.address) for backend in backends if backend.name == part), None)


def _gone(watching: Traced, consumers: Collection[str]) -> bool:
    """Whether the broker loses these consumers, in time."""

    def gone() -> bool:
        now = (c.id for queue in (ENGINE, WORKER) for c in watching.consumers(queue))
        return {*consumers}.isdisjoint(now)

    return watching.until(gone, GONE_S)


def _in_hand(watching: Traced, consumers: Collection[str], gone: int) -> tuple[str, ...]:
    """The requests of which a crashed engine had something unfinished.

    `consumers` were its own; at event number `gone` of the trace it was dead.
    """
    watching.firehose.settle()
    connections = {id_.rpartition("#")[0] for id_ in consumers}
    its = {watching.processes[name] for name in connections if name in watching.processes}
    pooled = {name for name, process in watching.processes.items() if process in its}
    leaves = min(CHAINS, RESOURCES)
    return unfinished(watching.firehose.deliveries(), consumers, connections | pooled, leaves, gone)


def _burst(made: Stacks, kind: str, crashed: threading.Event) -> None:
    """A burst in a thread of its own; that somebody went away is told by the experiment itself.

    Where an API is to crash all creates are its kind's, more at once, and go on until it is struck: a crash
    that finds no create open shows nothing, and nobody knows how long the command for it takes.
    """
    with suppress(EvidenceUnavailable):
        if kind == "engine":
            made.burst(STACKS, IN_FLIGHT, apis=("rest", "cfn") if made.client.speaks_cfn else ("rest",))
        else:
            made.burst(
                MOST, API_IN_FLIGHT, apis=(kind,), wanted=lambda n: n < STACKS or not crashed.is_set()
            )
