"""A load by Locust in the background: `calorimeter run` as a process, limited in time and users."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from calorimeter.core import files, waiting
from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

USERS = 12
SECONDS = 15
BEGINS_WITHIN_S = 60.0
ENDS_WITHIN_S = 120.0

_SCENARIO = f"""\
name = "gate-s5"
about = "Lists on every API, beside the visits of gate S5; nothing is created."
users = {USERS}
spawn_per_s = 50
duration_s = {SECONDS}
think_s = [0.0, 0.1]
"""
_REST = '\n[rest]\nusers = 1\ntemplate = "tiny.yaml"\nmix = { list = 1 }\n'
_CFN = '\n[cfn]\nusers = 1\ntemplate = "tiny-cfn.json"\nmix = { ListStacks = 1 }\n'


@dataclass(slots=True)
class LocustLoad:
    """A load that runs, and the folder of its runs."""

    process: subprocess.Popen[str]
    runs: Path

    def await_begin(self) -> None:
        """Wait until answers are recorded. Raises EvidenceUnavailable if that takes too long."""

        def recorded() -> bool:
            # A run has its folder before its first user; what was sent is on the disk within a second.
            return any(self.runs.glob("*/samples/*.parquet"))

        waiting.poll(lambda: recorded() or not self.running, BEGINS_WITHIN_S, every_s=0.1)
        if recorded():
            return
        if self.running:
            raise EvidenceUnavailable("calorimeter run", f"sent nothing within {BEGINS_WITHIN_S:g} s")
        _, errors = self.process.communicate()
        last = errors.strip().splitlines()[-1:] or ["no reason was given"]
        raise EvidenceUnavailable("calorimeter run", f"ended at once: {last[0][:300]}")

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None

    def await_end(self) -> int:
        """Wait for its end, and return its exit status. Raises EvidenceUnavailable if it does not end."""
        try:
            self.process.communicate(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise EvidenceUnavailable(
                "calorimeter run", f"did not end within {ENDS_WITHIN_S:g} s"
            ) from None
        return self.process.returncode

    def sent_ns(self) -> list[int]:
        """When its requests were sent, ns since the epoch."""
        found = [files.regular(file, within=self.runs) for file in self.runs.glob("*/samples/*.parquet")]
        return [
            at
            for file in sorted(found)
            for at in pq.read_table(file, columns=["sent_ns"])["sent_ns"].to_pylist()
        ]


@contextmanager
def locust_load(deployment: Deployment) -> Iterator[LocustLoad]:
    """Load both APIs with lists for `SECONDS`; the process is ended when the context ends."""
    with TemporaryDirectory(prefix="calorimeter-") as folder:
        scenario = Path(folder) / "gate-s5.toml"
        identity = deployment.identity
        cfn = _CFN if deployment.cfn and identity and identity.ec2_access else ""
        files.write(scenario, _SCENARIO + _REST + cfn, mode=files.PRIVATE)
        runs = files.make_folder(Path(folder) / "runs")
        command = [sys.executable, "-m", "calorimeter", "run", str(scenario), "--runs", str(runs)]
        process = subprocess.Popen(
            [*command, "--deployment", str(deployment.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield LocustLoad(process, runs)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End it as Ctrl-C does; kill it if that does not end it."""
    for signum, within_s in ((signal.SIGINT, 20.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
    if process.stderr is not None:
        process.stderr.close()
