"""`calorimeter capacity`: the highest load at which all objectives hold and nothing piles up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click

from calorimeter.commands.load import Duration
from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.studies import load_process, study_circumstances
from calorimeter.studies.capacity_search_result import Capacity
from calorimeter.studies.level_search import Plan, search, sweep
from calorimeter.studies.levels import Level, Unit, level_of
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

MOST_LOOKS = 3
"""Loads of one level, one after the other, until one of them says something of the deployment."""

MOST_HOLD_S = 600.0
WARM_UP_SHARE = 0.2
"""Of a load that is given a duration of its own, at most (`Scenario`)."""

CHANCE = 1.25
"""A short look counts few requests of an operation, and may have met many by chance."""

Kind = Literal["probe", "hold", "sweep"]


class Study:
    """The loads of one search, each in a run folder of its own below the study's."""

    def __init__(
        self, scenario: str, deployment: Deployment, folder: Path, unit: Unit, say: Callable[[str], None]
    ) -> None:
        self._scenario = scenario
        self._deployment = deployment
        self._folder = folder
        self._unit = unit
        self._say = say
        self.levels: list[Level] = []

    def load(self, level: float, kind: Kind, seconds: float) -> bool:
        """Load at one level and judge it; whether it holds.

        A look that says nothing of the deployment is taken again, `MOST_LOOKS` times at most: where the
        generator was the bottleneck, and, while the level is held, where promises are left open; then for
        as long as it takes to tell them.
        """
        for _ in range(MOST_LOOKS):
            if kind == "hold":
                seconds = max(seconds, self._telling_s(level))
            found = self._look(level, kind, seconds)
            if found.told:
                break
        return found.holds

    def _telling_s(self, level: float) -> float:
        """How long a load at this level must last, by the last look at any, warm-up and chance included."""
        last = next((each for each in reversed(self.levels) if each.telling_s is not None), None)
        if last is None or last.telling_s is None:
            return 0.0
        measured_s = last.telling_s * last.level / level
        return min(math.ceil(measured_s * CHANCE / (1 - WARM_UP_SHARE)), MOST_HOLD_S)

    def _look(self, level: float, kind: Kind, seconds: float) -> Level:
        words = load_process.words_of(
            self._scenario,
            self._deployment.path,
            self._folder,
            users=int(level) if self._unit == "users" else None,
            rate_per_s=level if self._unit == "arrivals/s" else None,
            duration_s=seconds,
        )
        run = RunDir.open(load_process.load(words))
        try:
            found = level_of(run, level, kind)
        except EvidenceUnavailable as problem:
            raise InputError(problem.where, problem.why) from problem
        self.levels.append(found)
        # As it is measured: a search that is interrupted leaves what it has seen.
        with (self._folder.parent / "levels.jsonl").open("a", encoding="utf-8") as out:
            out.write(found.model_dump_json() + "\n")
        mark = "+" if found.holds else "-"
        self._say(
            f"{mark} {level:g} {self._unit} ({kind}): {found.achieved_per_s:.1f} successes/s, {found.said}"
        )
        return found


def limit(levels: list[Level], capacity: float | None, broken: float | None) -> str:
    """What ended the search, in words."""
    if broken is None:
        return (
            "the most that was tried held: the capacity is not reached" if capacity else "nothing was tried"
        )
    above = [each for each in levels if each.level == broken and not each.holds]
    if not above:
        return "the search ended before its end"
    if not above[-1].generated:
        return f"the generator, not the deployment: {above[-1].generator.why}"
    return above[-1].said


def _unit(scenario: Scenario, given: str | None) -> Unit:
    """Open arrivals, unless the scenario is one of users (or `--by` says otherwise)."""
    if given is not None:
        return "users" if given == "users" else "arrivals/s"
    return "arrivals/s" if scenario.rates else "users"


def _promising(scenario: Scenario) -> None:
    """A capacity is one at objectives: raise `InputError` where there are none."""
    bounds = ("p50_ms", "p95_ms", "p99_ms", "max_error_ratio", "min_per_s")
    if not any(getattr(o, name) is not None for o in scenario.objectives for name in bounds):
        raise InputError(
            str(scenario.path), "promises nothing", "a capacity needs [[objectives]], as in p95_ms = 500"
        )


@click.command()
@click.argument("scenario")
@click.option(
    "--deployment", type=click.Path(path_type=Path), help="deployment.toml; default: as in `verify`."
)
@click.option("--by", type=click.Choice(["rate", "users"]),
              help="What a level is.  [default: as the scenario's arrivals]")  # fmt: skip
@click.option("--start", type=click.FloatRange(0, min_open=True), default=4.0, show_default=True,
              help="The first level.")  # fmt: skip
@click.option("--most", type=click.FloatRange(0, min_open=True), default=10_000.0, show_default=True,
              help="The highest level to try.")  # fmt: skip
@click.option("--precision", type=click.FloatRange(0.01, 1), default=0.1, show_default=True,
              help="How far the level that holds may be from the one that breaks, relative.")  # fmt: skip
@click.option("--probe", "probe_s", type=Duration(), default="8s", show_default=True,
              help="How long each level is loaded; a fifth of it is warm-up.")  # fmt: skip
@click.option("--hold", "hold_s", type=Duration(), default="20s", show_default=True,
              help="How long the capacity must hold; longer where promises take longer.")  # fmt: skip
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              help="Where the folder of the study is made.")  # fmt: skip
def capacity(
    scenario: str,
    deployment: Path | None,
    by: str | None,
    start: float,
    most: float,
    precision: float,
    probe_s: float,
    hold_s: float,
    runs: Path,
) -> int:
    """Find the highest load of SCENARIO at which all its objectives hold and no backlog grows.

    Levels are doubled until one breaks, then bisected; the one that holds is held for longer, and the one
    above it is tried again. A level holds where no objective is broken, nothing piles up (queues, stacks in
    progress, requests in flight) and the generator was not the bottleneck. Then a sweep around it, for the
    curve. All loads are kept below one folder, with capacity.json, a page, its figure and its table.

    Exit status: 0 a capacity was found and held; 1 not even the least level holds; 2 it cannot be tried.
    """
    wanted = catalogue.read(catalogue.find(scenario))
    _promising(wanted)
    unit = _unit(wanted, by)
    whole = unit == "users"
    plan = Plan(max(1.0, round(start)) if whole else start, 1.0 if whole else 0.1, most, precision, whole)
    described = deployments.read(paths.deployment(deployment))
    folder = RunDir.create(described, runs=runs, name=f"capacity-{wanted.name}")
    folder.note_command()
    began = time.monotonic()
    study = Study(scenario, described, folder.path / "runs", unit, lambda line: click.echo(line, err=True))
    found = search(
        plan,
        lambda level: study.load(level, "probe", probe_s),
        lambda level: study.load(level, "hold", hold_s),
    )
    if found.capacity is not None:
        for level in sweep(found.capacity, [each.level for each in study.levels], plan):
            study.load(level, "sweep", probe_s)
    result = Capacity(
        circumstances=study_circumstances.of(folder, described),
        scenario=wanted.name,
        deployment=described.name,
        unit=unit,
        capacity=found.capacity,
        broken=found.broken,
        confirmed=found.confirmed,
        limit=limit(study.levels, found.capacity, found.broken),
        precision=precision,
        probe_s=probe_s,
        hold_s=hold_s,
        took_s=round(time.monotonic() - began, 1),
        levels=tuple(study.levels),
    )
    keep(result, folder)
    return 0 if result.confirmed else 1


def keep(result: Capacity, folder: RunDir) -> None:
    """Write capacity.json to the study and to the run that was held, and the page; say what was found."""
    from calorimeter.report import page
    from calorimeter.studies import capacity_page

    text = result.model_dump_json(indent=2) + "\n"
    (folder.path / "capacity.json").write_text(text, encoding="utf-8")
    held = result.held
    if held is not None:
        (folder.path / "runs" / held.run / "capacity.json").write_text(text, encoding="utf-8")
    page.write(capacity_page.files(result), folder.path / "report")
    click.echo(capacity_page.table(result))
    click.echo(capacity_page.sentence(result))
    click.echo(f"report: {folder.path / 'report' / 'index.html'}")
