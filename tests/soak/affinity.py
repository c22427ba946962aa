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

from calorimeter import paths
from calorimeter.verdict import Outcome
from tests.verify.test_sabotage_proxy import CASES, PROXY, QUICK, SHAPE, calorimeter, verified

NAME = "soak-affinity"


def failed_gates(deployment: Path, gates: str) -> tuple[set[str], dict[str, str]]:
    """The gates that failed, and what those that did not pass said."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        found = verified(deployment, Path(runs), gates)
    others = {
        gate: f"{v.judgement.outcome}: {v.judgement.why}"
        for gate, v in found.items()
        if v.judgement.outcome is not Outcome.PASS
    }
    return {gate for gate, v in found.items() if v.judgement.outcome is Outcome.FAIL}, others


def healthy(deployment: Path, runs: int, gates: str) -> int:
    """Runs on the healthy lab in which a gate did not pass."""
    wrong = 0
    for number in range(runs):
        _, others = failed_gates(deployment, gates)
        if others:
            wrong += 1
            print(f"healthy, run {number + 1}: {others}", flush=True)
    print(f"healthy: {runs - wrong} of {runs} runs all green", flush=True)
    return wrong


def sabotaged(deployment: Path, sabotage: str, runs: int) -> int:
    """Runs under one sabotage in which not exactly its gates were red."""
    gates, red = CASES[sabotage]
    found: Counter[str] = Counter()
    wrong = 0
    told = calorimeter("lab", "sabotage", sabotage, "--name", NAME)
    assert told.returncode == 0, told.stderr
    try:
        for number in range(runs):
            failed, others = failed_gates(deployment, gates)
            found.update(failed)
            if failed != set(red.split()):
                wrong += 1
                print(f"{sabotage}, run {number + 1}: {others}", flush=True)
    finally:
        calorimeter("lab", "heal", "--name", NAME)
    counts = ", ".join(f"{gate} {found[gate]}" for gate in sorted(found))
    print(f"{sabotage}: exactly {red} in {runs - wrong} of {runs} runs ({counts})", flush=True)
    return wrong


def main() -> int:
    """Repeat everything that was asked for; the count of wrong runs decides the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=50, help="runs without sabotage")
    parser.add_argument("--each", type=int, default=20, help="runs of each sabotage")
    parser.add_argument("--only", choices=CASES, help="this sabotage alone")
    parser.add_argument("--gates", default=f"{QUICK},S5,S6,S7,P3,P5,P7", help="of the healthy runs")
    given = parser.parse_args()
    began = time.monotonic()
    up = calorimeter("lab", "up", "--name", NAME, *SHAPE, *PROXY)
    if up.returncode != 0:
        print(up.stderr, file=sys.stderr)
        return 2
    deployment = paths.lab(NAME) / "deployment.toml"
    try:
        wrong = healthy(deployment, given.healthy, given.gates)
        for sabotage in [given.only] if given.only else CASES:
            wrong += sabotaged(deployment, sabotage, given.each)
    finally:
        calorimeter("lab", "down", "--name", NAME)
    print(f"{wrong} runs were wrong; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
