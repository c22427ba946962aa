"""`calorimeter scale`: throughput against the number of APIs and engines, and the law that it follows."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

from calorimeter.commands.load import Duration
from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.core.verdict import Outcome
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import not_the_bottleneck
from calorimeter.gates.service_level.recorded_load import generator_of
from calorimeter.studies import load_process, study_circumstances, usl
from calorimeter.studies.scale_result import Kind, Measure, Scale, Size, Used
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

MOST_TRIES = 2
"""Loads of one size where gate T3 does not pass the first."""

SCALE_S = 300.0
"""How long a deployment may take to get to another size."""

Shape = tuple[int, int, int]
"""REST APIs, CFN APIs, engines."""


class Sizes(click.ParamType[tuple[int, ...]]):
    """`1,2,4`: sizes, ascending, each once."""

    name = "N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers from 1 to 64."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdigit() and 1 <= int(word) <= 64 for word in words):
            self.fail(f"{value!r} given; valid: numbers from 1 to 64 such as 1,2,4", param, ctx)
        return tuple(sorted({int(word) for word in words}))


def shapes(rest: Sequence[int], cfn: Sequence[int], engines: Sequence[int]) -> list[Shape]:
    """Every combination; those along the largest of the others last, engines ascending.

    Neighbours differ in one number wherever that can be, because each change costs time.
    """
    return [(r, c, e) for r, c in product(rest, cfn) for e in engines]


def unmeasured(engines: Sequence[int]) -> int:
    """The number of engines to predict and then to measure: the first gap, else one more than the most."""
    inside = [n for n in range(min(engines), max(engines)) if n not in engines]
    return inside[0] if inside else max(engines) + 1


def refuse_several(cfn: Sequence[int] | None) -> None:
    """No law is along the CFN APIs, and loads of several numbers of them would be taken for alike."""
    if cfn is not None and len(cfn) > 1:
        given = ",".join(map(str, cfn))
        raise InputError("--cfn", f"{given} given", "valid: one number; --rest and --engines take several")


def checked(engines: Sequence[int], check: int | None) -> int | None:
    """The number of engines to predict and to measure; None where there will be no law to predict it by."""
    if len(engines) >= usl.FEWEST_FOR_LAW:
        return check or unmeasured(engines)
    if check is not None:
        few = f"nothing predicts {check} engines: {len(engines)} sizes in --engines have no law"
        raise InputError("--check", few, f"valid: with {usl.FEWEST_FOR_LAW} sizes or more")
    return None


class Study:
    """Loads at several sizes of one deployment."""

    def __init__(
        self, scenario: Scenario, name: str, path: Path, folder: Path, duration_s: float, users: int
    ) -> None:
        self._scenario = scenario
        self._name = name
        self._path = path
        self._folder = folder
        self._duration_s = duration_s
        self._users = users
        self._now: dict[str, int] = {}

    def reach(self, shape: Shape) -> None:
        """Bring the deployment to a size; raises `InputError` where it has no command, or that fails."""
        wanted: dict[Kind, int] = {"rest": shape[0], "cfn": shape[1], "engines": shape[2]}
        described = deployments.read(self._path)
        for kind, number in wanted.items():
            if self._now.get(kind, counted(described).get(kind)) == number:
                continue
            command = getattr(described.scale, kind)
            if command is None:
                raise InputError(
                    f"{self._path}: scale.{kind}",
                    "is missing",
                    "a command that finds the number wanted as $N; the lab's file has one",
                )
            _run(command, kind, number)
            self._now[kind] = number

    def load(self, shape: Shape, measure: Measure, check: bool) -> Size:
        """Load at the size that was reached, again where the generator was the bottleneck."""
        return better(lambda: self._look(shape, measure, check))

    def _look(self, shape: Shape, measure: Measure, check: bool) -> Size:
        users = self._users * shape[2]
        words = load_process.words_of(
            self._name, self._path, self._folder, users=users, duration_s=self._duration_s
        )
        return size_of(RunDir.open(load_process.load(words)), shape, users, measure, check)


def better(look: Callable[[], Size]) -> Size:
    """The better of at most `MOST_TRIES` loads by gate T3, which ends them; not the one that got more done.

    What the gate passed is better than what it did not, then what it could judge, then fewer busy seconds
    and fewer late times.
    """
    found = look()
    while found.generator.outcome is not Outcome.PASS and found.tries < MOST_TRIES:
        tries = found.tries + 1
        found = min(found, look(), key=_spoilt).model_copy(update={"tries": tries})
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
    """How many of each kind the deployment file says there are."""
    return {
        "rest": len(described.rest.backends),
        "cfn": len(described.cfn.backends) if described.cfn else 0,
        "engines": len(described.engines.names) if described.engines else 0,
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
        raise InputError(f"scale.{kind}", f"did not get to {number} within {SCALE_S:g} s") from None
    if done.returncode != 0:
        said = (done.stdout.strip().splitlines() or ["nothing was said"])[-1]
        raise InputError(f"scale.{kind}", f"status {done.returncode} for {number}: {said}")


def size_of(run: RunDir, shape: Shape, users: int, measure: Measure, check: bool) -> Size:
    """Count what a recorded load got done."""
    table = counted_samples.read(run)
    first, last = span = counted_samples.window(table, run.about)
    everything = counted_samples.served(table, ["*"], span)[0]
    window_s = (last - first) / 1e9
    done = _completed(run, first, last) if measure == "stacks/s" else everything.ok
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
        used=tuple(_used(run.path / "watch" / "processes.jsonl", first, last)),
        generator=not_the_bottleneck(generator_of(run)),
        check=check,
    )


def _completed(run: RunDir, first: int, last: int) -> int:
    """Stacks that became complete in the measured part."""
    count = 0
    for path in run.parquet("ledger"):
        rows = pq.read_table(path, columns=["final_ns", "final_state"])
        states = rows["final_state"].to_pylist()
        for at, state in zip(rows["final_ns"].to_pylist(), states, strict=True):
            count += state == "CREATE_COMPLETE" and first <= at <= last
    return count


def _used(file: Path, first: int, last: int) -> list[Used]:
    """Processor used in the measured part by each kind: a part's name without its number."""
    looks: dict[str, list[tuple[int, float]]] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                look = json.loads(line)
                for row in look["processes"] if first <= look["t_ns"] <= last else ():
                    looks.setdefault(str(row["part"]), []).append((look["t_ns"], float(row["cpu_s"])))
            except (ValueError, KeyError, TypeError):
                continue  # cut off
    kinds: dict[str, tuple[int, float]] = {}
    for part, seen in looks.items():
        if len(seen) < 2 or seen[-1][0] == seen[0][0]:
            continue
        # The looks cover a little less than the window: what they saw is scaled to it.
        used = (seen[-1][1] - seen[0][1]) * (last - first) / (seen[-1][0] - seen[0][0])
        head, _, number = part.rpartition("-")
        kind = head if number.isdigit() and head else part
        count, so_far = kinds.get(kind, (0, 0.0))
        kinds[kind] = (count + 1, so_far + used)
    return [Used(kind=kind, processes=n, cpu_s=round(s, 3)) for kind, (n, s) in sorted(kinds.items())]


def _measure(scenario: Scenario, given: str | None) -> Measure:
    """Stacks where the scenario makes some: one is worth many requests."""
    if given is not None:
        return "stacks/s" if given == "stacks" else "requests/s"
    mixes = [load.mix for load in (scenario.rest, scenario.cfn) if load is not None]
    return "stacks/s" if any({"create", "CreateStack"} & set(mix) for mix in mixes) else "requests/s"


@click.command()
@click.argument("scenario", default="engine-wait")
@click.option(
    "--deployment", type=click.Path(path_type=Path), help="deployment.toml; default: as in `verify`."
)
@click.option("--rest", type=Sizes(), help="Numbers of REST APIs.  [default: as many as there are]")
@click.option("--cfn", type=Sizes(), help="Number of CFN APIs, one.  [default: as many as there are]")
@click.option("--engines", type=Sizes(), required=True, help="Numbers of engines, as in 1,2,4.")
@click.option("--check", type=click.IntRange(1, 64), metavar="N",
              help="Engines to predict, then to measure.  [default: the first left out]")  # fmt: skip
@click.option("--users-per-engine", type=click.IntRange(1), default=6, show_default=True,
              help="Users for each engine: enough to keep it busy, alike at every size.")  # fmt: skip
@click.option("--duration", type=Duration(), default="20s", show_default=True,
              help="How long each size is loaded; a fifth of it is warm-up.")  # fmt: skip
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Loads a size.")
@click.option("--measure", type=click.Choice(["stacks", "requests"]),
              help="What throughput counts.  [default: stacks, where the scenario makes some]")  # fmt: skip
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              help="Where the folder of the study is made.")  # fmt: skip
def scale(
    scenario: str,
    deployment: Path | None,
    rest: tuple[int, ...] | None,
    cfn: tuple[int, ...] | None,
    engines: tuple[int, ...],
    check: int | None,
    users_per_engine: int,
    duration: float,
    repeat: int,
    measure: str | None,
    runs: Path,
) -> int:
    """Load a deployment at several sizes and fit the Universal Scalability Law to its throughput.

    A lab is scaled by itself, any other deployment by the commands of [scale] in its file. A law needs
    three sizes; six of engines or more give it intervals. One size is left out, predicted, and measured to
    see. Which component saturates first is told from the processor that each used per stack or request.

    On a machine of few cores use a load that waits in the engines, as engine-wait does with
    `lab up --engine-threads 2`: else the machine is measured, not the engines.

    Exit status: 0 it was measured; 1 a prediction lies outside its interval; 2 it cannot be done.
    """
    refuse_several(cfn)
    left_out = checked(engines, check)
    wanted = catalogue.read(catalogue.find(scenario))
    path = paths.deployment(deployment)
    described = deployments.read(path)
    before = counted(described)
    grid = shapes(rest or (before["rest"],), cfn or (before["cfn"],), engines)
    beyond = [] if left_out is None else [(grid[-1][0], grid[-1][1], left_out)]
    if left_out in engines:
        raise InputError("--check", f"{check} engines are among --engines", "valid: a number left out")
    chosen = _measure(wanted, measure)
    folder = RunDir.create(described, runs=runs, name=f"scale-{wanted.name}")
    folder.note_command()
    study = Study(wanted, scenario, path, folder.path / "runs", duration, users_per_engine)
    result = Scale(
        circumstances=study_circumstances.of(folder, described),
        scenario=wanted.name,
        deployment=described.name,
        measure=chosen,
        users_per_engine=users_per_engine,
        duration_s=duration,
        repeat=repeat,
        took_s=0.0,
        cpus=len(os.sched_getaffinity(0)),
        sizes=(),
    )
    began = time.monotonic()
    try:
        for shape in [*grid, *beyond]:
            study.reach(shape)
            for _ in range(repeat):
                size = study.load(shape, chosen, check=shape in beyond)
                took_s = round(time.monotonic() - began, 1)
                result = result.model_copy(update={"sizes": (*result.sizes, size), "took_s": took_s})
                _write(result, folder)
                click.echo(_said(size, chosen), err=True)
    finally:
        _restore(study, before)
    keep(result, folder, click.echo)
    return 1 if any(each.inside is False for each in result.predictions) else 0


def _said(size: Size, measure: str) -> str:
    shape = f"{size.rest} REST, {size.cfn} CFN, {size.engines} engines"
    spoilt = "" if size.generator.outcome is Outcome.PASS else f"; T3 {size.generator.outcome.value}"
    tries = f"; the better of {size.tries} loads" if size.tries > 1 else ""
    return f"{shape}: {size.throughput:.2f} {measure} ({size.done} in {size.window_s:.0f} s){spoilt}{tries}"


def _restore(study: Study, before: dict[str, int]) -> None:
    """Leave the deployment at the size that it had."""
    try:
        study.reach((before["rest"], before["cfn"], before["engines"]))
    except InputError as problem:
        click.echo(f"calorimeter: the deployment is left at another size: {problem}", err=True)


def _write(result: Scale, folder: RunDir) -> None:
    """Write scale.json, whole at any time: what was measured stays where a later load fails."""
    partial = folder.path / "scale.partial"
    partial.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(folder.path / "scale.json")


def keep(result: Scale, folder: RunDir, say: Callable[[str], object]) -> None:
    """Write the page of a study; say what was found."""
    from calorimeter.report import page
    from calorimeter.studies import scale_page

    page.write(scale_page.files(result), folder.path / "report")
    for line in scale_page.lines(result):
        say(line)
    say(f"report: {folder.path / 'report' / 'index.html'}")
