"""`bin/bench client`: requests per second of one core, beside FastHttpUser, hey and wrk.

HAProxy answers on one core; the generators run on the other, one after another. Rounds are interleaved, so
other work of the machine affects all generators, and rates of the same round are compared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from calorimeter.core.errors import InputError
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import tls_files
from tests.bench.other_processes import OtherProcesses, own_s
from tests.bench.record import Record, page_option, rounds_option

CONFIG = Path(__file__).with_name("haproxy.cfg")
CA_FILE = "BENCH_CA_FILE"
"""The environment variable with the authority of the canned API's certificate, for `contender`."""

KINDS = ("calorimeter", "unrecorded", "fasthttp", "hey", "wrk")
LEAST_RATIO = {"fasthttp": 6.0, "hey": 1.25, "wrk": 0.4}
"""Calorimeter's rate must be at least this many times that of each other generator."""

PACKAGES = {"taskset": "util-linux"}
"""Packages whose names differ from those of their programs."""

OTHERS_SHARE = 0.10


@click.command()
@rounds_option
@page_option
@click.option(
    "--seconds", type=click.FloatRange(1), default=3.0, show_default=True, help="Length of a measurement."
)
@click.option("--users", type=click.IntRange(1, 9_000), default=64, show_default=True, help="Connections.")
@click.option("--tls", is_flag=True, help="Over https; only calorimeter verifies the certificate.")
def client(rounds: int, seconds: float, users: int, tls: bool, page: Path | None) -> int:
    """Compare the HTTP client with others. Exit status 1 if a ratio is below its bound.

    If other processes keep the machine busy, requests per second of each generator's own CPU time are
    compared instead. On a quiet machine the result is the same, because each generator fills its core.
    """
    cores = measuring_cores("haproxy", "hey", "wrk", "taskset")
    record = Record(
        "The HTTP client beside others",
        "Requests per second of one core; HAProxy answers from the other. Rounds are interleaved, and "
        f"rates of the same round are compared: medians, and their range. {users} connections"
        f"{' under TLS' if tls else ''}, {rounds} "
        f"rounds of {seconds:g} s each. `calorimeter` has everything on: recording, a source per user, "
        "Locust's statistics; `unrecorded` is the same without the recorder; `fasthttp` is Locust's "
        "FastHttpUser.",
    )
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    efficiencies: dict[str, list[float]] = {kind: [] for kind in KINDS}
    last: dict[str, float] = {}
    others = OtherProcesses(len(cores))
    with canned(cores[1], tls) as url:
        for number in range(rounds):
            for kind in KINDS:
                result = measure(kind, url, users, seconds, cores[0])
                if not result["per_s"]:
                    raise InputError("bench", f"{kind}: no answer in {seconds:g} s", "a quieter machine")
                rates[kind].append(result["per_s"])
                efficiencies[kind].append(result["per_s"] / result["cpu"])
                last = result if kind == "calorimeter" else last
            record.round(
                f"round {number + 1}: " + "  ".join(f"{kind} {rates[kind][-1]:,.0f}/s" for kind in KINDS)
            )
    share = record.note_others(others)
    if share > OTHERS_SHARE:
        record.note("So requests per second of each generator's own CPU time are compared.")
        rates = efficiencies
    judge(record, rates, last)
    record.write(page)
    return int(record.missed)


def measuring_cores(*programs: str) -> list[int]:
    """The cores to measure on. Raises InputError if programs or cores are missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        packages = " ".join(PACKAGES.get(name, name) for name in programs)
        raise InputError("bench", f"{', '.join(missing)} not found", f"apt-get install {packages}")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("bench", "one core", "valid: two, one for HAProxy and one for the generator")
    return cores


def judge(record: Record, rates: dict[str, list[float]], last: dict[str, float]) -> None:
    """Record the ratios of the same round and their bounds: median and range."""
    ours = rates["calorimeter"]
    for kind, values in rates.items():
        rate = f"{statistics.median(values):,.0f}/s"
        if kind in LEAST_RATIO:
            ratios = [own / other for own, other in zip(ours, values, strict=True)]
            ratio = statistics.median(ratios)
            shown = f"{rate} ({ratio:.2f} ×, {min(ratios):.2f} to {max(ratios):.2f})"
            wanted = f"calorimeter at least {LEAST_RATIO[kind]:g} ×"
            record.figure(kind, shown, wanted, ratio >= LEAST_RATIO[kind])
        else:
            record.figure(kind, rate)
    shares = [1 - own / free for own, free in zip(ours, rates["unrecorded"], strict=True)]
    share = statistics.median(shares)
    shown = f"{share:.1%} ({min(shares):.0%} to {max(shares):.0%})"
    record.recorder_figures(share, shown, last)


def measure(kind: str, url: str, users: int, seconds: float, core: int) -> dict[str, float]:
    """One measurement of one generator, pinned to `core`."""
    pinned = ["taskset", "-c", str(core)]
    foreign = {
        "wrk": ["wrk", "-t1", f"-c{users}", f"-d{seconds:g}s", f"{url}/x/stacks"],
        "hey": ["hey", "-cpus", "1", "-c", str(users), "-z", f"{seconds:g}s", f"{url}/x/stacks"],
    }
    if kind in foreign:
        before = own_s()
        output = _run([*pinned, *foreign[kind]])
        return {
            "per_s": _number(r"Requests/sec:\s+([\d.]+)", output),
            "cpu": (own_s() - before) / seconds,
        }
    return contender(kind, url, users, seconds, core)


def contender(
    kind: str,
    url: str,
    users: int,
    seconds: float,
    core: int | None,
    rate: float = 0,
    more: Sequence[str] = (),
) -> dict[str, float]:
    """One measurement of `tests.bench.contender`; with `rate`, of open arrivals; None pins it nowhere."""
    words = [kind, url, str(users), str(seconds), *([str(rate)] if rate else []), *more]
    result = _module("contender", words, core)
    if result["failures"] and not rate:
        raise InputError("bench", f"{kind}: {result['failures']:.0f} requests failed")
    return result


def pauses(seconds: float, core: int) -> dict[str, float]:
    """One measurement of `tests.bench.core_pauses`."""
    return _module("core_pauses", [str(seconds)], core)


def _module(name: str, words: list[str], core: int | None) -> dict[str, float]:
    """The JSON object that a module of this package prints, run in a process of its own on one core."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pinned, sys.executable, "-m", f"tests.bench.{name}", *words]
    result: dict[str, float] = json.loads(_run(command))
    return result


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise InputError("bench", f"{' '.join(command[:5])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise InputError("bench", "a generator printed no rate")
    return float(match[1])


@contextmanager
def canned(core: int, tls: bool = False) -> Iterator[str]:
    """HAProxy with canned answers on one core; yields the API's URL."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        ports = free.getsockname()[1], other.getsockname()[1]
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryDirectory() as folder:
        tls_files.write(Path(folder), "bench", ["127.0.0.1"])
        os.environ[CA_FILE] = str(tls_files.ca_file(Path(folder)))
        names = {"PORT": str(ports[0]), "TLS_PORT": str(ports[1])}
        names["CERTIFICATE"] = str(tls_files.certificate(Path(folder)))  # its key is beside it
        command = ["taskset", "-c", str(core), "haproxy", "-db", "-f", str(CONFIG)]
        process = subprocess.Popen(command, env={**os.environ, **names}, stdout=errors, stderr=errors)
        try:
            _await_port(ports[0], process)
            yield f"https://127.0.0.1:{ports[1]}/v1" if tls else f"http://127.0.0.1:{ports[0]}/v1"
        finally:
            process.terminate()
            process.wait(10)


def _await_port(port: int, process: subprocess.Popen[bytes], within_s: float = 5.0) -> None:
    def accepts() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    with suppress(DeadlineError):
        if until(lambda: process.poll() is not None or accepts(), within_s) and process.poll() is None:
            return
    raise InputError("bench", "HAProxy does not start", f"try: haproxy -c -f {CONFIG}")
