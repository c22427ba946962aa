"""A load whose Locust was killed: the suite notices at once, and workers end with their records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import until
from tests.load.stub_cloud import stub_cloud
from tests.places import CLONE

pytestmark = pytest.mark.slow

SOON_S = 20.0
"""Far below the minute after which Locust's workers miss a heartbeat."""


@contextmanager
def load(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A long load of a stub; killed with its children when the context ends."""
    with stub_cloud(folder) as file:
        command = [sys.executable, "-m", "calorimeter", "run", str(file.with_name("stub-list.toml"))]
        command += ["--deployment", str(file), "--runs", str(folder / "runs"), "--duration", "120", *words]
        env = {**os.environ, "STUB_PASSWORD": "x"}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=env, cwd=CLONE, stdout=pipe, stderr=pipe, text=True) as process:
            known: list[psutil.Process] = []
            try:
                until(lambda: len(list((folder / "runs").glob("*/samples/*.parquet"))) > 3, 60)
                known = psutil.Process(process.pid).children(recursive=True)
                yield process
            finally:
                process.kill()
                for each in known:
                    with suppress(psutil.NoSuchProcess):
                        each.kill()


def locust_of(suite: subprocess.Popen[str]) -> psutil.Process:
    """The process of Locust that a suite has started: of several, the master."""
    (found,) = (
        each for each in psutil.Process(suite.pid).children() if "locust" in " ".join(each.cmdline())
    )
    return found


def test_workers_end_when_their_master_is_killed(tmp_path: Path) -> None:
    """Suite and workers end within seconds; all rows of both workers are complete files."""
    with load(tmp_path, "--processes", "2") as suite:
        master = locust_of(suite)
        workers = [each for each in master.children() if "watch" not in each.cmdline()]
        master.kill()
        output, errors = suite.communicate(timeout=SOON_S)
        _, alive = psutil.wait_procs(workers, SOON_S)
    assert len(workers) == 2
    # Whoever adopts them may not ask for their status, as the first process of a container may not.
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert suite.returncode == 2
    (run,) = (tmp_path / "runs").iterdir()
    assert output.splitlines()[-1] == f"run: {run}"
    assert "calorimeter: locust: was ended by SIGKILL; the load ended with it" in errors
    assert "Traceback" not in errors
    files = RunDir(run).parquet("samples")
    assert [each.name for each in files] == ["worker-00.parquet", "worker-01.parquet"]
    assert all(pq.read_metadata(each).num_rows > 10 for each in files)


def test_a_worker_that_is_stopped_delays_the_suite_not(tmp_path: Path) -> None:
    """A worker that holds Locust's output open does not keep the suite from its end."""
    with load(tmp_path, "--processes", "2") as suite:
        master = locust_of(suite)
        for worker in master.children():
            worker.suspend()
        master.kill()
        assert suite.wait(SOON_S) == 2
