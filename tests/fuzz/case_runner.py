"""The side of the tests: starts the case server, and gives it cases."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fuzz.case import Case, Ended
from tests.places import CLONE


class CaseRunner:
    """A case server while it is entered. `run_folders` has the folders that cases get as `run`, by kind."""

    def __init__(self, run_folders: Path) -> None:
        self.run_folders = run_folders

    def __enter__(self) -> Self:
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ARROW_IO_THREADS"), "1")
        self._server = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.fuzz.case_server"],
            cwd=CLONE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **one_thread, "CALORIMETER_FUZZ_RUNS": str(self.run_folders)},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.communicate()

    def run(self, case: Case) -> Ended:
        """How a case ends."""
        assert self._server.stdin and self._server.stdout
        pickle.dump(case, self._server.stdin)
        self._server.stdin.flush()
        ended = pickle.load(self._server.stdout)
        assert isinstance(ended, Ended)
        return ended
