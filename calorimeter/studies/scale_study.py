"""The scale-out study: throughput at several numbers of APIs and engines."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pandas as pd

from calorimeter.core import deployment as deployments
from calorimeter.core import engine_groups, files
from calorimeter.core.bounds import is_digits
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import stack_tables
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.verdict import Outcome
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import not_the_bottleneck
from calorimeter.gates.service_level.recorded_load import generator_of
from calorimeter.report.tables import watch_files
from calorimeter.studies import load_process, usl
from calorimeter.studies.scale_result import Kind, Measure, ProcessorUse, ScaleResult, Size
from calorimeter.workload.scenario import Scenario

MOST_TRIES = 2
"""Loads of one size, if gate T3 does not pass the first."""

SCALE_S = 300.0
"""Time limit for a deployment to reach another size."""

Shape = tuple[int, int, int]
"""REST APIs, CFN APIs, engines."""


def shapes(rest: Sequence[int], cfn: Sequence[int], engines: Sequence[int]) -> list[Shape]:
    """Every combination, the engines changing fastest: each change of size costs time."""
    return [(r, c, e) for r, c in product(rest, cfn) for e in engines]


def unmeasured(engines: Sequence[int]) -> int:
    """The number of engines to predict and then to measure: the first gap, else one more than the most."""
    inside = [n for n in range(min(engines), max(engines)) if n not in engines]
    return inside[0] if inside else max(engines) + 1


def refuse_several(cfn: Sequence[int] | None) -> None:
    """Raise `InputError` for several numbers of CFN APIs: no law is fitted along them."""
    if cfn is not None and len(cfn) > 1:
        given = ",".join(map(str, cfn))
        raise InputError("--cfn", f"{given} given", "valid: one number; --rest and --engines take several")


def left_out(engines: Sequence[int], check: int | None) -> int | None:
    """The number of engines to predict, then to measure; None if there will be no law to predict it by.

    Raises `InputError` if `check` cannot be predicted, or is among the sizes that the law is fitted to.
    """
    if check in engines:
        raise InputError("--check", f"{check} engines are among --engines", "valid: a number left out")
    if len(engines) >= usl.FEWEST_FOR_LAW:
        return check or unmeasured(engines)
    if check is not None:
        few = f"nothing predicts {check} engines: {len(engines)} sizes in --engines have no law"
        raise InputError("--check", few, f"valid: with {usl.FEWEST_FOR_LAW} sizes or more")
    return None


@dataclass(slots=True)
class ScaleStudy:
    """Loads of one scenario at several sizes of one deployment, recorded in `runs`."""

    scenario: str
    deployment: Path
    runs: Path
    duration_s: float
    users_per_engine: int
    before: dict[str, int] = field(init=False)
    reached: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note the size of the deployment, to which `restore` returns."""
        self.before = counted(deployments.read(self.deployment))

    def reach(self, shape: Shape) -> None:
        """Bring the deployment to a size; raises `InputError` if it has no command for that or it fails."""
        numbers: dict[Kind, int] = {"rest": shape[0], "cfn": shape[1], "engines": shape[2]}
        described = deployments.read(self.deployment)
        for kind, number in numbers.items():
            if self.reached.get(kind, counted(described)[kind]) == number:
                continue
            command = getattr(described.scale, kind)
            if command is None:
                raise InputError(
                    f"{self.deployment}: scale.{kind}",
                    "is missing",
                    "valid: a command that gets the number as $N; the lab's file has one",
                )
            _run(command, kind, number)
            self.reached[kind] = number

    def restore(self) -> None:
        """Bring the deployment back to the size that it had; raises `InputError` as `reach` does."""
        self.reach((self.before["rest"], self.before["cfn"], self.before["engines"]))

    def load(self, shape: Shape, measure: Measure, check: bool) -> Size:
        """Load at the size that was reached; again if the generator was the bottleneck."""
        return best_load(lambda: self._load(shape, measure, check))

    def _load(self, shape: Shape, measure: Measure, check: bool) -> Size:
        users = self.users_per_engine * shape[2]
        words = load_process.words_of(
            self.scenario, self.deployment, self.runs, users=users, duration_s=self.duration_s
        )
        return size_of(RunDir.open(load_process.load(words)), shape, users, measure, check)


def best_load(load: Callable[[], Size]) -> Size:
    """The better of at most `MOST_TRIES` loads by gate T3, not by throughput; a PASS ends them.

    PASS is better than FAIL, FAIL is better than INCONCLUSIVE (nothing is known of it); then fewer busy
    seconds and fewer late arrivals are better.
    """
    found = load()
    while found.generator.outcome is not Outcome.PASS and found.tries < MOST_TRIES:
        tries = found.tries + 1
        found = min(found, load(), key=_spoilt).model_copy(update={"tries": tries})
    return found


def _spoilt(size: Size) -> tuple[float, ...]:
    judged = size.generator
    counts = (judged.figures.get(name) for name in ("windows_busy", "late"))
    return (
        judged.outcome is not Outcome.PASS,
        judged.outcome is not Outcome.FAIL,
        *(float(count) if isinstance(count, int) else math.inf for count in counts),
    )


def counted(described: Deployment) -> dict[str, int]:
    """The number of components of each kind in the deployment file."""
    return {
        "rest": len(described.rest.backends),
        "cfn": len(described.cfn.backends) if described.cfn else 0,
        "engines": engine_groups.processes(described.engines),
    }


def _run(command: str, kind: str, number: int) -> None:
    try:
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "N": str(number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SCALE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"scale.{kind}", f"did not reach {number} within {SCALE_S:g} s") from None
    if done.returncode != 0:
        output = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"scale.{kind}", f"status {done.returncode} for {number}: {output}")


def size_of(run: RunDir, shape: Shape, users: int, measure: Measure, check: bool) -> Size:
    """Count the stacks or requests that a recorded load completed in its measured part."""
    counted = counted_samples.read(run)
    part = counted.part
    (everything,) = counted.served(["*"])
    window_s = part.length_s if part else 0.0
    done = completed_stacks(run, part) if measure == "stacks/s" else everything.ok
    return Size(
        rest=shape[0],
        cfn=shape[1],
        engines=shape[2],
        users=users,
        run=run.path.name,
        window_s=round(window_s, 3),
        done=done,
        throughput=round(done / window_s, 4) if window_s > 0 else 0.0,
        failed=everything.requests - everything.ok,
        requests=everything.requests,
        used=tuple(processor_used(watch_files.read(run).processes, part)),
        generator=not_the_bottleneck(generator_of(run)),
        check=check,
    )


def completed_stacks(run: RunDir, part: Span | None) -> int:
    """Stacks that became complete in the measured part."""
    ledger = stack_tables.ledger(run)
    if ledger is None or part is None:
        return 0
    complete = (ledger["final_state"] == "CREATE_COMPLETE").to_numpy()
    return int((complete & part.holds(stack_tables.ns(ledger, "final_ns"))).sum())


def processor_used(polls: pd.DataFrame, part: Span | None) -> Iterator[ProcessorUse]:
    """Processor time that each kind of component (its name without its number) used in the measured part.

    `polls` is the table `processes` of `watch_files`.
    """
    if part is None:
        return
    used_s: dict[str, list[float]] = {}
    for name, own in polls[part.holds(stack_tables.ns(polls, "t_ns"))].groupby("part", sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        if last["t_ns"] == first["t_ns"]:
            continue
        # The polls cover a little less than the part: what they show is scaled to it.
        scale = (part.last_ns - part.first_ns) / (int(last["t_ns"]) - int(first["t_ns"]))
        head, _, number = str(name).rpartition("-")
        kind = head if is_digits(number) and head else str(name)
        used_s.setdefault(kind, []).append((float(last["cpu_s"]) - float(first["cpu_s"])) * scale)
    for kind, seconds in sorted(used_s.items()):
        yield ProcessorUse(kind=kind, processes=len(seconds), cpu_s=round(sum(seconds), 3))


def measure_of(scenario: Scenario, given: str | None) -> Measure:
    """What throughput counts: as given, else stacks if the scenario makes some (worth many requests)."""
    if given is not None:
        return "stacks/s" if given == "stacks" else "requests/s"
    mixes = [load.mix for load in (scenario.rest, scenario.cfn) if load is not None]
    return "stacks/s" if any({"create", "CreateStack"} & set(mix) for mix in mixes) else "requests/s"


def run_study(
    study: ScaleStudy,
    empty: ScaleResult,
    shapes: Sequence[tuple[Shape, bool]],
    folder: RunDir,
    say: Callable[[str], object],
) -> ScaleResult:
    """Load the deployment at each shape (and whether it is the one left out), then restore its size.

    `empty` is the result without loads. scale.json is written after each load: what was measured is kept if
    a later load fails.
    """
    result, began = empty, time.monotonic()
    try:
        for shape, check in shapes:
            study.reach(shape)
            for _ in range(empty.repeat):
                size = study.load(shape, empty.measure, check)
                took_s = round(time.monotonic() - began, 1)
                result = result.model_copy(update={"sizes": (*result.sizes, size), "took_s": took_s})
                _write(result, folder)
                say(_summary(size, empty.measure))
    finally:
        try:
            study.restore()
        except InputError as problem:
            say(f"calorimeter: the deployment could not be restored to its original size: {problem}")
    return result


def _summary(size: Size, measure: str) -> str:
    shape = f"{size.rest} REST, {size.cfn} CFN, {size.engines} engines"
    spoilt = "" if size.generator.outcome is Outcome.PASS else f"; T3 {size.generator.outcome.value}"
    tries = f"; the better of {size.tries} loads" if size.tries > 1 else ""
    return f"{shape}: {size.throughput:.2f} {measure} ({size.done} in {size.window_s:.0f} s){spoilt}{tries}"


def _write(result: ScaleResult, folder: RunDir) -> None:
    files.write(folder.path / "scale.json", result.model_dump_json(indent=2) + "\n")
