"""`bin/bench beside`: the lateness of a generator that shares its machine with busy processes.

Rounds with and without precedence are interleaved; medians are judged. Nothing is pinned, as in a load.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.bench.clients import canned, contender, measuring_cores
from tests.bench.record import Record, page_option, rounds_option

LAG_P99_MS = 1.0
BUSY = """
import time
while True:
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    time.sleep(0.002)
"""
"""Work of 50 ms and a short wait, as an engine's."""

NICENESS = (0, 0, 5, 5, 5)
"""One busy process each; those of a lab have 5."""

SIDES = {"first": (), "usual": ("usual",)}


@click.command()
@rounds_option
@page_option
@click.option(
    "--seconds",
    type=click.FloatRange(1, 60),
    default=4.0,
    show_default=True,
    help="Length of a measurement.",
)
@click.option(
    "--rate", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Arrivals per second."
)
@click.option("--users", type=click.IntRange(1, 2_000), default=200, show_default=True, help="Users.")
def beside(rounds: int, seconds: float, rate: int, users: int, page: Path | None) -> int:
    """Measure the lag of open arrivals beside busy processes. Exit status 1 if it misses its bound."""
    cores = measuring_cores("haproxy", "taskset", "nice")
    record = Record(
        "A generator that shares its machine",
        f"{rate:,} arrivals per second beside {len(NICENESS)} processes that each want a core, on "
        f"{len(cores)} cores. `first` has precedence as in a load, `usual` has not (`--usual-priority`). "
        f"{rounds} rounds of {seconds:g} s, in turn; medians of the rounds.",
    )
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with canned(cores[1]) as url, _busy():
        for number in range(rounds):
            for side, words in SIDES.items():
                result = contender("calorimeter", url, users, seconds, None, rate, words)
                found[side].append(result)
                record.round(
                    f"round {number + 1}: {side:5}  lag p50 {result['lag_p50_s'] * 1e3:.2f} ms  "
                    f"p99 {result['lag_p99_s'] * 1e3:.2f} ms  max {result['lag_max_s'] * 1e3:.1f} ms  "
                    f"achieved {result['achieved'] / result['offered']:.5f}  cpu {result['cpu']:.0%}"
                )
    for side, results in found.items():
        for name in ("lag_p50_s", "lag_p99_s", "lag_max_s"):
            median_ms = statistics.median(result[name] for result in results) * 1e3
            judged = side == "first" and name == "lag_p99_s"
            wanted = f"at most {LAG_P99_MS:g} ms" if judged else ""
            good = not judged or median_ms <= LAG_P99_MS
            record.figure(f"{side}: {name[:-2].replace('_', ' ')}", f"{median_ms:.2f} ms", wanted, good)
    record.write(page)
    return int(record.missed)


@contextmanager
def _busy() -> Iterator[None]:
    """Busy processes, which end with this block."""
    made = [
        subprocess.Popen(["nice", "-n", str(niceness), sys.executable, "-c", BUSY], env={**os.environ})
        for niceness in NICENESS
    ]
    try:
        yield
    finally:
        for process in made:
            process.kill()
            process.wait()
