"""Upgrades under load, again and again: stacks accounted for, requests that failed, losses where they are
provoked.

Each round has a lab of its own at the release `--from`, upgraded by `--procedure`. Expected are PASS of U1
to U4 for `corrected`, PASS of U2 and U3 for `heat` (failed requests are counted), and FAIL of U2 for
`warned-loss`, and for `one-vhost` from 25 to 26 with `--even-so`. Prints a line per round, and the counts;
exit status 1 if a round was not as expected.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from calorimeter.core import paths, verdict
from calorimeter.core.verdict import Outcome
from tests.soak.labs import calorimeter, lab

NAME = "soak-upgrades"

EXPECTED: dict[str, dict[str, tuple[Outcome, ...]]] = {
    "corrected": dict.fromkeys(("U1", "U2", "U3", "U4"), (Outcome.PASS,)),
    "heat": dict.fromkeys(("U2", "U3"), (Outcome.PASS,)),
    "warned-loss": {"U2": (Outcome.FAIL,)},
    "one-vhost": {"U2": (Outcome.FAIL,)},
}
"""Procedure → gate → outcomes that it must have, if it was judged."""


def one_round(words: list[str], runs: Path) -> tuple[dict[str, Outcome], dict[str, Any], str]:
    """The verdicts of one upgrade of the lab, the figures of U2, and the last line of its output."""
    file = paths.lab(NAME) / "deployment.toml"
    done = calorimeter("upgrade", "--deployment", str(file), "--runs", str(runs), *words)
    found = sorted(runs.glob("*/verdicts.json"))
    last = ([*done.stderr.strip().splitlines(), "nothing"])[-1] if not found else ""
    if not found:
        return {}, {}, last
    judged = verdict.read(found[-1])
    outcomes = {each.gate: each.judgement.outcome for each in judged.verdicts}
    figures: dict[str, Any] = {}
    for each in judged.verdicts:
        if each.gate in ("U1", "U2"):
            figures |= each.judgement.figures
    return outcomes, figures, last


def main() -> None:
    """Run the rounds."""
    parser = argparse.ArgumentParser(prog=sys.argv[0], description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="upgrades (default 20)")
    parser.add_argument("--from", dest="start", default="24", help="release to begin with (default 24)")
    parser.add_argument("--to", default="25", help="release to upgrade to (default 25)")
    parser.add_argument("--procedure", default="corrected", help="procedure (default corrected)")
    parser.add_argument("--keep", type=Path, help="folder for the run folders")
    given, more = parser.parse_known_args()
    expected, counts, wrong = EXPECTED.get(given.procedure, {}), Counter[str](), 0
    for number in range(1, given.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="calorimeter-") as scratch:
            runs = (given.keep / f"{number}") if given.keep else Path(scratch)
            began = time.monotonic()
            with lab(None, NAME, "--heat", given.start):
                words = ["--to", given.to, "--procedure", given.procedure, *more]
                outcomes, figures, last = one_round(words, runs)
        bad = [
            f"{gate} {outcomes.get(gate, 'without a verdict')}"
            for gate, allowed in expected.items()
            if (gate in outcomes or gate != "U4") and outcomes.get(gate) not in allowed
        ]
        wrong += bool(bad)
        for name in ("requests", "unexcused", "stacks_accepted", "stacks_failed", "stacks_lost"):
            counts[name] += int(figures.get(name) or 0)
        counts["rounds with a loss"] += bool(figures.get("stacks_lost"))
        counts["rounds with a failed request"] += bool(figures.get("unexcused"))
        shown = ", ".join(f"{gate} {outcome}" for gate, outcome in outcomes.items()) or last
        print(
            f"round {number}: {time.monotonic() - began:.0f} s, {shown}; {json.dumps(figures)}"
            f"{'; NOT AS EXPECTED: ' + ', '.join(bad) if bad else ''}",
            flush=True,
        )
    print(f"{given.rounds} rounds, {wrong} not as expected: {dict(counts)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
