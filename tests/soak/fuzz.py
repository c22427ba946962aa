"""`bin/soak fuzz [CASES [SEED]]`: cases of every subject, and each promise that one breaks.

The first case that breaks a promise in a new way is kept in a folder, with its command line.
At the end, or at Ctrl-C, the counts are printed; each fault is shrunk, and the smallest case kept.
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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tests.fuzz import campaign
from tests.fuzz.case import Case
from tests.fuzz.case_runner import CaseRunner
from tests.fuzz.case_server import place
from tests.fuzz.subjects import SUBJECTS

CASES = 50_000
BATCH = 100
"""Cases of one seed: more would be mutations of one another."""

SHRUNK = 20
"""Faults of which the smallest case is looked for."""

KINDS = ("traceback", "hang", "exit status", "leak", "other")


def _kind(fault: str) -> str:
    return next((kind for kind in KINDS if fault.startswith(kind)), "other")


def _keep(folder: Path, case: Case, fault: str, runs: Path) -> Path:
    """Keep a case as files and a line that runs it."""
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


@dataclass(slots=True)
class FuzzCounts:
    """What was found so far; `first` is the batch of the first case with a fault."""

    folder: Path
    runs: Path
    cases: Counter[str] = field(default_factory=Counter)
    broken: Counter[tuple[str, str]] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    def batch(self, runners: SimpleQueue[CaseRunner], given: tuple[str, int, int]) -> None:
        """Run one batch, and keep the first case with a new fault."""
        subject, seed, number = given
        runner = runners.get()
        try:
            for tried in campaign.cases(runner, subject, number, seed):
                self.cases[subject] += 1
                for fault in tried.faults:
                    self.broken[subject, _kind(fault)] += 1
                    self.seen[fault] += 1
                    if self.first.setdefault(fault, given) is given and self.seen[fault] == 1:
                        kept = _keep(self.folder, tried.case, fault, self.runs)
                        print(f"{subject}, seed {seed}: {fault}\n    kept in {kept}", flush=True)
        finally:
            runners.put(runner)

    def shrink(self, runner: CaseRunner) -> None:
        """Keep the smallest case of each fault, of the commonest first."""
        for fault, _ in self.seen.most_common(SHRUNK):
            subject, seed, number = self.first[fault]
            if (smallest := campaign.smallest(runner, subject, number, seed, fault)) is not None:
                print(
                    f"smallest: {fault}\n    {_keep(self.folder, smallest, fault, self.runs)}", flush=True
                )

    def lines(self) -> Iterator[str]:
        """The counts of each subject, and of each fault."""
        yield f"{'subject':<14}{'cases':>7}" + "".join(f"{kind:>13}" for kind in KINDS)
        for subject in SUBJECTS:
            found = "".join(f"{self.broken[subject, kind]:>13}" for kind in KINDS)
            yield f"{subject:<14}{self.cases[subject]:>7}{found}"
        yield from (f"{number:6}  {fault}" for fault, number in self.seen.most_common())


def main() -> int:
    """Run CASES cases from SEED on; exit status 1 if a promise is broken."""
    given = [int(word) for word in sys.argv[1:]]
    cases, first = (*given, *(CASES, 1000)[len(given) :])
    folder = Path(tempfile.mkdtemp(prefix="calorimeter-soak-fuzz-"))
    counts = FuzzCounts(folder, campaign.whole_folders(folder / "whole"))
    workers = os.cpu_count() or 1
    runners: SimpleQueue[CaseRunner] = SimpleQueue()
    started = time.monotonic()
    with ExitStack() as servers, ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            runners.put(servers.enter_context(CaseRunner(counts.runs)))
        try:
            list(pool.map(partial(counts.batch, runners), _batches(cases, first)))
        except KeyboardInterrupt:  # the counts so far, after the batches that run
            pool.shutdown(cancel_futures=True)
        print(f"{sum(counts.cases.values())} cases in {time.monotonic() - started:.0f} s, kept in {folder}")
        print("\n".join(counts.lines()), flush=True)
        counts.shrink(runners.get())
    return int(bool(counts.seen))
