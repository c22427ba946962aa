"""The rounds of the comparison of releases, in turns; a round that is recorded is not run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.host import environment
from calorimeter.studies import interleaved_runs
from calorimeter.studies.releases import release_rounds, release_sides
from calorimeter.studies.releases.release_rounds import AskedReleases, ReleaseRound, ReleasesResult
from calorimeter.studies.releases.release_sides import EXPECTED_S, SHAPE, ReleaseSide
from calorimeter.studies.study_circumstances import Circumstances

Say = Callable[[str], object]
Measure = Callable[[ReleaseSide, int], ReleaseRound]

SAME_MACHINE = ("cpu", "cpus", "memory_bytes", "kernel", "calorimeter")
"""What must not change between rounds: keys of the environment."""


@dataclass(frozen=True, slots=True)
class PlannedRound:
    """One round: its turn, its side, and whether it is recorded already."""

    turn: int
    side: ReleaseSide
    recorded: bool


def begun(folder: Path, sides: Sequence[ReleaseSide], rounds: int, rate_per_s: float) -> ReleasesResult:
    """What is asked for, with the rounds that the folder holds already; nothing is written.

    More rounds may be asked for than before, and fewer. Raises `InputError` if the folder holds rounds of
    other sides, of another load or of another machine: they cannot be compared.
    """
    asked = AskedReleases(
        sides={side.name: side.words for side in sides},
        rounds=rounds,
        rate_per_s=rate_per_s,
        loads=release_sides.digests(),
        circumstances=_here(),
    )
    try:
        before = release_rounds.read_asked(folder)
    except MissingFileError:
        return ReleasesResult(circumstances=asked.circumstances, asked=asked, rounds=())
    refuse_other(folder, before, asked)
    return release_rounds.of(folder, before.model_copy(update={"rounds": rounds}))


def refuse_other(folder: Path, before: AskedReleases, now: AskedReleases) -> None:
    """Raise `InputError` if rounds of `now` cannot be compared with those of `before`."""
    valid = "valid: the same again, or another folder"
    if before.sides != now.sides:
        raise InputError(str(folder), f"holds rounds of {', '.join(before.sides)}", valid)
    if before.rate_per_s != now.rate_per_s:
        raise InputError(str(folder), f"holds rounds at {before.rate_per_s:g} requests/s", valid)
    if before.loads != now.loads:
        raise InputError(str(folder), "holds rounds of another version's loads", "valid: another folder")
    was, is_now = (each.circumstances.environment for each in (before, now))
    for key in SAME_MACHINE:
        if was.get(key) != is_now.get(key):
            given = f"holds rounds of another machine ({key}: {was.get(key)}, now {is_now.get(key)})"
            raise InputError(str(folder), given, "valid: another folder")


def _here() -> Circumstances:
    return Circumstances(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment.capture(),
        parts=(("Lab of each side", " ".join(SHAPE)),),
        commands=(("bin/benchmarks", "releases"),),
    )


def plan(
    sides: Sequence[ReleaseSide], result: ReleasesResult, *, again: bool = False
) -> list[PlannedRound]:
    """All rounds in their order: each side once per turn, so that drift affects all sides alike.

    With `again`, those with a load whose generator was the bottleneck count as not recorded.
    """
    recorded = {(each.turn, each.side) for each in result.rounds if not (again and each.spoilt)}
    return [
        PlannedRound(turn, side, (turn, side.name) in recorded)
        for turn, side in interleaved_runs.in_turn(sides, result.asked.rounds)
    ]


def expected_s(result: ReleasesResult) -> float:
    """How long a round takes: the mean of those recorded, else what was planned."""
    took = [each.took_s for each in result.rounds]
    return sum(took) / len(took) if took else EXPECTED_S


def sentence(planned: Sequence[PlannedRound], each_s: float) -> str:
    """What is planned, and what remains."""
    left = sum(not each.recorded for each in planned)
    text = f"{len(planned)} rounds of about {each_s:.0f} s: {len(planned) - left} recorded, {left} remain"
    return f"{text}, about {left * each_s / 60:.0f} min"


def run(
    folder: Path,
    result: ReleasesResult,
    sides: Sequence[ReleaseSide],
    measure: Measure,
    say: Say,
    within_s: float,
    *,
    again: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[ReleasesResult]:
    """Measure and record the rounds that are missing; all that is recorded, after each.

    A round is not begun if `within_s` seconds would be over before its end, as far as is known.
    """
    until_s = clock() + within_s
    files.make_folder(folder)
    release_rounds.write_asked(folder, result.asked)
    planned = plan(sides, result, again=again)
    say(sentence(planned, expected_s(result)))
    for number, each in enumerate(planned, 1):
        if each.recorded:
            continue
        if clock() + expected_s(result) > until_s:
            say(f"the time ({within_s / 60:.0f} min) ends before the next round would: none is begun")
            return
        say(f"round {number} of {len(planned)}: turn {each.turn}, {each.side.name}")
        found = measure(each.side, each.turn)
        release_rounds.write(folder, found)
        result = release_rounds.read(folder)
        say(f"  took {found.took_s:.0f} s; {sentence(plan(sides, result), expected_s(result))}")
        yield result
