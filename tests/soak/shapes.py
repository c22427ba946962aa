"""Labs of every shape: each comes up, serves, keeps to itself, and goes without a trace.

The shapes are rows of a pairwise table over the options of `lab up`: each value of an option meets each
value of every other, unless `lab up` refuses the two together. In each lab a client creates and deletes a
stack through REST and through CFN. Prints one line per shape with the seconds until the lab was ready and
its memory (proportional set size, so shared pages count once), then the median; exit status 1 if a shape
failed. It needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from itertools import combinations as pairwise
from pathlib import Path

import psutil

from calorimeter.commands.lab_options import given
from calorimeter.commands.lab_up import topology, up
from calorimeter.core import paths
from calorimeter.core.errors import InputError
from calorimeter.lab import combinations, lab_state, processes
from tests.lab.stack_walks import listeners
from tests.soak.labs import calorimeter, left

NAME = "soak-shape"
WALK_S = 300

FACTORS: Mapping[str, tuple[str, ...]] = {
    "heat": ("--heat 24", "--heat 25", "--heat 26", "--heat 27"),
    "profile": ("", "--profile guide", "--profile kolla", "--profile osa", "--profile charm"),
    "serve": ("", "--serve gunicorn", "--serve uwsgi"),
    "engines": ("--engines 3", "--engines 2 --engines-per-host 2", "--engines 1 --workers 2"),
    "messaging": ("", "--messaging classic", "--messaging quorum", "--messaging recommended --prefetch 10"),
    "brokers": (
        "--brokers 1",
        "--brokers 3",
        "--brokers 3 --partition-handling autoheal",
    ),
    "tls": ("", "--tls proxy", "--tls broker", "--tls proxy,backends,broker"),
    "place": ("", "--proxies 2", "--proxies 2 --peers", "--sample guide"),
    "mode": ("", "--mode tcp", "--mode http"),
    "balance": (
        "",
        "--balance source --hash-type consistent",
        "--balance roundrobin",
        "--balance leastconn",
    ),
    "proxy": ("", "--proxy guide", "--proxy checked"),
    "health": ("", "--health rpc"),
}
"""Option → its values, as words of the command line; empty: not given."""


Shape = dict[str, str]
"""Option → one of its values."""

Pair = frozenset[tuple[str, str]]


def words_of(shape: Shape) -> list[str]:
    """The words of the command line of a shape."""
    return " ".join(shape.values()).split()


def can_be(shape: Shape) -> bool:
    """Whether `lab up` accepts these options."""
    try:
        asked = up.make_context("up", ["--name", NAME, *words_of(shape)]).params
        combinations.check(topology(given(asked)), {})
    except InputError:
        return False
    return True


def pairs_of(shape: Shape) -> set[Pair]:
    """All pairs of values in a shape."""
    return {frozenset(pair) for pair in pairwise(shape.items(), 2)}


def accepted_pairs() -> list[Pair]:
    """All pairs of values of two options that `lab up` accepts together, in the order of the options."""
    pairs = (
        ((first, one), (second, other))
        for first, second in pairwise(FACTORS, 2)
        for one in FACTORS[first]
        for other in FACTORS[second]
    )
    return [frozenset(pair) for pair in pairs if can_be(dict(pair))]


def shapes() -> list[Shape]:
    """Shapes in which all accepted pairs occur.

    Each begins with a pair that is missing. Every other option then gets the accepted value that adds most
    of the missing pairs.
    """
    rows: list[Shape] = []
    missing = dict.fromkeys(accepted_pairs())
    while missing:
        shape = dict(next(iter(missing)))
        for option in [each for each in FACTORS if each not in shape]:
            fitting = [value for value in FACTORS[option] if can_be({**shape, option: value})]
            shape[option] = max(fitting, key=partial(_added, missing, shape, option))
        rows.append({option: shape[option] for option in FACTORS})
        for pair in pairs_of(shape):
            missing.pop(pair, None)
    return rows


def _added(missing: Mapping[Pair, None], shape: Shape, option: str, value: str) -> int:
    """How many missing pairs a value of an option forms with the others of a shape."""
    return sum(frozenset({(option, value), each}) in missing for each in shape.items())


@dataclass(frozen=True)
class Walked:
    """One shape: seconds until ready, memory in MB, and what was wrong."""

    ready_s: float
    memory_mb: float
    problems: tuple[str, ...]


def walked(words: list[str]) -> Walked:
    """Bring a lab of one shape up, use it, take it down."""
    began = time.monotonic()
    done = calorimeter("lab", "up", "--name", NAME, *words)
    ready_s = time.monotonic() - began
    folder = paths.lab(NAME)
    problems: list[str] = []
    memory_mb = 0.0
    if done.returncode != 0:
        problems.append(f"did not come up: {' '.join(done.stderr.splitlines()[-3:])[-600:]}")
    else:
        memory_mb = memory(folder)
        for check in (all_run, serves, keeps_to_itself):
            problems += check(folder)
    down = calorimeter("lab", "down", "--name", NAME)
    if done.returncode == 0 and down.returncode != 0:
        problems.append(f"did not go down: {down.stderr[-300:]}")
    return Walked(ready_s, memory_mb, (*problems, *left(folder)))


def memory(folder: Path) -> float:
    """The memory of a lab's processes in MB; pages that several share count once."""
    total = 0
    for process in processes.running(folder):
        with suppress(psutil.Error):
            total += psutil.Process(process.pid).memory_full_info().pss
    return total / 1e6


def all_run(folder: Path) -> list[str]:
    """Parts that do not run, as `lab status` shows them."""
    done = calorimeter("lab", "status", "--name", folder.name, "--json")
    if done.returncode not in (0, 1):
        return [f"lab status: {done.stderr.strip()}"]
    (found,) = json.loads(done.stdout)
    return [f"{part['name']} is {part['state']}" for part in found["parts"] if part["state"] != "running"]


def serves(folder: Path) -> list[str]:
    """What a client saw that creates and deletes stacks through both APIs."""
    argv = [sys.executable, "-m", "tests.lab.stack_walks", str(folder / "deployment.toml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WALK_S, check=False)
    return [] if done.returncode == 0 else [f"a walk failed: {done.stderr.strip()[-600:]}"]


def keeps_to_itself(folder: Path) -> list[str]:
    """Sockets of the lab that others can reach: those of this namespace that are not on loopback."""
    return [
        f"{part} listens on {address}:{port}"
        for part, address, port in listeners(folder)
        if not ip_address(address).is_loopback
    ]


def main() -> int:
    """Walk the shapes. Exit status 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="show the shapes and walk none")
    parser.add_argument("--shape", type=int, action="append", help="number of a shape (default: all)")
    asked = parser.parse_args()
    rows = [words_of(shape) for shape in shapes()]
    if asked.list:
        print("\n".join(f"{number:2} {' '.join(words)}" for number, words in enumerate(rows)))
        return 0
    if os.geteuid() != 0:
        print("bin/soak shapes: shapes with hosts of their own need root", file=sys.stderr)
        return 2
    lab_state.folder(NAME)
    chosen = asked.shape if asked.shape is not None else range(len(rows))
    results = []
    for number in chosen:
        result = walked(rows[number])
        results.append(result)
        state = "FAILED" if result.problems else "as expected"
        print(
            f"{number:2} {state}, ready after {result.ready_s:.1f} s, {result.memory_mb:.0f} MB: "
            f"{' '.join(rows[number])}",
            flush=True,
        )
        print("".join(f"    {problem}\n" for problem in result.problems), end="", flush=True)
    good = sum(not result.problems for result in results)
    print(f"ready after {statistics.median(each.ready_s for each in results):.1f} s (median)")
    print(f"{good} of {len(results)} shapes as expected")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
