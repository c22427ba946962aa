"""Gates E and L over and over: false alarms on a healthy lab, misses under each sabotage of an engine.

Brings a lab of its own up and takes it down. Prints one line a run that was not as it should be, and the
counts; exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from calorimeter import paths, verdict
from calorimeter.verdict import Outcome
from tests.verify.test_sabotage_engines import CASES

NAME = "soak-engines"
WAIVED = {"E9"}


def calorimeter(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def not_green(gates: str, *strength: str) -> dict[str, str]:
    """One run of the gates on the lab: gate → outcome and why, of those that did not pass."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        file = paths.lab(NAME) / "deployment.toml"
        done = calorimeter("verify", str(file), "--gates", gates, "--runs", runs, *strength)
        found = list(Path(runs).glob("*/verdicts.json"))
        assert found, done.stdout + done.stderr
        return {
            each.gate: f"{each.judgement.outcome}: {each.judgement.why}"
            for each in verdict.read(found[0]).verdicts
            if each.judgement.outcome is not Outcome.PASS and each.gate not in WAIVED
        }


def healthy(runs: int, gates: str) -> int:
    """How many of so many runs gave a false alarm."""
    wrong = 0
    for number in range(runs):
        if found := not_green(gates):
            wrong += 1
            print(f"healthy run {number + 1}: {found}", flush=True)
    print(f"healthy: {wrong} false alarms in {runs} runs of {gates}", flush=True)
    return wrong


def sabotaged(runs: int) -> int:
    """How many of so many runs of each sabotage were not red in exactly the right gates."""
    wrong = 0
    for what, (gates, red) in CASES.items():
        missed = 0
        done = calorimeter("lab", "sabotage", what, "--name", NAME)
        assert done.returncode == 0, done.stderr
        for number in range(runs):
            found = not_green(gates, "--calls", "60", "--stacks", "10")
            if set(found) != set(red.split()):
                missed += 1
                print(f"{what} run {number + 1}: {found}", flush=True)
        assert calorimeter("lab", "heal", "--name", NAME).returncode == 0
        print(f"{what}: {runs - missed} of {runs} found", flush=True)
        wrong += missed
    return wrong


def main() -> int:
    """Read the command line, run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="runs on the healthy lab (default 30)")
    parser.add_argument("--sabotages", type=int, default=20, help="runs of each sabotage (default 20)")
    parser.add_argument("--gates", default="E,L", help="gates on the healthy lab (default: E,L)")
    given = parser.parse_args()
    up = calorimeter("lab", "up", "--name", NAME)
    assert up.returncode == 0, up.stderr
    try:
        wrong = healthy(given.runs, given.gates) + sabotaged(given.sabotages)
    finally:
        calorimeter("lab", "down", "--name", NAME)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
