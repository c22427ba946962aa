"""Evidence of gates T, read from the run folder of a recorded load: nothing is sent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import load_generator as generators
from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.baseline import Baseline
from calorimeter.core.recorded.load_history import LoadHistory
from calorimeter.core.recorded.run_series import runs_of_side
from calorimeter.core.recorded.rundir import UPGRADED, RunDir
from calorimeter.core.toml import Model
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.objectives import PERCENTS, GeneratorRecord, ServiceLevel
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

COMPARE_S = 3600.0
"""Time limit of a comparison; a hundred million samples take some minutes per run."""

M = TypeVar("M", bound=Model)


def service_of(run: RunDir) -> ServiceLevel:
    """Evidence of T1: what became of the requests of the measured part, for each objective.

    Raises `EvidenceUnavailable` if the run holds no samples or no scenario, or one of them is damaged.
    """
    from calorimeter.gates.service_level.counted_samples import read  # numpy and pyarrow take their time

    scenario = scenario_of(run)
    counted = read(run)
    part = counted.part
    names = dict.fromkeys(("*", *(objective.operation for objective in scenario.objectives)))
    return ServiceLevel(
        run=run.path.name,
        whole=_whole(run.about),
        window_s=part.length_s if part else 0.0,
        objectives=scenario.objectives,
        served=counted.served(names),
        ended_by=test.ended.sentence if (test := objective_test.of(run.about)) and test.ended else "",
    )


def generator_of(run: RunDir) -> GeneratorRecord:
    """Evidence of T3: what the load's generating processes recorded of themselves in its measured part.

    Raises `EvidenceUnavailable` as `service_of` does.
    """
    from calorimeter.gates.service_level.counted_samples import read

    counted = read(run)
    part = counted.part
    recorded = generators.windows(run.path) if part else []
    seconds = [each for each in recorded if part and part.first_ns <= each.t_ns <= part.last_ns]
    judged = [
        percent
        for objective in scenario_of(run).objectives
        for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True)
        if bound is not None
    ]

    def marked(rule: Callable[[generators.GeneratorWindow], str]) -> tuple[str, ...]:
        begin_ns = part.first_ns if part else 0
        found = ((each, rule(each)) for each in seconds)
        return tuple(
            f"{each.worker} after {(each.t_ns - begin_ns) / 1e9:.0f} s: {why}" for each, why in found if why
        )

    return GeneratorRecord(
        sent=counted.sent(),
        windows=len(seconds),
        busy=marked(generators.cpu_shortage),
        timed=sum(each.timed for each in seconds),
        late=sum(each.late for each in seconds),
        limited=marked(generators.bottleneck),
        percent=max(judged, default=max(PERCENTS)),
        cpu_share=max((each.cpu_share for each in seconds), default=0.0),
        lag_p99_ms=max((each.lag_p99_s * 1e3 for each in seconds), default=0.0),
    )


def baseline(context: Context) -> Baseline:
    """Evidence of T2: the run, with all runs of its side of a series, against the runs of the baseline.

    `calorimeter compare` finds it, so that a page and the gate cannot differ. Raises `EvidenceUnavailable`
    if the runs cannot be compared.
    """
    left = [path for run in context.baseline for path in runs_of_side(run)]
    right = runs_of_side(context.recorded.path)
    words = [word for path in dict.fromkeys(left) for word in ("--baseline", str(path))]
    return _recorded_by("compare", [*map(str, right), *words], Baseline)


def history(context: Context) -> LoadHistory:
    """Evidence of T4: the runs of the same load as the run, up to it, in the folders of the history.

    `calorimeter history` finds them, so that a page and the gate cannot differ. Raises
    `EvidenceUnavailable` if the run is not among them.
    """
    folders = map(str, context.history)
    return _recorded_by("history", [*folders, "--run", str(context.recorded.path)], LoadHistory)


def _recorded_by(command: str, words: list[str], model: type[M]) -> M:
    """The evidence that a command of the suite records; `EvidenceUnavailable` with its message if none."""
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / f"{command}.json"
        done = subprocess.run(
            [sys.executable, "-m", "calorimeter", command, *words, "--record", str(record)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMPARE_S, check=False,
        )  # fmt: skip
        try:
            return model.model_validate_json(files.read(record))
        except files.MissingFileError:
            error = (done.stderr.strip().splitlines() or ["ended without a message"])[-1]
            raise EvidenceUnavailable(command, error.removeprefix("calorimeter: ")) from None
        except ValidationError as problem:
            raise EvidenceUnavailable(command, f"left no record of its evidence: {problem}") from None


def scenario_of(run: RunDir) -> Scenario:
    """The scenario of a run. Raises `EvidenceUnavailable` if there is none, or it is damaged."""
    file = run.path / "scenario.toml"
    try:
        return catalogue.recorded(files.regular(file, within=run.path))
    except files.MissingFileError:
        missing = "holds no scenario.toml: give a run of `calorimeter run`"
        raise EvidenceUnavailable(str(run.path), missing) from None
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem


def _whole(about: dict[str, Any]) -> bool:
    """Whether the load ended when its duration had elapsed."""
    in_order = about.get("stopped") in ("ended", UPGRADED)
    return in_order and about.get("clean_stop") is True
