"""Loads of a stub that miss an objective end early, with one process and with workers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.verdict import Outcome
from calorimeter.gates.service_level.objectives import objectives_hold
from calorimeter.gates.service_level.recorded_load import service_of
from calorimeter.load.run import followed_load
from calorimeter.report import page, page_content, run_integrity
from tests.load import stub_cloud
from tests.load.programs import command
from tests.places import CLONE

LONG_S = 120


def loaded(
    folder: Path, objectives: str, *words: str, duration_s: float = LONG_S
) -> tuple[int, str, RunDir]:
    """The exit status and the output of a load, and its run."""
    with stub_cloud.stub_cloud(folder) as file:
        scenario = folder / "stub-list.toml"
        text = scenario.read_text().replace("duration_s = 2", f"duration_s = {duration_s}\nwarm_up_s = 1")
        scenario.write_text(f"{text}{objectives}")
        locust = [*command("early_load", "-f", "loadtests/locustfile.py", "--headless")]
        locust += ["--deployment", str(file), "--scenario", str(scenario), "--runs", str(folder / "runs")]
        locust += ["--exit-code-on-error", "0", "--abort-on-objective", *words]
        done = subprocess.run(
            locust,
            cwd=CLONE,
            env={**os.environ, "STUB_PASSWORD": "x"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert "Traceback" not in done.stderr, done.stderr
    (run,) = (folder / "runs").iterdir()
    return done.returncode, done.stdout, RunDir.open(run)


MISSED = '[[objectives]]\noperation = "rest.list"\np50_ms = 0.01\n'


@pytest.mark.slow  # Locust and its workers are started
@pytest.mark.parametrize("processes", [1, 2])
def test_a_load_that_misses_an_objective_ends_and_is_a_whole_run(tmp_path: Path, processes: int) -> None:
    """Exit status 1; run.json, output, T1 and page say which objective, and the page draws the load."""
    words = [] if processes == 1 else ["--processes", "2", *followed_load.with_workers()]
    status, output, run = loaded(tmp_path, MISSED, *words)
    early, last = output.splitlines()[-2:]
    assert (status, last) == (1, f"run: {run.path}")
    assert early.startswith("ended early: p50 of rest.list at most 0.01 ms: ")
    about = run.about
    noted = objective_test.of(about)
    assert noted is not None and noted.ended is not None
    assert early == f"ended early: {noted.ended.sentence}"
    assert (about["stopped"], about["clean_stop"]) == (objective_test.STOPPED, True)
    assert len(about["workers"]) == processes
    assert noted.ended.at_s < LONG_S / 2
    evidence = service_of(run)
    judged = objectives_hold(evidence)
    assert judged.outcome is Outcome.FAIL
    # What was counted while the load ran is what is read from its samples, but for what ended since. Each
    # worker counts its warm-up from its own first request, the samples from the first of all.
    ok = evidence.of("rest.list").ok
    assert (1.0 if processes == 1 else 1.1) * ok >= noted.ended.requests > 0.8 * ok
    assert evidence.window_s == pytest.approx(noted.ended.at_s - 1, abs=3)
    assert run_integrity.why_not(about) == "a missed objective ended it early (--abort-on-objective)"
    shown = page.words(page_content.collect(run), [])["report.md"].decode()
    assert "| Ended by an objective | p50 of rest.list at most 0.01 ms" in shown


@pytest.mark.slow
def test_a_load_that_holds_runs_to_its_end(tmp_path: Path) -> None:
    """The same test, other objectives: exit status 0, T1 passes, and run.json says what was tested."""
    held = '[[objectives]]\noperation = "rest.list"\np95_ms = 60000\nmax_error_ratio = 0.5\n'
    status, output, run = loaded(tmp_path, held, duration_s=8)
    assert (status, output.splitlines()[-1]) == (0, f"run: {run.path}")
    assert "ended early" not in output
    noted: Any = json.loads((run.path / "run.json").read_text())[objective_test.KEY]
    assert noted["tested"] == [
        "p95 of rest.list at most 60000 ms",
        "max_error_ratio of rest.list at most 0.5",
    ]
    assert (noted["ended"], run.about["stopped"]) == (None, "ended")
    assert objectives_hold(service_of(run)).outcome is Outcome.PASS
