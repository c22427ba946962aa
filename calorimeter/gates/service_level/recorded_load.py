"""What a recorded load shows: nothing here sends anything, a run folder is read."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calorimeter.core import generator as generators
from calorimeter.core.baseline import Baseline
from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.core.series import runs_of_side
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import PERCENTS, Generator, Service
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

COMPARE_S = 300.0
"""Ten million samples a run take half a minute."""


def service(context: Context) -> Service:
    """What became of the requests of the run, for each objective of its scenario."""
    return service_of(context.recorded)


def service_of(run: RunDir) -> Service:
    """See `service`."""
    scenario = _scenario(run)
    table = counted_samples.read(run)
    span = counted_samples.window(table, run.about)
    names = dict.fromkeys(("*", *(objective.operation for objective in scenario.objectives)))
    return Service(
        run=run.path.name,
        whole=_whole(run.about),
        window_s=(span[1] - span[0]) / 1e9,
        objectives=scenario.objectives,
        served=counted_samples.served(table, names, span),
    )


def generator(context: Context) -> Generator:
    """What the processes that generated the load noted of themselves."""
    return generator_of(context.recorded)


def generator_of(run: RunDir) -> Generator:
    """See `generator`."""
    table = counted_samples.read(run)
    first, last = span = counted_samples.window(table, run.about)
    seen = [window for window in generators.windows(run.path) if first <= window.t_ns <= last]
    everything = counted_samples.served(table, ["*"], span)[0]
    promised = [
        percent
        for objective in _scenario(run).objectives
        for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True)
        if bound is not None
    ]
    return Generator(
        sent=everything.requests - everything.dropped,
        windows=len(seen),
        busy=tuple(
            _told(window, first, why) for window in seen if (why := generators.cpu_shortage(window))
        ),
        timed=sum(window.timed for window in seen),
        late=sum(window.late for window in seen),
        limited=tuple(
            _told(window, first, why) for window in seen if (why := generators.bottleneck(window))
        ),
        percent=max(promised, default=max(PERCENTS)),
        cpu_share=max((window.cpu_share for window in seen), default=0.0),
        lag_p99_ms=max((window.lag_p99_s * 1e3 for window in seen), default=0.0),
    )


def _told(window: generators.GeneratorWindow, first_ns: int, why: str) -> str:
    return f"{window.worker} after {(window.t_ns - first_ns) / 1e9:.0f} s: {why}"


def baseline(context: Context) -> Baseline:
    """The run, with all of its side of a series, against the runs of the baseline.

    What `calorimeter compare` finds, so that a page and a gate cannot differ.
    """
    left = [path for run in context.baseline for path in runs_of_side(run)]
    right = runs_of_side(context.recorded.path)
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / "baseline.json"
        words = [word for path in dict.fromkeys(left) for word in ("--baseline", str(path))]
        command = [sys.executable, "-m", "calorimeter", "compare", *map(str, right), *words]
        done = subprocess.run(
            [*command, "--record", str(record)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMPARE_S, check=False,
        )  # fmt: skip
        try:
            return Baseline.model_validate_json(record.read_text(encoding="utf-8"))
        except OSError:
            said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            raise EvidenceUnavailable("compare", said.removeprefix("calorimeter: ")) from None
        except ValidationError as problem:
            raise EvidenceUnavailable("compare", f"left no record of a comparison: {problem}") from None


def _scenario(run: RunDir) -> Scenario:
    file = run.path / "scenario.toml"
    if not file.exists():
        raise EvidenceUnavailable(str(run.path), "holds no scenario.toml: give a run of `calorimeter run`")
    try:
        return catalogue.recorded(file)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, str(problem)) from problem


def _whole(about: dict[str, Any]) -> bool:
    """Whether the load ended when its time was up."""
    return about.get("stopped") == "ended" and about.get("clean_stop") is True
