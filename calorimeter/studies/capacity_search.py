"""The search for the highest load at which all objectives hold and no backlog grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from calorimeter.core import files
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.studies import load_process, study_circumstances
from calorimeter.studies.capacity_search_result import CapacitySearchResult
from calorimeter.studies.level_search import SearchPlan, search, sweep
from calorimeter.studies.levels import Level, Unit, level_of
from calorimeter.workload.scenario import Scenario

MOST_LOADS = 3
"""Loads of one level, one after the other, until one of them is conclusive."""

MOST_HOLD_S = 600.0
WARM_UP_SHARE = 0.2
"""Largest part of a load that is warm-up, if the load is given a duration of its own (`Scenario`)."""

CHANCE = 1.25
"""A short load may by chance contain more requests of a rare operation than a longer one will."""

Kind = Literal["probe", "hold", "sweep"]

Load = Callable[[float, Kind, float], Level]
"""Makes one load at a level, of a kind, for a number of seconds; its result."""


class SearchLoads:
    """The loads of one search; `levels` are all of them, in their order."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.levels: list[Level] = []

    def hold(self, level: float, kind: Kind, seconds: float) -> bool:
        """Load at one level; whether it holds.

        A load that is not conclusive is repeated, `MOST_LOADS` loads at most: if the generator was the
        bottleneck, and, while the level is held, if objectives were left open; then for as long as it
        takes to decide them.
        """
        for _ in range(MOST_LOADS):
            if kind == "hold":
                seconds = max(seconds, self._telling_s(level))
            found = self._load(level, kind, seconds)
            self.levels.append(found)
            if found.conclusive:
                break
        return found.holds

    def _telling_s(self, level: float) -> float:
        """How long a load at this level must last, by the last load at any; with warm-up and chance."""
        last = next((each for each in reversed(self.levels) if each.telling_s is not None), None)
        if last is None or last.telling_s is None:
            return 0.0
        measured_s = last.telling_s * last.level / level
        return min(math.ceil(measured_s * CHANCE / (1 - WARM_UP_SHARE)), MOST_HOLD_S)


def recorded_load(
    scenario: str, deployment: Path, folder: Path, unit: Unit, say: Callable[[str], object]
) -> Load:
    """Loads that `calorimeter run` makes, each in a run folder of its own below `folder`/runs.

    Each is added to `folder`/levels.jsonl at once: a search that is interrupted leaves what it measured.
    """

    def load(level: float, kind: Kind, seconds: float) -> Level:
        words = load_process.words_of(
            scenario,
            deployment,
            folder / "runs",
            users=int(level) if unit == "users" else None,
            rate_per_s=level if unit == "arrivals/s" else None,
            duration_s=seconds,
        )
        run = RunDir.open(load_process.load(words))
        try:
            found = level_of(run, level, kind)
        except EvidenceUnavailable as problem:
            raise InputError(problem.where, problem.why) from problem
        with files.append(folder / "levels.jsonl") as out:
            out.write(found.model_dump_json().encode() + b"\n")
        mark = "+" if found.holds else "-"
        say(f"{mark} {level:g} {unit} ({kind}): {found.achieved_per_s:.1f} successes/s, {found.why}")
        return found

    return load


def limit(levels: list[Level], capacity: float | None, broken: float | None) -> str:
    """What ended the search, in words."""
    if broken is None:
        return (
            "the highest level that was tried held: the capacity was not reached"
            if capacity
            else "no load was made"
        )
    above = [each for each in levels if each.level == broken and not each.holds]
    if not above:
        return "the search ended early"
    if not above[-1].generated:
        return f"the generator, not the deployment: {above[-1].generator.why}"
    return above[-1].why


def unit_of(scenario: Scenario, by: str | None) -> Unit:
    """What levels are counted in: `by` (`rate` or `users`), or the scenario's own kind of load."""
    if by is None:
        return "arrivals/s" if scenario.rates else "users"
    return "users" if by == "users" else "arrivals/s"


def require_objectives(scenario: Scenario) -> None:
    """Raise `InputError` if a scenario has no objective with a bound: a capacity is one at objectives."""
    bounds = ("p50_ms", "p95_ms", "p99_ms", "max_error_ratio", "min_per_s")
    if not any(getattr(o, name) is not None for o in scenario.objectives for name in bounds):
        raise InputError(
            str(scenario.path), "has no objectives", "a capacity needs [[objectives]], as in p95_ms = 500"
        )


def find_capacity(
    scenario: Scenario,
    deployment: Deployment,
    folder: RunDir,
    load: Load,
    plan: SearchPlan,
    unit: Unit,
    probe_s: float,
    hold_s: float,
) -> CapacitySearchResult:
    """Search for the capacity, and load the levels around it for the curve."""
    began = time.monotonic()
    loads = SearchLoads(load)
    found = search(
        plan,
        lambda level: loads.hold(level, "probe", probe_s),
        lambda level: loads.hold(level, "hold", hold_s),
    )
    if found.capacity is not None:
        for level in sweep(found.capacity, [each.level for each in loads.levels], plan):
            loads.hold(level, "sweep", probe_s)
    return CapacitySearchResult(
        circumstances=study_circumstances.of(folder, deployment),
        scenario=scenario.name,
        deployment=deployment.name,
        unit=unit,
        capacity=found.capacity,
        broken=found.broken,
        confirmed=found.confirmed,
        limit=limit(loads.levels, found.capacity, found.broken),
        precision=plan.precision,
        probe_s=probe_s,
        hold_s=hold_s,
        took_s=round(time.monotonic() - began, 1),
        levels=tuple(loads.levels),
    )


def write_result(result: CapacitySearchResult, folder: RunDir) -> None:
    """Write the page, and capacity.json to the folder of the study and to the run that was held."""
    from calorimeter.report import report_folder
    from calorimeter.studies import capacity_page

    text = result.model_dump_json(indent=2) + "\n"
    files.write(folder.path / "capacity.json", text, mode=files.PRIVATE)
    if result.held is not None:
        run = folder.path / "runs" / result.held.run
        files.write(run / "capacity.json", text, mode=files.PRIVATE)
    report_folder.write(capacity_page.files(result), folder.path / "report")
