"""`bin/soak fuzz [CASES [SEED]]`: cases of every subject, and each promise that one breaks.

A case that breaks a promise of a new kind is shrunk; its files and its command line are kept in a folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tests.fuzz import campaign
from tests.fuzz.case import Case
from tests.fuzz.case_runner import CaseRunner
from tests.fuzz.subjects import SUBJECTS

CASES = 50_000
BATCH = 100
"""Cases of one seed: more would be mutations of one another."""

KINDS = ("traceback", "hang", "exit status", "leak", "other")


def _kind(fault: str) -> str:
    return next((kind for kind in KINDS if fault.startswith(kind)), "other")


def _keep(folder: Path, case: Case, fault: str, runs: Path) -> Path:
    """Keep a case as files and a line that runs it."""
    from tests.fuzz.case_server import place

    kept = Path(tempfile.mkdtemp(prefix=f"{case.subject}-", dir=folder))
    place(case, kept, runs)
    words = " ".join(ascii(word)[:300] for word in case.words)
    (kept / "FAULT").write_text(f"{fault}\n{words}\n", encoding="utf-8")
    return kept


def _batches(cases: int, first: int) -> Iterator[tuple[str, int, int]]:
    """(Subject, seed, number of cases), subjects in turn."""
    share = -(-cases // len(SUBJECTS))
    for start in range(0, share, BATCH):
        for subject in SUBJECTS:
            yield subject, first + start // BATCH, min(BATCH, share - start)


class FuzzCounts:
    """What was found so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = campaign.whole_folders(folder / "whole")
        self.cases: Counter[str] = Counter()
        self.broken: Counter[tuple[str, str]] = Counter()
        self.seen: Counter[str] = Counter()

    def batch(self, runners: SimpleQueue[CaseRunner], given: tuple[str, int, int]) -> None:
        """Run one batch, and shrink one case of each new kind."""
        subject, seed, number = given
        runner = runners.get()
        try:
            for tried in campaign.cases(runner, subject, number, seed):
                self.cases[subject] += 1
                for fault in tried.faults:
                    self.broken[subject, _kind(fault)] += 1
                    self.seen[fault] += 1
                    if self.seen[fault] == 1:
                        self._show(runner, given, fault, tried.case)
        finally:
            runners.put(runner)

    def _show(self, runner: CaseRunner, given: tuple[str, int, int], fault: str, case: Case) -> None:
        subject, seed, number = given
        smallest = campaign.smallest(runner, subject, number, seed, fault) or case
        kept = _keep(self.folder, smallest, fault, self.runs)
        print(f"{subject}, seed {seed}: {fault}\n    kept in {kept}", flush=True)


def main() -> int:
    """Run CASES cases from SEED on; exit status 1 if a promise is broken."""
    given = [int(word) for word in sys.argv[1:]]
    cases, first = (*given, *(CASES, 1000)[len(given) :])
    folder = Path(tempfile.mkdtemp(prefix="calorimeter-soak-fuzz-"))
    counts = FuzzCounts(folder)
    workers = os.cpu_count() or 1
    runners: SimpleQueue[CaseRunner] = SimpleQueue()
    started = time.monotonic()
    with ExitStack() as servers, ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            runners.put(servers.enter_context(CaseRunner(counts.runs)))
        list(pool.map(partial(counts.batch, runners), _batches(cases, first)))
    total = sum(counts.cases.values())
    print(f"{total} cases in {time.monotonic() - started:.0f} s; what they broke is kept in {folder}")
    print(f"{'subject':<14}{'cases':>7}" + "".join(f"{kind:>13}" for kind in KINDS))
    for subject in SUBJECTS:
        found = "".join(f"{counts.broken[subject, kind]:>13}" for kind in KINDS)
        print(f"{subject:<14}{counts.cases[subject]:>7}{found}")
    for fault, number in counts.seen.most_common():
        print(f"{number:6}  {fault}")
    return int(bool(counts.seen))
