"""What the deeper health check (`lab up --health rpc`) gives, and its price:
docs/reference/gates-health.md.

Two labs, one after the other: with Heat's own check, and with the one that pings the engines. On each gate
H9 is run; then RabbitMQ is frozen for 12 s (as `calorimeter lab part rabbitmq freeze` does it), while every
0.2 s somebody asks each API `GET /` through the proxy, halfway somebody lists stacks (which needs an
engine), and the proxy's own state is looked at all the time. Prints the figures; exit status 1 where they
are not as told there: with Heat's own check H9 is red and no server goes DOWN; with the other H9 is green,
all go DOWN, and all come back.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Api
from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.proxy_state import read_stat
from calorimeter.lab import parts, topology
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.topology import Lab
from tests.soak import labs

NAME = "soak-remedy"
FROZEN_S = 12.0
BACK_S = 60.0
AFTER_S = 1.0
EVERY_S = 0.2
LOOK_EVERY_S = 0.05
ANSWER_S = 5.0
SOURCES = 20
KINDS = {"shallow": "Heat's own check", "rpc": "`--health rpc`"}


@dataclass(frozen=True)
class Asked:
    """A `GET /`: when it was sent, how long it took, and what came."""

    sent_ns: int
    took_ms: float
    came: str


@dataclass(frozen=True)
class Look:
    """A look at the proxy: how many servers it has, and those that it sends nobody to."""

    at_ns: int
    servers: int
    down: frozenset[str]


def ask(api: Api, number: int) -> Asked:
    """One `GET /` on a connection of its own, from one of 20 addresses."""
    front, sent = api.front, time.time_ns()
    try:
        source = (f"127.0.2.{number % SOURCES + 1}", 0)
        with socket.create_connection((front.host, front.port), ANSWER_S, source) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {front}\r\nConnection: close\r\n\r\n".encode())
            words = connection.recv(4096).decode("latin-1").split()
            came = words[1] if len(words) > 1 else "closed without an answer"
    except TimeoutError:
        came = f"nothing within {ANSWER_S:g} s"
    except ConnectionResetError:
        came = "closed without an answer"
    except OSError as problem:
        came = str(problem.strerror)
    return Asked(sent, (time.time_ns() - sent) / 1e6, came)


def look(lab: Lab) -> Look:
    """What the proxy says now."""
    servers = [row for row in read_stat(haproxy.command(lab, "show stat")) if row.kind == "server"]
    at = time.time_ns()
    return Look(at, len(servers), frozenset(row.name for row in servers if not row.takes_connections))


class Watch:
    """Looks and asks, until told that it is enough."""

    def __init__(self, lab: Lab, apis: Iterable[Api], pool: ThreadPoolExecutor) -> None:
        self.looks: list[Look] = []
        self.asked: list[Future[Asked]] = []
        self._lab, self._apis, self._pool = lab, tuple(apis), pool
        self._due = time.monotonic()

    def until(self, enough: Callable[[], bool], within_s: float = BACK_S) -> None:
        """Go on until `enough` is true, or time is up."""
        end = time.monotonic() + within_s
        while not enough() and time.monotonic() < end:
            self.looks.append(look(self._lab))
            if time.monotonic() >= self._due:
                number = len(self.asked) // len(self._apis)
                self.asked += [self._pool.submit(ask, api, number) for api in self._apis]
                self._due += EVERY_S
            time.sleep(LOOK_EVERY_S)


@dataclass(frozen=True)
class Outage:
    """RabbitMQ was frozen: from when to when (ns since the epoch), and what was seen until all was over."""

    frozen_ns: int
    thawed_ns: int
    looks: tuple[Look, ...]
    asked: tuple[Asked, ...]
    engine: HeatCall

    @property
    def down(self) -> dict[str, float]:
        """Server → s from the freeze until it was seen DOWN."""
        found: dict[str, float] = {}
        for each in self.looks:
            if each.at_ns > self.frozen_ns:
                for server in each.down:
                    found.setdefault(server, (each.at_ns - self.frozen_ns) / 1e9)
        return found

    @property
    def back_s(self) -> float | None:
        """Seconds from the thaw until no server was DOWN; None where that was not seen."""
        after = [each for each in self.looks if each.at_ns > self.thawed_ns]
        last = max((n for n, each in enumerate(after) if each.down), default=-1)
        return (after[last + 1].at_ns - self.thawed_ns) / 1e9 if last + 1 < len(after) else None


def outage(name: str) -> Outage:
    """Freeze the broker of a lab, and watch. It is let go again, whatever happens."""
    lab = topology.opened(name)
    described = deployments.read(paths.lab(name) / "deployment.toml")
    apis = [api for api in (described.api("rest"), described.api("cfn")) if api is not None]
    with Context(described, Settings()) as context, ThreadPoolExecutor(64) as pool:
        client = HeatClient(context)
        assert client.list_stacks().ok
        watch = Watch(lab, apis, pool)
        watch.until(lambda: len(watch.looks) > 10 and not watch.looks[-1].down)
        frozen = parts.act(lab, "rabbitmq", "freeze")
        try:
            watch.until(lambda: time.time_ns() > frozen + FROZEN_S / 2 * 1e9)
            engine = pool.submit(client.list_stacks)
            watch.until(lambda: time.time_ns() > frozen + FROZEN_S * 1e9)
        finally:
            thawed = parts.act(lab, "rabbitmq", "thaw")
        enough_ns = thawed + int(AFTER_S * 1e9)
        watch.until(lambda: time.time_ns() > enough_ns and not watch.looks[-1].down)
        asked = tuple(each.result() for each in watch.asked)
        return Outage(frozen, thawed, tuple(watch.looks), asked, engine.result())


def answers(asked: Iterable[Asked]) -> str:
    """What came, how often and how fast."""
    by_kind: dict[str, list[float]] = {}
    for each in asked:
        by_kind.setdefault(each.came, []).append(each.took_ms)
    told = [f"{len(ms)} × {came} (median {median(ms):.0f} ms)" for came, ms in sorted(by_kind.items())]
    return ", ".join(told) or "nobody asked"


def gate(name: str) -> Outcome:
    """Run H9, and print what it says."""
    judged = labs.judged(name, "H9").of("H9").judgement
    print(f"  H9: {judged.outcome}: {judged.why}")
    told = ("_detection_s", "_allowed_s")
    figures = {key: value for key, value in judged.figures.items() if key.endswith(told)}
    print(f"  its figures: {figures}", flush=True)
    return judged.outcome


def price(name: str) -> Outage:
    """Freeze the broker, and print the rows of the table."""
    seen = outage(name)
    servers, down, back = seen.looks[-1].servers, seen.down, seen.back_s
    last_down = seen.frozen_ns + int(max(down.values(), default=0) * 1e9)
    meanwhile = [each for each in seen.asked if seen.frozen_ns < each.sent_ns < seen.thawed_ns]
    after = f", after {min(down.values()):.1f} to {max(down.values()):.1f} s" if down else ""
    engine = seen.engine
    print(f"  RabbitMQ was frozen for {(seen.thawed_ns - seen.frozen_ns) / 1e9:.1f} s")
    print(f"  servers DOWN: {len(down)} of {servers}{after}")
    if down:
        print(f"  GET / until the last was DOWN: {answers(a for a in meanwhile if a.sent_ns <= last_down)}")
        meanwhile = [each for each in meanwhile if each.sent_ns > last_down]
    print(f"  GET / meanwhile: {answers(meanwhile)}")
    print(
        f"  a list of stacks, asked {(engine.sent_ns - seen.frozen_ns) / 1e9:.1f} s after the freeze: "
        f"{engine.status or engine.error} after {(engine.done_ns - engine.sent_ns) / 1e9:.1f} s"
    )
    used = "not seen" if back is None else f"{back:.1f} s" if down else "– (none was DOWN)"
    print(f"  all used again after RabbitMQ went on: {used}", flush=True)
    return seen


def tried(name: str, health: str) -> bool:
    """Bring one kind of lab up, measure it, take it down; whether it was as told."""
    print(f"{KINDS[health]}:", flush=True)
    with labs.lab(None, name, "--health", health):
        outcome = gate(name)
        seen = price(name)
    if health == "shallow":
        return outcome is Outcome.FAIL and not seen.down
    return outcome is Outcome.PASS and len(seen.down) == seen.looks[-1].servers and seen.back_s is not None


def main() -> int:
    """Measure both; exit status 1 where one was not as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="one kind of lab (default: both)")
    parser.add_argument("--name", default=NAME, help=f"what the labs are called ({NAME}); none may be up")
    given = parser.parse_args()
    if (paths.lab(given.name) / "lab.json").exists():
        parser.error(f"a lab called {given.name} is up")
    wrong = [health for health in KINDS if given.only in (None, health) and not tried(given.name, health)]
    print(f"not as told: {', '.join(KINDS[health] for health in wrong)}" if wrong else "as told")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
