"""`calorimeter releases`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calorimeter.commands.options import FILE
from calorimeter.commands.param_types import DurationParam, NumberParam
from calorimeter.core import bounds
from calorimeter.core.errors import InputError

if TYPE_CHECKING:
    from calorimeter.studies.releases.release_rounds import ReleaseRound, ReleasesResult
    from calorimeter.studies.releases.release_sides import ReleaseSide
    from calorimeter.studies.releases.release_study import PlannedRound

RATE_PER_S = 16.0


@click.command()
@click.option("--folder", type=FILE, default=Path("runs/releases"), show_default=True,
              help="Folder of the rounds; those that it holds are not run again.")  # fmt: skip
@click.option("--rounds", type=NumberParam(bounds.REPEATS), default=5, show_default=True,
              help="Number of rounds of each side; differences need five.")  # fmt: skip
@click.option("--side", "sides", multiple=True, metavar="NAME",
              help="Side: 24-eventlet, 24-wsgi, 25, 26 or 27; two or more (default: all).")  # fmt: skip
@click.option("--rate", type=NumberParam(bounds.POSITIVE_RATE), default=RATE_PER_S, show_default=True,
              help="Arrivals per second of the load that is equal for all sides.")  # fmt: skip
@click.option("--within", type=DurationParam(bounds.TIME_LIMIT), default="2h", show_default=True,
              help="Time limit: a round that would not end in time is not begun.")  # fmt: skip
@click.option("--again", is_flag=True,
              help="Measure rounds again in which the generator was the bottleneck of a load.")  # fmt: skip
@click.option("--name", default="releases", show_default=True,
              help="Name of the lab; one of this name is taken down.")  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Print what is planned and what remains only.")
def releases(
    folder: Path,
    rounds: int,
    sides: tuple[str, ...],
    rate: float,
    within: float,
    again: bool,
    name: str,
    only_plan: bool,
) -> int:
    """Measure what Heat's releases cost, side by side: 24 to 27, on labs that differ in nothing else.

    A round brings a lab up, measures start-up, memory, processor time, response times, throughput and the
    engines that take part in one action, and takes the lab down; it takes about three and a half minutes.
    Sides alternate. Every round is a file of its own: after Ctrl-C or a kill the same command goes on, and
    at most one round is lost. `calorimeter report FOLDER` makes the page again.

    Exit status: 0 all rounds are recorded; 1 some remain, or a generator was the bottleneck; 2 the input or
    the set-up cannot be used; 130 it was interrupted.
    """
    from calorimeter.lab import lab_state, lock
    from calorimeter.studies.releases import release_sides
    from calorimeter.studies.releases import release_study as study

    lab_state.folder(name)  # refuses what is no name of a lab
    chosen = release_sides.chosen(sides)
    result = study.begun(folder, chosen, rounds, rate)
    if only_plan:
        _show_plan(study.plan(chosen, result, again=again), study.expected_s(result))
        return 0
    measure = partial(_measured, name=name, folder=folder, rate_per_s=rate)
    with lock.held(folder, 0, str(folder)):
        result = study.begun(folder, chosen, rounds, rate)  # another process may have measured until now
        for found in study.run(folder, result, chosen, measure, _say, within, again=again):
            result = found
            _write_page(folder, result)
    _write_page(folder, result)
    click.echo(f"report: {folder / 'report' / 'index.html'}")
    return 0 if result.complete and not any(each.spoilt for each in result.rounds) else 1


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show_plan(planned: Sequence[PlannedRound], each_s: float) -> None:
    from calorimeter.studies.releases.release_study import sentence

    for each in planned:
        click.echo(f"turn {each.turn}  {each.side.name:<12} {'recorded' if each.recorded else 'remains'}")
    click.echo(sentence(planned, each_s))


def _measured(side: ReleaseSide, turn: int, *, name: str, folder: Path, rate_per_s: float) -> ReleaseRound:
    from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
    from calorimeter.studies.releases import release_lab

    try:
        return release_lab.measured_round(side, turn, name, folder / "runs", rate_per_s, _say)
    except EvidenceUnavailable as problem:
        raise InputError(problem.where, problem.why) from problem


def _write_page(folder: Path, result: ReleasesResult) -> None:
    from calorimeter.report import report_folder
    from calorimeter.studies.releases import release_page

    report_folder.write(release_page.files(result), folder / "report")
