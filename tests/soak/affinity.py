"""Gates S and P repeatedly: no false alarm on a healthy lab, and every sabotage found every time.

Uses a lab of its own. Prints one line per unexpected run, and the counts; exit status 1 if there was one.
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
    """The gates that are FAIL, and the verdicts of all that did not pass."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        found = in_process.verified(deployment, gates, Path(runs), **WEAK)
    return failed(found), others(found)


def healthy(deployment: Path, runs: int, gates: str) -> int:
    """Number of runs on the healthy lab in which a gate did not pass."""
    wrong = 0
    for number in range(runs):
        _, not_passed = judged(deployment, gates)
        wrong += bool(not_passed)
        print(f"healthy, run {number + 1}: {not_passed or 'all PASS'}", flush=True)
    print(f"healthy: {runs - wrong} of {runs} runs all PASS", flush=True)
    return wrong


def sabotaged(name: str, deployment: Path, sabotage: str, runs: int, *, long: bool) -> int:
    """Number of runs under one sabotage in which not exactly its gates were FAIL."""
    case = CASES[sabotage]
    gates = f"{QUICK},{LONG}" if long else ",".join(filter(None, (QUICK, case.besides)))
    red = case.red_of_all if long else set(case.red.split())
    found: Counter[str] = Counter()
    wrong = 0
    try:
        for number in range(runs):
            # Repeated for each run: entries of the last run in a stick table would be another sabotage.
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
    """Run the soak. Exit status 1 if a run was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=50, help="runs without sabotage (default 50)")
    parser.add_argument("--each", type=int, default=20, help="runs of each sabotage (default 20)")
    parser.add_argument(
        "--only", choices=CASES, action="append", help="sabotage to run (may be repeated; default: all)"
    )
    parser.add_argument("--short", action="store_true", help="leave out the slow gates")
    parser.add_argument(
        "--gates", default=f"{QUICK},{LONG}", help="gates of the healthy runs (default: all S and P)"
    )
    parser.add_argument("--lab", help="running lab of the same shape, left up (default: one of its own)")
    given = parser.parse_args()
    began = time.monotonic()
    with lab(given.lab, NAME, *SHAPE, *PROXY) as name:
        deployment = paths.lab(name) / "deployment.toml"
        wrong = healthy(deployment, given.healthy, given.gates)
        for sabotage in given.only or CASES:
            wrong += sabotaged(name, deployment, sabotage, given.each, long=not given.short)
    print(f"{wrong} runs were unexpected; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
