"""`bin/bench arrivals`: the lateness of open arrivals at 10,000 per second, and the cost of recording.

HAProxy answers on one core; one worker with 2,000 users and as many source addresses runs on the other.
Rounds with and without the recorder, Poisson and evenly spaced, are interleaved; medians are judged.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import click

from tests.bench.clients import canned, contender, measuring_cores, pauses
from tests.bench.other_processes import OtherProcesses
from tests.bench.record import Record, page_option, rounds_option

KINDS = ("calorimeter", "unrecorded")
SPACINGS = {"poisson": 1, "constant": -1}
"""The sign of the rate that selects a spacing in `tests.bench.contender`."""

Found = dict[tuple[str, str], list[dict[str, float]]]
"""The results of all rounds, by kind and spacing."""

OTHERS_SHARE = 0.05
LAG_P99_MS = 2.0
ACHIEVED = 0.999
STALL_MS = 5.0


@click.command()
@rounds_option
@page_option
@click.option(
    "--seconds", type=click.FloatRange(1), default=5.0, show_default=True, help="Length of a measurement."
)
@click.option(
    "--rate", type=click.IntRange(1), default=10_000, show_default=True, help="Arrivals per second."
)
@click.option(
    "--users", type=click.IntRange(1), default=2_000, show_default=True, help="Users, each with a source."
)
def arrivals(rounds: int, seconds: float, rate: int, users: int, page: Path | None) -> int:
    """Measure the lag of open arrivals. Exit status 1 if a figure misses its bound."""
    cores = measuring_cores("haproxy", "taskset")
    record = Record(
        "Open arrivals",
        f"One worker on one core, {rate:,} arrivals per second, {users:,} users with a source each, "
        f"everything on; HAProxy answers from the other core. {rounds} rounds of {seconds:g} s, with and "
        "without the recorder in turn; medians of the rounds.",
    )
    found: Found = {}
    floor_s: list[float] = []
    others = OtherProcesses(len(cores))
    with canned(cores[1]) as url:
        for number in range(rounds):
            floor_s.append(pauses(seconds, cores[0])["longest_s"])
            for spacing, signed in SPACINGS.items():
                for kind in KINDS:
                    result = contender(kind, url, users, seconds, cores[0], signed * rate)
                    found.setdefault((kind, spacing), []).append(result)
                result = found["calorimeter", spacing][-1]
                record.round(
                    f"round {number + 1}: {spacing:8}  lag p50 {result['lag_p50_s'] * 1e3:.2f} ms  "
                    f"p99 {result['lag_p99_s'] * 1e3:.2f} ms  max {result['lag_max_s'] * 1e3:.1f} ms  "
                    f"achieved {result['achieved'] / result['offered']:.5f}  cpu {result['cpu']:.0%}"
                )
    share = record.note_others(others)
    if share > OTHERS_SHARE:
        record.note("So these figures depend as much on those processes as on Calorimeter.")
    judge(record, found, users)
    longest_ms = statistics.median(floor_s) * 1e3
    record.figure("longest pause of a process that only reads the clock", f"{longest_ms:.1f} ms")
    record.write(page)
    return int(record.missed)


def judge(record: Record, found: Found, users: int) -> None:
    """Record the medians of the rounds and their bounds."""

    def median(kind: str, spacing: str, name: str) -> float:
        return statistics.median(result[name] for result in found[kind, spacing])

    for spacing in SPACINGS:
        lag_ms = median("calorimeter", spacing, "lag_p99_s") * 1e3
        wanted = f"at most {LAG_P99_MS:g} ms"
        record.figure(f"{spacing}: lag p99", f"{lag_ms:.2f} ms", wanted, lag_ms <= LAG_P99_MS)
        achieved = statistics.median(
            result["achieved"] / result["offered"] for result in found["calorimeter", spacing]
        )
        wanted = f"at least {ACHIEVED}"
        record.figure(f"{spacing}: achieved/offered", f"{achieved:.5f}", wanted, achieved >= ACHIEVED)
    connections = {int(result["connections"]) for result in found["calorimeter", "poisson"]}
    shown = ", ".join(map(str, sorted(connections)))
    record.figure(f"connections of {users:,} users", shown, f"exactly {users}", connections == {users})
    cost = 1 - statistics.median(
        without["cpu"] / recorded["cpu"]
        for spacing in SPACINGS
        for recorded, without in zip(
            found["calorimeter", spacing], found["unrecorded", spacing], strict=True
        )
    )
    record.recorder_figures(cost, f"{cost:.1%}", found["calorimeter", "poisson"][-1])
    stall_ms = median("calorimeter", "poisson", "stall_s") * 1e3
    wanted = f"at most {STALL_MS:g} ms"
    record.figure("longest stall of the event loop", f"{stall_ms:.1f} ms", wanted, stall_ms <= STALL_MS)
    without_ms = median("unrecorded", "poisson", "stall_s") * 1e3
    record.figure("the same without the recorder", f"{without_ms:.1f} ms")
