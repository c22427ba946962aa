"""Gates T on loads that really ran: each red where it must be, and what a CI service gets to see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome

pytestmark = pytest.mark.lab

SCENARIO = """
name = "promising"
about = "Has an objective that nobody can meet."
users = 4
duration_s = 6
warm_up_s = 1
[rest]
template = "tiny.yaml"
[rest.mix]
list = 1
[[objectives]]
operation = "rest.list"
min_per_s = 100000
[[objectives]]
operation = "*"
max_error_ratio = 1.0
"""


def halting_load(*words: str) -> str:
    """Run a load whose generating process is stopped again and again; the last line that it prints."""
    command = [sys.executable, "-m", "calorimeter", "run", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        next(line for line in running.stderr if "users for" in line)
        family = psutil.Process(running.pid).children(recursive=True)
        load = next(each for each in family if "locust" in each.cmdline())
        with suppress(psutil.NoSuchProcess):
            for _ in range(12):
                load.suspend()
                time.sleep(0.5)
                load.resume()
                time.sleep(0.1)
        running.stderr.read()
        last = running.stdout.read().strip().splitlines()[-1]
    assert running.returncode == 0
    return last


def calorimeter(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "calorimeter", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **variables},
    )


def test_missed_objectives_and_a_halting_generator_are_red(lab: Deployment, tmp_path: Path) -> None:
    """T1 fails for the rate and meets the other objective, T3 fails for lag, T2 lacks runs; status 1."""
    scenario, job = tmp_path / "promising.toml", tmp_path / "job.md"
    scenario.write_text(SCENARIO)
    last = halting_load(str(scenario), "--deployment", str(lab.path), "--runs", str(tmp_path))
    run = last.removeprefix("run: ")
    judged = calorimeter(
        *("verify", "--run", run, "--gates", "T", "--baseline", run),
        *("--junitxml", str(tmp_path / "junit.xml")),
        GITHUB_STEP_SUMMARY=str(job),
    )
    assert judged.returncode == 1, judged.stdout + judged.stderr
    found = verdict.read(Path(run) / "verdicts.json")
    outcomes = {gate: found.of(gate).judgement.outcome for gate in ("T1", "T2", "T3")}
    assert outcomes == {"T1": Outcome.FAIL, "T2": Outcome.INCONCLUSIVE, "T3": Outcome.FAIL}
    first = found.of("T1").judgement
    assert (first.figures["broken"], first.figures["kept"]) == (1, 1)
    assert first.counter_examples[0].startswith("rest.list: ")
    assert "the generator was late" in found.of("T3").judgement.why
    assert "| ❌ FAIL | T1 |" in job.read_text()
    assert len(list(ElementTree.parse(tmp_path / "junit.xml").iter("failure"))) == 3
