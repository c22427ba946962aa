"""The process that records windows of a load, beside the load's own.

`python -m calorimeter.gates.request_path.window_process RUN DEPLOYMENT` reads a JSON list of windows from
standard input (one line), records them, and writes evidence/trace.json once standard input is closed: the
load has ended, or the command that started it was killed. Tracing is switched on and off by a guardian
process of its own, so it does not stay on even if this process is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.host import guardian, netns
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.trace_windows import TraceWindowsPlan
from calorimeter.gates.evidence import firehose
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.request_path import budget, recording
from calorimeter.gates.request_path.follow import TRACE
from calorimeter.gates.request_path.window_recorder import PlannedWindow, WindowRecorder

END_WITHIN_S = 90.0
"""For the end of a window, of its tracing, of the proxy's lines, and for writing; then it is killed."""

NICENESS = 10
"""The load's own processes go first."""


class LoadWindows:
    """The windows of one load, in a process that begins with it; `finish` ends it and keeps the budget."""

    def __init__(self, deployment: Deployment, plan: TraceWindowsPlan) -> None:
        self._deployment = deployment
        self._plan = plan
        self._process: guardian.Guardian | None = None

    @classmethod
    def of(cls, deployment: Deployment, plan: TraceWindowsPlan) -> LoadWindows:
        """Raises InputError if the deployment does not allow tracing, or describes no broker to trace."""
        recording.refuse_without_consent(deployment)
        try:
            firehose.parameters(deployment)
        except EvidenceUnavailable as problem:
            raise InputError(problem.where, problem.why, "valid with --trace-windows: [broker]") from None
        return cls(deployment, plan)

    def begin(self, run: str) -> None:
        """The load of this run folder begins now."""
        if self._process is not None:
            return
        windows = self._plan.windows(time.time_ns())
        order = [PlannedWindow(begin_ns=at, length_s=self._plan.length_s).model_dump() for at in windows]
        self._process = guardian.start(
            "calorimeter.gates.request_path.window_process",
            *(run, str(self._deployment.path)),
            order=json.dumps(order),
        )

    def finish(self, run: RunDir) -> str | None:
        """The load has ended: await what was recorded and keep its budget; why there is none, if so."""
        if self._process is None:
            return None
        if guardian.dismiss(self._process, END_WITHIN_S) != 0:
            return "the process that traces the windows failed: there is no latency budget"
        try:
            kept = recording.read(run, TRACE)
            budget.keep(run, kept)
        except InputError as problem:
            return str(problem)
        return "; ".join(kept.doubts) or None


def main(arguments: Sequence[str]) -> int:
    """Record the windows of a run; exit status 0 if the recording was written."""
    guardian.ignore_signals()
    os.nice(NICENESS)
    run, deployment = arguments
    line = sys.stdin.readline()
    if not line:
        return 0
    over = threading.Event()
    threading.Thread(target=_await_end, args=(over,), daemon=True).start()
    try:
        described = netns.enter_client_netns(read(Path(deployment)))
        planned = [PlannedWindow(**each) for each in json.loads(line)]
        found = WindowRecorder(described, over).record(planned)
        RunDir.open(Path(run)).save_evidence(TRACE, found)
    except InputError as problem:
        print(f"calorimeter: {problem}", file=sys.stderr, flush=True)
        return 2
    return 0


def _await_end(over: threading.Event) -> None:
    guardian.wait_for_dismissal()
    over.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
