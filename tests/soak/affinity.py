"""Gates S and P over and over: no false alarm on a healthy lab, each sabotage found every time.

Brings a lab of its own up and takes it down. Prints one line a run that was wrong, and the counts; exit
status 1 where there was one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from calorimeter.core import paths
from calorimeter.lab.sabotage import proxy_sabotage as sabotages
from tests.gates import in_process
from tests.gates.proxy.test_sabotage_proxy import CASES, LONG, PROXY, QUICK, SERVERS, WEAK, failed, others
from tests.soak.labs import lab

NAME = "soak-affinity"
SHAPE = ["--rest", str(SERVERS), "--cfn", str(SERVERS), "--engines", "1"]


def judged(deployment: Path, gates: str) -> tuple[set[str], dict[str, str]]:
    """The gates that failed, and what those that did not pass said."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        found = in_process.verified(deployment, gates, Path(runs), **WEAK)
    return failed(found), others(found)


def healthy(deployment: Path, runs: int, gates: str) -> int:
    """Runs on the healthy lab in which a gate did not pass."""
    wrong = 0
    for number in range(runs):
        _, not_passed = judged(deployment, gates)
        wrong += bool(not_passed)
        print(f"healthy, run {number + 1}: {not_passed or 'all green'}", flush=True)
    print(f"healthy: {runs - wrong} of {runs} runs all green", flush=True)
    return wrong


def sabotaged(name: str, deployment: Path, sabotage: str, runs: int, *, long: bool) -> int:
    """Runs under one sabotage in which not exactly its gates were red."""
    case = CASES[sabotage]
    gates = f"{QUICK},{LONG}" if long else ",".join(filter(None, (QUICK, case.besides)))
    red = case.red_of_all if long else set(case.red.split())
    found: Counter[str] = Counter()
    wrong = 0
    try:
        for number in range(runs):
            # Anew each time: what a stick table remembers of the last run would be another sabotage.
            sabotages.sabotage(name, sabotage)
            red_gates, not_passed = judged(deployment, gates)
            found.update(red_gates)
            if red_gates != red:
                wrong += 1
                print(f"{sabotage}, run {number + 1}: {not_passed}", flush=True)
    finally:
        sabotages.heal(name)
    counts = ", ".join(f"{gate} {found[gate]}" for gate in sorted(found))
    print(
        f"{sabotage}: exactly {' '.join(sorted(red))} in {runs - wrong} of {runs} runs ({counts})",
        flush=True,
    )
    return wrong


def main() -> int:
    """Repeat everything that was asked for; the count of wrong runs decides the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=50, help="runs without sabotage")
    parser.add_argument("--each", type=int, default=20, help="runs of each sabotage")
    parser.add_argument(
        "--only", choices=CASES, action="append", help="this sabotage alone (may be repeated)"
    )
    parser.add_argument("--short", action="store_true", help="without the gates that take long")
    parser.add_argument("--gates", default=f"{QUICK},{LONG}", help="of the healthy runs")
    parser.add_argument("--lab", help="one that is up, of the same shape; it is left up")
    given = parser.parse_args()
    began = time.monotonic()
    with lab(given.lab, NAME, *SHAPE, *PROXY) as name:
        deployment = paths.lab(name) / "deployment.toml"
        wrong = healthy(deployment, given.healthy, given.gates)
        for sabotage in given.only or CASES:
            wrong += sabotaged(name, deployment, sabotage, given.each, long=not given.short)
    print(f"{wrong} runs were wrong; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
