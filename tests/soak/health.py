"""Gates H over and over on a healthy lab: no false alarm.

Brings a lab of its own up and takes it down. Prints one line a run that was not all green, the slowest
detection against what was allowed, and the counts; exit status 1 where a run was not green.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict

from calorimeter.core.verdict import Outcome, Verdicts
from tests.soak.labs import judged, lab

NAME = "soak-health"


def margins(verdicts: Verdicts) -> dict[str, float]:
    """What was measured minus what was allowed, s, of each detection and recovery."""
    found = {}
    for each in verdicts.verdicts:
        figures = each.judgement.figures
        for key, value in figures.items():
            other = key.replace("_detection_s", "_allowed_s").replace("_recovery_s", "_recovery_allowed_s")
            allowed = figures.get(other)
            if key.endswith(("_detection_s", "_recovery_s")) and "_log_" not in key and allowed and value:
                found[key] = float(value) - float(allowed)
    return found


def main() -> int:
    """Read the command line, run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs (default 20)")
    parser.add_argument("--gates", default="H1,H2,H3,H4,H5,H6,H7,H8", help="gates (default: H1 to H8)")
    parser.add_argument("--lab", help="one that is up; it is left up")
    given = parser.parse_args()
    wrong = 0
    slowest: defaultdict[str, float] = defaultdict(lambda: -1e9)
    with lab(given.lab, NAME) as name:
        for number in range(given.runs):
            began = time.monotonic()
            verdicts = judged(name, given.gates)
            others = [
                f"{v.gate} {v.judgement.outcome}: {v.judgement.why}"
                for v in verdicts.verdicts
                if v.judgement.outcome is not Outcome.PASS
            ]
            wrong += bool(others)
            for key, margin in margins(verdicts).items():
                slowest[key] = max(slowest[key], margin)
            print(f"run {number + 1}: {time.monotonic() - began:.0f} s {others or 'all green'}", flush=True)
    for key, margin in sorted(slowest.items()):
        print(f"{key:<32} at the nearest {-margin:.2f} s before what is allowed")
    print(f"healthy: {given.runs - wrong} of {given.runs} runs all green")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
