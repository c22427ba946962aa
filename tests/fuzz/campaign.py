"""Runs the cases of a subject that follow from a seed, and shrinks those that break a promise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import run_folders
from tests.fuzz.case import Case, Ended, faults
from tests.fuzz.case_runner import CaseRunner
from tests.fuzz.subjects import SUBJECTS

ALL_CHECKS = tuple(HealthCheck)


@dataclass(frozen=True, slots=True)
class Tried:
    """A case, how it ended, and the promises that it broke."""

    case: Case
    ended: Ended
    faults: tuple[str, ...]


class _FoundError(Exception):
    """Raised while shrinking, for a case that breaks the same promise."""


def whole_folders(folder: Path) -> Path:
    """Make the folders that cases get as `run`, by kind, in a folder."""
    run_folders.make(folder / "run", seconds=5)
    for kind in ("scale", "capacity"):
        run_folders.make_study(folder / kind, kind)
    return folder


def cases(runner: CaseRunner, subject: str, number: int, start: int) -> list[Tried]:
    """Run the cases that follow from a seed, `number` at most."""
    tried: list[Tried] = []

    @seed(start)
    @settings(max_examples=number, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=ALL_CHECKS)  # fmt: skip
    @given(SUBJECTS[subject]())
    def each(case: Case) -> None:
        ended = runner.run(case)
        tried.append(Tried(case, ended, faults(case, ended)))

    each()
    return tried


def smallest(runner: CaseRunner, subject: str, number: int, start: int, fault: str) -> Case | None:
    """The smallest case that Hypothesis finds that breaks the same promise; None if none is found again."""
    last: list[Case] = []

    @seed(start)
    @settings(max_examples=number, phases=[Phase.generate, Phase.shrink], database=None, deadline=None,
              suppress_health_check=ALL_CHECKS, report_multiple_bugs=False)  # fmt: skip
    @given(SUBJECTS[subject]())
    def each(case: Case) -> None:
        if fault in faults(case, runner.run(case)):
            last.append(case)
            raise _FoundError

    try:
        each()
    except _FoundError:
        return last[-1]
    return None
