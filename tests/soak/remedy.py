"""Benefit and cost of the deeper health check (`lab up --health rpc`): docs/reference/gates-health.md.

It uses two labs in turn: one with Heat's own check, and one with the check that pings the engines. On
each it runs gate H9; then it freezes RabbitMQ for 12 s (as `calorimeter lab part rabbitmq freeze` does).
During the freeze it sends `GET /` to each API through the proxy every 0.2 s, one list of stacks (which
needs an engine) after 6 s, and polls the proxy's state. Prints the figures; exit status 1 if they differ
from that page: with Heat's own check H9 is FAIL and no server goes DOWN; with the other H9 is PASS, all
go DOWN, and all come UP again.
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
from calorimeter.lab import lab_state, parts
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.lab_state import Lab
from tests.soak import labs

NAME = "soak-remedy"
FROZEN_S = 12.0
BACK_S = 60.0
AFTER_S = 1.0
EVERY_S = 0.2
POLL_EVERY_S = 0.05
ANSWER_S = 5.0
SOURCES = 20
KINDS = {"shallow": "Heat's own check", "rpc": "`--health rpc`"}


@dataclass(frozen=True)
class Visit:
    """A `GET /`: when it was sent, how long it took, and its result (the status or an error)."""

    sent_ns: int
    took_ms: float
    result: str


@dataclass(frozen=True)
class Poll:
    """One poll of the proxy: the number of its servers, and those that it sends no connections to."""

    at_ns: int
    servers: int
    down: frozenset[str]


def visit(api: Api, number: int) -> Visit:
    """One `GET /` on a connection of its own, from one of 20 addresses."""
    front, sent = api.front, time.time_ns()
    try:
        source = (f"127.0.2.{number % SOURCES + 1}", 0)
        with socket.create_connection((front.host, front.port), ANSWER_S, source) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {front}\r\nConnection: close\r\n\r\n".encode())
            words = connection.recv(4096).decode("latin-1").split()
            result = words[1] if len(words) > 1 else "closed without an answer"
    except TimeoutError:
        result = f"no answer within {ANSWER_S:g} s"
    except ConnectionResetError:
        result = "closed without an answer"
    except OSError as problem:
        result = str(problem.strerror)
    return Visit(sent, (time.time_ns() - sent) / 1e6, result)


def poll(lab: Lab) -> Poll:
    """The proxy's state now."""
    servers = [row for row in read_stat(haproxy.command(lab, "show stat")) if row.kind == "server"]
    at = time.time_ns()
    return Poll(at, len(servers), frozenset(row.name for row in servers if not row.takes_connections))


class Watch:
    """Polls the proxy and visits the APIs until a condition holds."""

    def __init__(self, lab: Lab, apis: Iterable[Api], pool: ThreadPoolExecutor) -> None:
        self.polls: list[Poll] = []
        self.visits: list[Future[Visit]] = []
        self._lab, self._apis, self._pool = lab, tuple(apis), pool
        self._due = time.monotonic()

    def until(self, condition: Callable[[], bool], within_s: float = BACK_S) -> None:
        """Go on until `condition` holds, or `within_s` have passed."""
        end = time.monotonic() + within_s
        while not condition() and time.monotonic() < end:
            self.polls.append(poll(self._lab))
            if time.monotonic() >= self._due:
                number = len(self.visits) // len(self._apis)
                self.visits += [self._pool.submit(visit, api, number) for api in self._apis]
                self._due += EVERY_S
            time.sleep(POLL_EVERY_S)


@dataclass(frozen=True)
class Outage:
    """One freeze of RabbitMQ (ns since the epoch), and the polls and visits around it."""

    frozen_ns: int
    thawed_ns: int
    polls: tuple[Poll, ...]
    visits: tuple[Visit, ...]
    engine: HeatCall

    @property
    def down(self) -> dict[str, float]:
        """Server → seconds from the freeze until a poll showed it DOWN."""
        found: dict[str, float] = {}
        for each in self.polls:
            if each.at_ns > self.frozen_ns:
                for server in each.down:
                    found.setdefault(server, (each.at_ns - self.frozen_ns) / 1e9)
        return found

    @property
    def back_s(self) -> float | None:
        """Seconds from the thaw until no server was DOWN; None if that was not seen."""
        after = [each for each in self.polls if each.at_ns > self.thawed_ns]
        last = max((n for n, each in enumerate(after) if each.down), default=-1)
        return (after[last + 1].at_ns - self.thawed_ns) / 1e9 if last + 1 < len(after) else None


def outage(name: str) -> Outage:
    """Freeze the broker of a lab, and watch. It is always thawed again."""
    lab = lab_state.open_lab(name)
    described = deployments.read(paths.lab(name) / "deployment.toml")
    apis = [api for api in (described.api("rest"), described.api("cfn")) if api is not None]
    with Context(described, Settings()) as context, ThreadPoolExecutor(64) as pool:
        client = HeatClient(context)
        assert client.list_stacks().ok
        watch = Watch(lab, apis, pool)
        watch.until(lambda: len(watch.polls) > 10 and not watch.polls[-1].down)
        frozen = parts.act(lab, "rabbitmq", "freeze")
        try:
            watch.until(lambda: time.time_ns() > frozen + FROZEN_S / 2 * 1e9)
            engine = pool.submit(client.list_stacks)
            watch.until(lambda: time.time_ns() > frozen + FROZEN_S * 1e9)
        finally:
            thawed = parts.act(lab, "rabbitmq", "thaw")
        enough_ns = thawed + int(AFTER_S * 1e9)
        watch.until(lambda: time.time_ns() > enough_ns and not watch.polls[-1].down)
        visits = tuple(each.result() for each in watch.visits)
        return Outage(frozen, thawed, tuple(watch.polls), visits, engine.result())


def answers(visits: Iterable[Visit]) -> str:
    """The results, how often each came and how fast."""
    by_kind: dict[str, list[float]] = {}
    for each in visits:
        by_kind.setdefault(each.result, []).append(each.took_ms)
    parts = [f"{len(ms)} × {kind} (median {median(ms):.0f} ms)" for kind, ms in sorted(by_kind.items())]
    return ", ".join(parts) or "no visit"


def gate(name: str) -> Outcome:
    """Run H9, and print its verdict."""
    judged = labs.judged(name, "H9").of("H9").judgement
    print(f"  H9: {judged.outcome}: {judged.why}")
    shown = ("_detection_s", "_allowed_s")
    figures = {key: value for key, value in judged.figures.items() if key.endswith(shown)}
    print(f"  its figures: {figures}", flush=True)
    return judged.outcome


def price(name: str) -> Outage:
    """Freeze the broker, and print the rows of the table."""
    seen = outage(name)
    servers, down, back = seen.polls[-1].servers, seen.down, seen.back_s
    last_down = seen.frozen_ns + int(max(down.values(), default=0) * 1e9)
    during = [each for each in seen.visits if seen.frozen_ns < each.sent_ns < seen.thawed_ns]
    after = f", after {min(down.values()):.1f} to {max(down.values()):.1f} s" if down else ""
    engine = seen.engine
    print(f"  RabbitMQ was frozen for {(seen.thawed_ns - seen.frozen_ns) / 1e9:.1f} s")
    print(f"  servers DOWN: {len(down)} of {servers}{after}")
    if down:
        print(f"  GET / until the last was DOWN: {answers(a for a in during if a.sent_ns <= last_down)}")
        during = [each for each in during if each.sent_ns > last_down]
    print(f"  GET / during the freeze: {answers(during)}")
    print(
        f"  a list of stacks, sent {(engine.sent_ns - seen.frozen_ns) / 1e9:.1f} s after the freeze: "
        f"{engine.status or engine.error} after {(engine.done_ns - engine.sent_ns) / 1e9:.1f} s"
    )
    used = "not seen" if back is None else f"{back:.1f} s" if down else "– (none was DOWN)"
    print(f"  all used again after the thaw: {used}", flush=True)
    return seen


def tried(name: str, health: str) -> bool:
    """Bring one kind of lab up, measure it, take it down; whether the figures were as expected."""
    print(f"{KINDS[health]}:", flush=True)
    with labs.lab(None, name, "--health", health):
        outcome = gate(name)
        seen = price(name)
    if health == "shallow":
        return outcome is Outcome.FAIL and not seen.down
    return outcome is Outcome.PASS and len(seen.down) == seen.polls[-1].servers and seen.back_s is not None


def main() -> int:
    """Measure both labs; exit status 1 if one was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=KINDS, help="one kind of lab (default: both)")
    parser.add_argument(
        "--name", default=NAME, help=f"name of the labs, none of which may be up (default {NAME})"
    )
    given = parser.parse_args()
    if (paths.lab(given.name) / "lab.json").exists():
        parser.error(f"a lab called {given.name} is up")
    wrong = [health for health in KINDS if given.only in (None, health) and not tried(given.name, health)]
    print(f"unexpected: {', '.join(KINDS[health] for health in wrong)}" if wrong else "as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
