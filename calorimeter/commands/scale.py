"""`calorimeter scale`."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import click

from calorimeter.commands.options import DEPLOYMENT_OPTION, RUNS_OPTION
from calorimeter.commands.param_types import DurationParam, NumberParam, NumbersParam, check_series
from calorimeter.core import bounds, paths
from calorimeter.core import deployment as deployments
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.workload import catalogue

SIZES = NumbersParam("N,N,…", bounds.LAB_COUNT)


@click.command()
@click.argument("scenario", default="engine-wait")
@DEPLOYMENT_OPTION
@click.option("--rest", type=SIZES, help="Numbers of REST APIs (default: as many as there are).")
@click.option("--cfn", type=SIZES, metavar="N", help="Number of CFN APIs (default: as many as there are).")
@click.option("--engines", type=SIZES, required=True, help="Numbers of engines, as in 1,2,4.")
@click.option("--check", type=NumberParam(bounds.LAB_COUNT),
              help="Number of engines to predict, then measure (default: the first left out).")  # fmt: skip
@click.option("--users-per-engine", type=NumberParam(bounds.STACKS), default=6, show_default=True,
              help="Number of users for each engine: enough to keep it busy.")  # fmt: skip
@click.option("--duration", type=DurationParam(bounds.LOAD), default="20s", show_default=True,
              help="Length of the load at each size; a fifth of it is warm-up.")  # fmt: skip
@click.option("--repeat", type=NumberParam(bounds.REPEATS), default=1, show_default=True,
              help="Number of loads per size.")  # fmt: skip
@click.option("--measure", type=click.Choice(["stacks", "requests"]),
              help="What throughput counts (default: stacks, if the scenario makes some).")  # fmt: skip
@RUNS_OPTION
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

    A lab is resized automatically, any other deployment by the commands of [scale] in its file. A law needs
    three sizes; its intervals need six sizes of engines. One size is left out, predicted, and measured to
    check the prediction. The processor time per stack or request shows which component saturates first.

    On a machine with few cores use a load that waits in the engines, as engine-wait does with `lab up
    --engine-threads 2`. Otherwise the machine is measured, not the engines.

    Exit status: 0 the study is complete; 1 a measurement lies outside its predicted interval; 2 it cannot
    run.
    """
    sizes = (len(set(numbers)) for numbers in (rest, cfn, engines) if numbers)
    check_series(prod(sizes) * repeat * duration, "the loads of all sizes")
    from calorimeter.report import report_folder
    from calorimeter.studies import scale_page, study_circumstances
    from calorimeter.studies import scale_study as study
    from calorimeter.studies.scale_result import ScaleResult

    rest, cfn = (tuple(sorted(set(sizes))) if sizes else None for sizes in (rest, cfn))
    engines = tuple(sorted(set(engines)))
    study.refuse_several(cfn)
    left_out = study.left_out(engines, check)
    wanted = catalogue.read(catalogue.find(scenario))
    path = paths.deployment(deployment)
    described = deployments.read(path)
    before = study.counted(described)
    grid = study.shapes(rest or (before["rest"],), cfn or (before["cfn"],), engines)
    shapes = [(shape, False) for shape in grid]
    if left_out is not None:
        shapes.append(((grid[-1][0], grid[-1][1], left_out), True))
    folder = RunDir.create(described, runs=runs, name=f"scale-{wanted.name}")
    folder.note_command()
    empty = ScaleResult(
        circumstances=study_circumstances.of(folder, described),
        scenario=wanted.name,
        deployment=described.name,
        measure=study.measure_of(wanted, measure),
        users_per_engine=users_per_engine,
        duration_s=duration,
        repeat=repeat,
        took_s=0.0,
        cpus=len(os.sched_getaffinity(0)),
        sizes=(),
    )
    loads = study.ScaleStudy(scenario, path, folder.path / "runs", duration, users_per_engine)
    result = study.run_study(loads, empty, shapes, folder, lambda line: click.echo(line, err=True))
    report_folder.write(scale_page.files(result), folder.path / "report")
    for line in scale_page.lines(result):
        click.echo(line)
    click.echo(f"report: {folder.path / 'report' / 'index.html'}")
    return 1 if any(each.inside is False for each in result.predictions) else 0
