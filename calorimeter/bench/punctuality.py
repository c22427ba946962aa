"""`bin/bench arrivals`: how punctual open arrivals are at 10,000 a second, and what recording costs.

HAProxy answers on one core, one worker with 2,000 users and as many source addresses runs on the other;
rounds with and without the recorder, Poisson and evenly spaced, are interleaved, and medians are judged.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import click

from calorimeter.bench.clients import canned, contender, pauses, ready
from calorimeter.bench.other_processes import OtherProcesses
from calorimeter.bench.record import Record

KINDS = ("calorimeter", "unrecorded")
SPACINGS = {"poisson": 1, "constant": -1}
"""With the sign of the rate by which `calorimeter.bench.contender` knows them."""

Found = dict[tuple[str, str], list[dict[str, float]]]
"""Results of each round by kind and spacing."""

OTHERS_SHARE = 0.05
LAG_P99_MS = 2.0
ACHIEVED = 0.999
RECORDER_SHARE = 0.10
BYTES_A_SAMPLE = 36
STALL_MS = 5.0


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(1), default=5.0, show_default=True, help="Of each measurement."
)
@click.option(
    "--rate", type=click.IntRange(1), default=10_000, show_default=True, help="Arrivals a second."
)
@click.option(
    "--users", type=click.IntRange(1), default=2_000, show_default=True, help="With an address each."
)
@click.option(
    "--page", type=click.Path(path_type=Path), help="Write the results to this Markdown file, too."
)
def arrivals(rounds: int, seconds: float, rate: int, users: int, page: Path | None) -> int:
    """Measure the lag of open arrivals; exit status 1 where a figure misses what is promised."""
    cores = ready("haproxy", "taskset")
    record = Record(
        "Open arrivals",
        f"One worker on one core, {rate:,} arrivals a second, {users:,} users with a source address each, "
        f"everything on; HAProxy answers from the other core. {rounds} rounds of {seconds:g} s, with and "
        "without the recorder in turn; medians over the rounds.",
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
    share = record.meanwhile(others)
    if share > OTHERS_SHARE:
        record.note("So these figures say as much about them as about Calorimeter.")
    judge(record, found, users)
    longest_ms = statistics.median(floor_s) * 1e3
    record.figure("longest pause of a process that only reads the clock", f"{longest_ms:.1f} ms")
    record.write(page)
    return int(record.missed)


def judge(record: Record, found: Found, users: int) -> None:
    """Medians over the rounds beside what is wanted."""

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
    wanted = f"at most {RECORDER_SHARE:.0%}"
    record.figure("recorder, part of the generator's CPU", f"{cost:.1%}", wanted, cost <= RECORDER_SHARE)
    last = found["calorimeter", "poisson"][-1]
    size = last["bytes"] / last["rows"]
    wanted = f"at most {BYTES_A_SAMPLE}"
    record.figure("recorder, bytes a sample on disk", f"{size:.1f}", wanted, size <= BYTES_A_SAMPLE)
    stall_ms = median("calorimeter", "poisson", "stall_s") * 1e3
    wanted = f"at most {STALL_MS:g} ms"
    record.figure("longest stall of the event loop", f"{stall_ms:.1f} ms", wanted, stall_ms <= STALL_MS)
    without_ms = median("unrecorded", "poisson", "stall_s") * 1e3
    record.figure("the same without the recorder", f"{without_ms:.1f} ms")
