"""What is recorded of the comparison of releases: releases.json, and a file for each round.

FOLDER/releases.json            what was asked for, and where
FOLDER/round-<turn>-<side>.json everything that one round of one side measured
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core import bounds, files
from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Amount, Count, Duration
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.studies.scale_result import ProcessorUse
from calorimeter.studies.study_circumstances import Circumstances, Result

SCHEMA: Literal[1] = 1
"""Version of releases.json and of the files of rounds."""

ABOUT = "releases.json"
MOST_PARTS = 100

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
Text = Annotated[str, Field(max_length=200)]
Uses = Annotated[tuple[ProcessorUse, ...], Field(max_length=MOST_PARTS)]


class PartMemory(Model):
    """Memory of one kind of part: the proportional set size of all its processes, by part in the mean."""

    kind: Text
    parts: Count
    bytes: Count


class MeasuredLoad(Model):
    """One load of a round, in its measured part of `window_s` seconds.

    `done` counts its units of work (requests answered as expected, or stacks completed), `response_ms` has
    exact percentiles of successes, if there are enough of them. `used` is the processor time of each kind
    of part.
    """

    load: Name
    window_s: Duration
    done: Count
    requests: Count
    failed: Count
    response_ms: Annotated[dict[str, Amount], Field(max_length=10)]
    used: Uses
    generator: Judgement


class EngineShare(Model):
    """One action on one stack: the engines that got messages of it, of how many, and how it ended."""

    action: Text
    engines: Count
    of: Count
    messages: Count
    outcome: Text
    doubt: Text = ""


class ReleaseRound(Model):
    """All that one round of one side measured.

    `start_s` is the time from the launch of a REST API and of an engine until they serve. `idle_used` is
    the processor time of each kind of part in `idle_s` seconds without load. `load_average` is that of the
    machine when the round began, and when it ended.
    """

    schema_version: Literal[1] = SCHEMA
    turn: Annotated[int, bounds.REPEATS]
    side: Name
    started: Text
    took_s: Duration
    load_average: tuple[Amount, Amount]
    versions: Annotated[dict[str, Text], Field(max_length=MOST_PARTS)]
    start_s: Annotated[dict[str, Duration], Field(max_length=10)]
    idle_s: Duration
    idle_used: Uses
    memory_idle: Annotated[tuple[PartMemory, ...], Field(max_length=MOST_PARTS)]
    memory_loaded: Annotated[tuple[PartMemory, ...], Field(max_length=MOST_PARTS)]
    loads: Annotated[tuple[MeasuredLoad, ...], Field(max_length=10)]
    engines: Annotated[tuple[EngineShare, ...], Field(max_length=10)]

    @property
    def spoilt(self) -> tuple[str, ...]:
        """The loads whose generator was the bottleneck, so that they may show it and not Heat."""
        return tuple(each.load for each in self.loads if each.generator.outcome is Outcome.FAIL)

    def load(self, name: str) -> MeasuredLoad | None:
        """The load of this name."""
        return next((each for each in self.loads if each.load == name), None)


class AskedReleases(Model):
    """releases.json: the sides (name → options of `lab up`), the rounds of each, and the machine.

    `loads` has a digest of each load's scenario.
    """

    schema_version: Literal[1] = SCHEMA
    sides: Annotated[dict[Name, tuple[Text, ...]], Field(min_length=2, max_length=20)]
    rounds: Annotated[int, bounds.REPEATS]
    rate_per_s: Amount
    loads: Annotated[dict[Name, Text], Field(max_length=10)]
    circumstances: Circumstances


class ReleasesResult(Result):
    """All that was asked for and measured, in the order of turns and sides."""

    asked: AskedReleases
    rounds: tuple[ReleaseRound, ...]

    def of(self, side: str) -> tuple[ReleaseRound, ...]:
        """The rounds of one side."""
        return tuple(each for each in self.rounds if each.side == side)

    @property
    def wanted(self) -> int:
        """How many rounds were asked for, of all sides."""
        return self.asked.rounds * len(self.asked.sides)

    @property
    def complete(self) -> bool:
        """Whether every round was measured."""
        return len(self.rounds) >= self.wanted


def file_of(folder: Path, turn: int, side: str) -> Path:
    """The file of a round."""
    return folder / f"round-{turn}-{side}.json"


def write(folder: Path, found: ReleaseRound) -> None:
    """Record a round, whole or not at all."""
    files.write(file_of(folder, found.turn, found.side), found.model_dump_json(indent=2) + "\n")


def write_asked(folder: Path, asked: AskedReleases) -> None:
    """Record what is asked for."""
    files.write(folder / ABOUT, asked.model_dump_json(indent=2) + "\n")


def read_asked(folder: Path) -> AskedReleases:
    """What was asked for. Raises MissingFileError if there is none, `InputError` if it is damaged."""
    return recorded_json.record(folder / ABOUT, AskedReleases, within=folder)


def read(folder: Path) -> ReleasesResult:
    """All of a folder. Raises as `read_asked` does; also if a round is not what its name says."""
    return of(folder, read_asked(folder))


def of(folder: Path, asked: AskedReleases) -> ReleasesResult:
    """The rounds in a folder that were asked for. Raises `InputError` as `read` does."""
    rounds = []
    for turn in range(1, asked.rounds + 1):
        for side in asked.sides:
            path = file_of(folder, turn, side)
            try:
                found = recorded_json.record(path, ReleaseRound, within=folder)
            except MissingFileError:
                continue
            if (found.turn, found.side) != (turn, side):
                raise InputError(str(path), f"holds turn {found.turn} of {found.side}")
            rounds.append(found)
    return ReleasesResult(circumstances=asked.circumstances, asked=asked, rounds=tuple(rounds))
