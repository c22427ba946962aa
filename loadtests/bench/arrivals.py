"""`bin/bench arrivals`: how punctual open arrivals are at 10,000 a second, and what recording costs.

HAProxy answers on one core, one worker with 2,000 users and as many source addresses runs on the other;
rounds with and without the recorder, Poisson and evenly spaced, are interleaved, and medians are judged.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time

import click

from calorimeter.errors import InputError
from loadtests.bench.client import busy_s, canned, contender, own_s

KINDS = ("calorimeter", "unrecorded")
LAG_P99_S = 0.002
ACHIEVED = 0.999
RECORDER_SHARE = 0.10
BYTES_A_SAMPLE = 36
STALL_S = 0.005


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
def arrivals(rounds: int, seconds: float, rate: int, users: int) -> int:
    """Measure the lag of open arrivals; exit status 1 where a figure misses what is promised."""
    missing = [name for name in ("haproxy", "taskset") if shutil.which(name) is None]
    if missing:
        raise InputError("bench", f"{', '.join(missing)} not found", "apt-get install haproxy util-linux")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise InputError("bench", "one core", "valid: two, one for HAProxy and one for the generator")
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    started, before = time.monotonic(), (busy_s(), own_s())
    with canned(cores[1]) as url:
        for number in range(rounds):
            for spacing, signed in (("poisson", rate), ("constant", -rate)):
                for kind in KINDS:
                    result = contender(kind, url, users, seconds, cores[0], signed)
                    found.setdefault((kind, spacing), []).append(result)
                result = found["calorimeter", spacing][-1]
                click.echo(
                    f"round {number + 1}: {spacing:8}  lag p50 {result['lag_p50_s'] * 1e3:.2f} ms  "
                    f"p99 {result['lag_p99_s'] * 1e3:.2f} ms  max {result['lag_max_s'] * 1e3:.1f} ms  "
                    f"achieved {result['achieved'] / result['offered']:.5f}  cpu {result['cpu']:.0%}"
                )
    others = (busy_s() - before[0]) - (own_s() - before[1])
    share = others / (time.monotonic() - started) / len(cores)
    click.echo(f"other processes used {share:.0%} of this machine meanwhile")
    return judge(found, users)


def judge(found: dict[tuple[str, str], list[dict[str, float]]], users: int) -> int:
    """Print medians over the rounds beside what is wanted; 1 where one misses it."""
    missed = False

    def line(text: str, value: float, wanted: str, good: bool) -> None:
        nonlocal missed
        missed |= not good
        click.echo(f"{text:46} {value:10.5g}   wanted: {wanted}{'' if good else '   MISSED'}")

    def median(kind: str, spacing: str, name: str) -> float:
        return statistics.median(result[name] for result in found[kind, spacing])

    for spacing in ("poisson", "constant"):
        lag = median("calorimeter", spacing, "lag_p99_s")
        line(f"{spacing}: lag p99, ms", lag * 1e3, f"at most {LAG_P99_S * 1e3:g}", lag <= LAG_P99_S)
        achieved = statistics.median(
            result["achieved"] / result["offered"] for result in found["calorimeter", spacing]
        )
        line(f"{spacing}: achieved/offered", achieved, f"at least {ACHIEVED}", achieved >= ACHIEVED)
    connections = {result["connections"] for result in found["calorimeter", "poisson"]}
    worst = max(connections, key=lambda count: abs(count - users))
    line(f"connections of {users} users", worst, f"exactly {users}", connections == {users})
    cost = 1 - statistics.median(
        without["cpu"] / with_["cpu"]
        for spacing in ("poisson", "constant")
        for with_, without in zip(found["calorimeter", spacing], found["unrecorded", spacing], strict=True)
    )
    line(
        "recorder, share of the generator's CPU", cost, f"at most {RECORDER_SHARE}", cost <= RECORDER_SHARE
    )
    last = found["calorimeter", "poisson"][-1]
    size = last["bytes"] / last["rows"]
    line("recorder, bytes a sample on disk", size, f"at most {BYTES_A_SAMPLE}", size <= BYTES_A_SAMPLE)
    stall = median("calorimeter", "poisson", "stall_s")
    without = median("unrecorded", "poisson", "stall_s")
    line("longest stall of the event loop, ms", stall * 1e3, f"at most {STALL_S * 1e3:g}", stall <= STALL_S)
    click.echo(f"{'  without the recorder, ms':46} {without * 1e3:10.5g}")
    return int(missed)
