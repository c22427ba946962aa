"""The prediction against a real HAProxy: `python -m tests.soak.prediction [--sources N] [--seed N]`.

Each case is a section of one private HAProxy. PROXY protocol headers over a Unix socket announce the
clients, so that a client can have any IPv4 or IPv6 address; each server answers with its name. Prints one
line per case and address family; exit status 1 if a prediction was wrong.
"""

from __future__ import annotations

import argparse
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from pathlib import Path

from calorimeter.core.source_hash import HashRules, HashServer, SourceHash
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.evidence.proxy_stats import StatsSocket
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

MOST_SERVERS = 7
CLIENTS = 4
START_S = 10.0


@dataclass(frozen=True)
class Case:
    """A section: the words of its hash-type, the weights of its servers, which are down or backup.

    `ids` are the servers' ids (empty: 1, 2, …); `options` are further lines, `words` further words of each
    server line.
    """

    name: str
    hash_type: str
    weights: tuple[int, ...]
    down: tuple[int, ...] = ()
    backup: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    balance: str = "source"

    @property
    def rules(self) -> HashRules:
        """The rules that these words mean."""
        rules = HashRules.from_words("source", self.hash_type)
        return HashRules(
            hash_type=rules.hash_type,
            function=rules.function,
            avalanche=rules.avalanche,
            all_backups="option allbackups" in self.options,
            haproxy=installed_version(),
        )

    @property
    def servers(self) -> tuple[HashServer, ...]:
        """The servers, named s1, s2, …"""
        return tuple(
            HashServer(
                f"s{i}", self.ids[i - 1] if self.ids else i, weight, i not in self.down, i in self.backup
            )
            for i, weight in enumerate(self.weights, 1)
        )


@cache
def installed_version() -> str:
    """The version of the HAProxy that is asked."""
    shown = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    return shown.split()[2]


def cases() -> tuple[Case, ...]:
    """Every supported configuration: methods, modifiers, weights, 2 to 7 servers, servers away."""
    kinds = {
        "map": "map-based",
        "map-avalanche": "map-based sdbm avalanche",
        "consistent": "consistent",
        "consistent-plain": "consistent djb2",
    }
    shapes = {
        "2": {"weights": (1, 1)},
        "3": {"weights": (1, 1, 1)},
        "5": {"weights": (1,) * 5},
        "7": {"weights": (1,) * 7},
        "121": {"weights": (1, 2, 1)},
        "gcd": {"weights": (30, 20, 50)},
        "odd": {"weights": (3, 1, 4, 1, 5, 9, 2)},
        "large": {"weights": (256, 100, 7)},
        "zero": {"weights": (1, 0, 2)},
        "3down1": {"weights": (1, 1, 1), "down": (2,)},
        "5down2": {"weights": (1, 2, 1, 3, 1), "down": (1, 4)},
        "onlyone": {"weights": (2, 2, 2), "down": (1, 3)},
        "backup": {"weights": (1, 1, 1), "backup": (3,)},
        "backups": {"weights": (1, 1, 2, 2), "down": (1, 2), "backup": (3, 4)},
        "allbackups": {
            "weights": (1, 1, 2, 3),
            "down": (1, 2),
            "backup": (3, 4),
            "options": ("option allbackups",),
        },
        "ids": {"weights": (1, 1, 1), "ids": (107, 3, 60001)},
    }
    made = [
        Case(f"{kind}-{shape}", words, **given)  # type: ignore[arg-type]
        for kind, words in kinds.items()
        for shape, given in shapes.items()
    ]
    functions = [
        Case(f"{method}-{function}{'-avalanche' if tail else ''}", f"{method} {function}{tail}", (1, 2, 1))
        for method in ("map-based", "consistent")
        for function in ("sdbm", "djb2", "wt6", "crc32")
        for tail in ("", " avalanche")
    ]
    http = [
        Case(f"http-{w.split()[0]}", w, (1, 1, 1), options=("mode http",))
        for w in ("map-based", "consistent")
    ]
    return (*made, *functions, *http)


class PrivateHaproxy:
    """A private HAProxy: its sections accept any source; `stats` is its stats socket."""

    def __init__(self, folder: Path, sections: Sequence[Case]) -> None:
        self.folder = folder
        self.stats = StatsSocket(f"unix://{folder}/stats.sock")
        file = folder / "haproxy.cfg"
        file.write_text("\n".join(self._lines(sections)) + "\n", encoding="utf-8")
        self._process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(file)], cwd=folder)
        with suppress(DeadlineError):
            until(lambda: self._process.poll() is not None or self._answers(), START_S, every_s=0.01)
        if not self._answers():
            self.stop()
            raise RuntimeError(f"haproxy did not start with {file.read_text()}")

    def _answers(self) -> bool:
        try:
            self.stats.show_info()
        except EvidenceUnavailable:
            return False
        return True

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def chosen(self, section: str, sources: Sequence[str]) -> dict[str, str]:
        """Source → the server that answered it, or the whole answer if that is no server's name."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            chunks = [sources[i::CLIENTS] for i in range(CLIENTS)]
            answers = pool.map(lambda chunk: {s: self._ask(section, s) for s in chunk}, chunks)
            return {source: server for answer in answers for source, server in answer.items()}

    def turns(self, section: str, number: int) -> list[str]:
        """The servers of so many connections, one at a time."""
        return [self._ask(section, "10.0.0.1") for _ in range(number)]

    def held(self, section: str, number: int) -> list[str]:
        """The servers of so many connections, opened one after another, which all stay open meanwhile."""
        with ExitStack() as opened:
            return [self._hold(section, opened) for _ in range(number)]

    def _hold(self, section: str, opened: ExitStack) -> str:
        client = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        client.settimeout(10)
        client.connect(f"{self.folder}/{section}.front")
        hello = "PROXY TCP4 10.0.0.1 127.0.0.1 40000 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(hello.encode())
        answer = b""
        while not (body := re.search(rb"\r\n\r\n(s\d)$", answer)):
            chunk = client.recv(4096)
            if not chunk:
                raise RuntimeError(f"no answer: {answer!r}")
            answer += chunk
        return body[1].decode()

    def asked(self, section: str, requests: Sequence[bytes]) -> list[str]:
        """The servers of these requests, each on a connection of its own."""
        return [self._ask(section, "10.0.0.1", request) for request in requests]

    def _ask(self, section: str, source: str, request: bytes = b"GET / HTTP/1.0\r\n\r\n") -> str:
        family, target = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(f"{self.folder}/{section}.front")
            client.sendall(f"PROXY {family} {source} {target} 40000 80\r\n".encode() + request)
            return read_answer(client)

    def _lines(self, sections: Sequence[Case]) -> Iterator[str]:
        yield from (
            "global",
            f"  stats socket {self.folder}/stats.sock mode 600 level admin",
            "  maxconn 4000",
        )
        yield from (
            "defaults",
            "  mode tcp",
            "  timeout connect 5s",
            "  timeout client 10s",
            "  timeout server 10s",
        )
        for number in range(1, MOST_SERVERS + 1):
            yield from (f"frontend answer{number}", "  mode http", f"  bind {self.folder}/s{number}.sock")
            yield f"  http-request return status 200 content-type text/plain string s{number}"
        for case in sections:
            yield f"listen {case.name}"
            yield f"  bind {self.folder}/{case.name}.front accept-proxy"
            yield from (f"  {option}" for option in case.options)
            yield from (f"  balance {case.balance}", f"  hash-type {case.hash_type}")
            for number, server in enumerate(case.servers, 1):
                words = f"  server {server.name} unix@{self.folder}/s{number}.sock weight {server.weight}"
                words += f" id {server.puid}" if case.ids else ""
                words += " backup" if server.backup else ""
                words += f" {case.words[number - 1]}" if case.words else ""
                yield words + ("" if server.up else " disabled")


def read_answer(client: socket.socket) -> str:
    """The body of the answer, read to its end."""
    answer = b""
    while chunk := client.recv(4096):
        answer += chunk
    return answer.rpartition(b"\r\n\r\n")[2].decode()


@contextmanager
def private_haproxy(sections: Sequence[Case]) -> Iterator[PrivateHaproxy]:
    """A HAProxy with these sections, stopped when the context is left."""
    with tempfile.TemporaryDirectory(prefix="hash-") as folder:
        proxy = PrivateHaproxy(Path(folder), sections)
        try:
            yield proxy
        finally:
            proxy.stop()


def random_sources(number: int, version: int, chance: random.Random) -> list[str]:
    """Distinct random addresses as HAProxy prints them."""
    sources: dict[str, None] = {}
    for _ in count():
        if len(sources) == number:
            break
        value = chance.getrandbits(32 if version == 4 else 128)
        sources[str(IPv4Address(value) if version == 4 else IPv6Address(value))] = None
    return list(sources)


def misses(proxy: PrivateHaproxy, case: Case, sources: Sequence[str]) -> list[str]:
    """A sentence for each source that went to another server than predicted."""
    predicted = SourceHash(case.servers, case.rules)
    got = proxy.chosen(case.name, sources)
    return [
        f"{case.name}: {source} went to {server}, predicted {predicted.server(source)}"
        for source, server in got.items()
        if server != predicted.server(source)
    ]


def main() -> int:
    """Run the soak. Exit status 1 if a prediction was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sources", type=int, default=10_000, help="sources of each family in each case (default 10000)"
    )
    parser.add_argument("--seed", type=int, default=None, help="seed of the sources (default: random)")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    everything, wrong, begun = 0, 0, time.monotonic()
    print(f"seed {seed}, {given.sources} sources of each family", flush=True)
    with private_haproxy(cases()) as proxy:
        for case in cases():
            for version in (4, 6):
                missed = misses(proxy, case, random_sources(given.sources, version, chance))
                everything += given.sources
                wrong += len(missed)
                print(
                    f"{case.name:28} IPv{version} {given.sources - len(missed)}/{given.sources}", flush=True
                )
                for sentence in missed[:3]:
                    print(f"    {sentence}")
    elapsed_s = time.monotonic() - begun
    print(f"{len(cases())} cases, {everything} predictions, {wrong} wrong, {elapsed_s:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
