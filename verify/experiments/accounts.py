"""Stacks that are asked for while an engine, and then an API, crashes and returns."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from calorimeter.faults.schedule import Commands, commands
from verify.bench import Bench
from verify.checks.accounting import Accounts, Crash
from verify.checks.consumers import ENGINE, WORKER
from verify.evidence.unavailable import EvidenceUnavailable
from verify.experiments.engine_faults import BACK_S, engine_commands
from verify.experiments.heat_client import HeatClient
from verify.experiments.stacks import Stacks, stacks
from verify.experiments.traced import Traced, traced

STACKS, RESOURCES, IN_FLIGHT = 10, 6, 3
BEGUN = 3
"""Stacks that are accepted before the crash comes: it strikes in the middle of the work."""

QUIET_S = 5.0
"""Without a delivery for so long nothing goes on any more: what has no end by then has none."""

SETTLE_S = 60.0


def accounts(bench: Bench) -> Accounts:
    """Two bursts of stacks: an engine is killed in the first, an API in the second; both return."""
    client = HeatClient(bench)
    victims = [engine_commands(bench, "kill")[-1], *_api(bench)]
    with traced(bench) as watching, stacks(client, RESOURCES, watching.check) as made:
        consumers = len(watching.consumers(ENGINE))
        crashes = [_crash(bench, watching, made, victim, consumers) for victim in victims]
        began = time.monotonic()
        while not made.await_final(1.0) and time.monotonic() - began < SETTLE_S:
            if watching.await_quiet([WORKER], QUIET_S + 1, QUIET_S) is None:
                made.look()
                break
        return Accounts(
            entries=made.entries,
            crashes=tuple(crashes),
            settled_s=round(time.monotonic() - began, 1),
            incomplete=watching.firehose.why_incomplete,
        )


def _api(bench: Bench) -> list[Commands]:
    """The first REST API, where it is not the only one: with it all clients would be cut off."""
    apis = [p for p in bench.deployment.parts if p.kind == "rest"]
    given = commands(apis[0], "kill") if len(apis) > 1 else None
    return [given] if given else []


def _crash(bench: Bench, watching: Traced, made: Stacks, victim: Commands, consumers: int) -> Crash:
    """A burst in whose midst the victim is killed; it is started again when the burst is over."""
    watching.consumers(ENGINE)
    watching.consumers(WORKER)
    watching.vigil.spare([name for name in watching.known.values() if name.split(" [")[0] == victim.part])
    enough = sum(e.accepted for e in made.entries) + BEGUN
    burst = threading.Thread(target=_burst, args=(made,), daemon=True)
    burst.start()
    try:
        struck = watching.until(lambda: sum(e.accepted for e in made.entries) >= enough, BACK_S, 0.02)
        if not struck:
            raise EvidenceUnavailable(bench.deployment.rest.url, "accepted too few stacks before the crash")
        done = bench.breaker.inject(victim)
    finally:
        burst.join()
    made.look()
    bench.breaker.heal(victim)
    back = watching.until(lambda: len(watching.consumers(ENGINE)) == consumers, BACK_S)
    at_ns = done.at_ns or done.began_ns
    events = [e for q in (ENGINE, WORKER) for e in watching.deliveries(q) if e.t_ns <= done.ended_ns]
    held = {
        e.request_id for e in events
        if e.request_id and watching.engine_of(e).split(" [")[0] == victim.part
    }  # fmt: skip
    engine = next(p.kind for p in bench.deployment.parts if p.name == victim.part) == "engine"
    return Crash(
        part=victim.part,
        engine=engine,
        at_ns=at_ns,
        back_ns=time.time_ns() if back else 0,
        held=tuple(sorted(held)),
    )


def _burst(made: Stacks) -> None:
    """A burst in a thread of its own; that somebody went away is told by the experiment itself."""
    with suppress(EvidenceUnavailable):
        made.burst(STACKS, IN_FLIGHT)
