"""`bin/bench live`: what Locust's page with its tab costs a load that somebody looks at."""

from __future__ import annotations

import statistics
from pathlib import Path

import click

from tests.bench.clients import canned, contender, measuring_cores
from tests.bench.other_processes import OtherProcesses
from tests.bench.record import Record, page_option, rounds_option

MOST_COST = 0.02


@click.command()
@rounds_option
@page_option
@click.option(
    "--seconds", type=click.FloatRange(5), default=10.0, show_default=True, help="Length of a measurement."
)
@click.option("--users", type=click.IntRange(1), default=64, show_default=True, help="Connections.")
def live(rounds: int, seconds: float, users: int, page: Path | None) -> int:
    """Compare a load with Locust's page and its tab with the same load without. Exit status 1 above 2 %.

    What is compared is requests per second of the generator's own CPU time: the watch and the browser run
    beside it, as they do in a load.
    """
    cores = measuring_cores("haproxy", "taskset")
    record = Record(
        "What the live tab costs",
        "Requests per second of the generator's own CPU time, with Locust's page, its tab, a browser that "
        "asks every two seconds and a Prometheus that asks every five, beside the same load without any. "
        f"Rounds are paired, in alternating order. {users} connections, {rounds} rounds of {seconds:g} s.",
    )
    others = OtherProcesses(len(cores))
    costs, walls = [], []
    with canned(cores[1]) as url:
        for number in range(rounds):
            order = ("calorimeter", "live") if number % 2 == 0 else ("live", "calorimeter")
            found = {kind: contender(kind, url, users, seconds, cores[0]) for kind in order}
            with_it, without = found["live"], found["calorimeter"]
            costs.append(1 - (with_it["per_s"] / with_it["cpu"]) / (without["per_s"] / without["cpu"]))
            walls.append(1 - with_it["per_s"] / without["per_s"])
            record.round(
                f"round {number + 1}: without {without['per_s']:,.0f}/s ({without['cpu']:.0%} of a core)  "
                f"with {with_it['per_s']:,.0f}/s ({with_it['cpu']:.0%}, {with_it['answers']:.0f} answers)  "
                f"cost {costs[-1]:+.1%}"
            )
    record.note_others(others)
    cost = statistics.median(costs)
    spread = f"({min(costs):+.1%} to {max(costs):+.1%})"
    most = f"at most {MOST_COST:.0%}"
    record.figure("cost per CPU time of the generator", f"{cost:+.2%} {spread}", most, cost <= MOST_COST)
    record.figure("cost in requests per second", f"{statistics.median(walls):+.2%}")
    record.write(page)
    return int(record.missed)
