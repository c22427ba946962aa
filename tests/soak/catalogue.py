"""Every scenario of the catalogue, shortened, on a lab: it runs, Heat answers well, its ledger balances.

Uses a lab of its own, or `--lab NAME`. The lengths of stages and warm-up shrink in proportion; users and
rates stay, so there are fewer arrivals, not slower ones. Prints one line per scenario, then a few of its
errors; exit status 1 if a scenario made no request, had an error, or did not balance. A dropped arrival
(too many were in flight, nothing was sent) is counted and is no error: `step` and `spike` exceed the
capacity of a small machine. `--ledger` runs `ledger` alone, at its full length; it fails only if it does
not balance.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from calorimeter.core import paths
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.workload import catalogue
from tests.soak.labs import calorimeter, lab

NAME = "soak-catalogue"
SECONDS = 20.0
SHOWN = 5
GOAL = 20_000
"""Requests of `ledger` in its ten minutes on an idle machine."""

LENGTHS = re.compile(r"^(duration_s|warm_up_s|at_s|for_s) = ([\d.]+)", re.MULTILINE)

Kind = tuple[str, int, str]
"""Operation, status (0: no answer), error."""


def shortened(name: str, seconds: float, folder: Path) -> Path:
    """Copy the catalogue with one scenario shortened to `seconds`; returns that scenario's file."""
    shutil.copytree(catalogue.CATALOGUE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = folder / f"{name}.toml"
    ratio = min(1.0, seconds / catalogue.read(file).duration_s)
    text = file.read_text(encoding="utf-8")
    file.write_text(LENGTHS.sub(lambda found: f"{found[1]} = {float(found[2]) * ratio!r}", text), "utf-8")
    return file


def counted(run: Path) -> tuple[int, Counter[Kind]]:
    """Number of requests of a run, and its errors by kind."""
    requests = 0
    errors: Counter[Kind] = Counter()
    for path in RunDir.open(run).parquet("samples"):
        rows = pq.read_table(path, columns=["api", "operation", "status", "error"]).to_pylist()
        requests += len(rows)
        errors.update((f"{r['api']}.{r['operation']}", r["status"], r["error"]) for r in rows if r["error"])
    return requests, errors


def error_lines(errors: Counter[Kind]) -> list[str]:
    """Some of the errors, the most frequent first."""
    lines = [
        f"    {count} × {operation}: {error}{f' {status}' if status else ''}"
        for (operation, status, error), count in errors.most_common(SHOWN)
    ]
    return lines + ([f"    and {len(errors) - SHOWN} other kinds"] if len(errors) > SHOWN else [])


def tried(deployment: Path, name: str, seconds: float | None) -> bool:
    """Run one scenario, shortened to `seconds` if given, and print the result; whether it is expected."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as folder:
        scenario = shortened(name, seconds, Path(folder) / "scenarios") if seconds else catalogue.find(name)
        runs = Path(folder) / "runs"
        began = time.monotonic()
        done = calorimeter("run", str(scenario), "--deployment", str(deployment), "--runs", str(runs))
        took = time.monotonic() - began
        made = list(runs.glob("*"))
        if done.returncode != 0 or len(made) != 1:
            print(
                f"{name}: UNEXPECTED, exit status {done.returncode}\n{done.stdout}{done.stderr}", flush=True
            )
            return False
        requests, errors = counted(made[0])
        weighed = calorimeter("balance", str(made[0]))
    dropped = sum(count for (_, _, error), count in errors.items() if error == "dropped")
    wrong = errors.total() - dropped
    well = requests > dropped and weighed.returncode == 0 and (not wrong or seconds is None)
    print(
        f"{name}: {'as expected' if well else 'UNEXPECTED'}, {took:.0f} s, {requests - dropped} requests"
        f"{'' if seconds else f' (goal: {GOAL})'}, {wrong} errors, {dropped} dropped, "
        f"{weighed.stdout.strip().rpartition(chr(10))[2] or weighed.stderr.strip()}",
        *error_lines(errors),
        *([] if weighed.returncode == 0 else [f"    {line}" for line in weighed.stdout.splitlines()]),
        sep="\n",
        flush=True,
    )
    return well


def main() -> int:
    """Run the soak. Exit status 1 if a scenario was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--only",
        choices=catalogue.names(),
        action="append",
        help="scenario to run (may be repeated; default: all)",
    )
    what.add_argument("--ledger", action="store_true", help="run `ledger` alone, at its full length")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"length of each without its cleanup (default {SECONDS:g})",
    )
    parser.add_argument("--lab", help="running lab, left up (default: one of its own)")
    given = parser.parse_args()
    chosen = ["ledger"] if given.ledger else given.only or catalogue.names()
    with lab(given.lab, NAME) as name:
        deployment = paths.lab(name) / "deployment.toml"
        seconds = None if given.ledger else given.seconds
        wrong = sum(not tried(deployment, each, seconds) for each in chosen)
    print(f"{wrong} of {len(chosen)} scenarios were unexpected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
