"""Gates E and L over and over: false alarms on a healthy lab, misses under each sabotage of an engine.

Brings a lab of its own up and takes it down, or uses `--lab NAME`. Prints one line a run that was not as it
should be, and the counts; exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
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


def not_green(name: str, gates: str, *strength: str) -> dict[str, str]:
    """One run of the gates on the lab: gate → outcome and why, of those that did not pass."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        file = paths.lab(name) / "deployment.toml"
        done = calorimeter("verify", str(file), "--gates", gates, "--runs", runs, *strength)
        found = list(Path(runs).glob("*/verdicts.json"))
        assert found, done.stdout + done.stderr
        return {
            each.gate: f"{each.judgement.outcome}: {each.judgement.why}"
            for each in verdict.read(found[0]).verdicts
            if each.judgement.outcome is not Outcome.PASS and each.gate not in WAIVED
        }


def healthy(name: str, runs: int, gates: str, strength: tuple[str, ...]) -> int:
    """How many of so many runs gave a false alarm."""
    wrong = 0
    for number in range(runs):
        began = time.monotonic()
        found = not_green(name, gates, *strength)
        wrong += bool(found)
        print(f"run {number + 1}: {time.monotonic() - began:.0f} s {found or 'all green'}", flush=True)
    print(f"healthy: {wrong} false alarms in {runs} runs of {gates} {' '.join(strength)}", flush=True)
    return wrong


def sabotaged(name: str, runs: int, chosen: list[str]) -> int:
    """How many of so many runs of each sabotage were not red in exactly the right gates."""
    wrong = 0
    for what in chosen:
        gates, red = CASES[what]
        missed = 0
        done = calorimeter("lab", "sabotage", what, "--name", name)
        assert done.returncode == 0, done.stderr
        for number in range(runs):
            found = not_green(name, gates, "--calls", "60", "--stacks", "10")
            failed = {gate for gate, said in found.items() if said.startswith("FAIL")}
            if failed != set(red.split()) or failed != set(found):
                missed += 1
                print(f"{what} run {number + 1}: {found}", flush=True)
        assert calorimeter("lab", "heal", "--name", name).returncode == 0
        print(f"{what}: {runs - missed} of {runs} found", flush=True)
        wrong += missed
    return wrong


def main() -> int:
    """Read the command line, run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="runs on the healthy lab (default 30)")
    parser.add_argument("--sabotages", type=int, default=20, help="runs of each sabotage (default 20)")
    parser.add_argument("--gates", default="E,L", help="gates on the healthy lab (default: E,L)")
    parser.add_argument("--calls", type=int, default=1000, help="strength on the healthy lab (1000)")
    parser.add_argument("--stacks", type=int, default=42, help="stacks of a burst there (42)")
    parser.add_argument("--only", choices=[*CASES, "none"], help="one kind of sabotage (default: all)")
    parser.add_argument("--lab", help="a lab that is up")
    given = parser.parse_args()
    name = given.lab or NAME
    chosen = [what for what in CASES if given.only in (None, what)]
    if not given.lab:
        up = calorimeter("lab", "up", "--name", name)
        assert up.returncode == 0, up.stderr
    try:
        strength = ("--calls", str(given.calls), "--stacks", str(given.stacks))
        wrong = healthy(name, given.runs, given.gates, strength) if given.runs else 0
        wrong += sabotaged(name, given.sabotages, chosen)
    finally:
        if not given.lab:
            calorimeter("lab", "down", "--name", name)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
