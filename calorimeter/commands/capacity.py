"""`calorimeter capacity`."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.commands.options import DEPLOYMENT_OPTION, RUNS_OPTION
from calorimeter.commands.param_types import DurationParam, NumberParam
from calorimeter.core import bounds, paths
from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.workload import catalogue


@click.command()
@click.argument("scenario")
@DEPLOYMENT_OPTION
@click.option("--by", type=click.Choice(["rate", "users"]),
              help="Unit of a level: arrivals/s or users (default: as in the scenario).")  # fmt: skip
@click.option("--start", type=NumberParam(bounds.LEVEL), default=4.0, show_default=True,
              help="First level to try.")  # fmt: skip
@click.option("--most", type=NumberParam(bounds.LEVEL), default=10_000.0, show_default=True,
              help="Highest level to try.")  # fmt: skip
@click.option("--precision", type=NumberParam(bounds.PRECISION), default=0.1, show_default=True,
              help="Relative distance between the level that holds and the one that does not.")  # fmt: skip
@click.option("--probe", "probe_s", type=DurationParam(bounds.TIME_LIMIT), default="8s", show_default=True,
              help="Length of the load at each level; a fifth of it is warm-up.")  # fmt: skip
@click.option("--hold", "hold_s", type=DurationParam(bounds.TIME_LIMIT), default="20s", show_default=True,
              help="Length of the load at the capacity; longer if an objective needs it.")  # fmt: skip
@RUNS_OPTION
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

    Levels are doubled until one does not hold, then bisected. The one that holds is loaded for longer, and
    the one above it is probed again. A level holds if no objective is missed, no backlog grows (queues,
    stacks in progress, requests in flight) and the generator was not the bottleneck. Levels around the
    capacity are loaded last, for the curve. The study's folder keeps all loads, capacity.json, a page, its
    figure and its table.

    Exit status: 0 a capacity was found and held; 1 not even the lowest level holds; 2 it cannot run.
    """
    if start > most:
        raise InputError("--start", f"{start:g} given with --most {most:g}", "valid: --most or less")
    from calorimeter.studies import capacity_page
    from calorimeter.studies import capacity_search as study
    from calorimeter.studies.level_search import SearchPlan

    wanted = catalogue.read(catalogue.find(scenario))
    study.require_objectives(wanted)
    unit = study.unit_of(wanted, by)
    whole = unit == "users"
    plan = SearchPlan(
        max(1.0, round(start)) if whole else start, 1.0 if whole else 0.1, most, precision, whole
    )
    described = deployments.read(paths.deployment(deployment))
    folder = RunDir.create(described, runs=runs, name=f"capacity-{wanted.name}")
    folder.note_command()
    load = study.recorded_load(
        scenario, described.path, folder.path, unit, lambda line: click.echo(line, err=True)
    )
    result = study.find_capacity(wanted, described, folder, load, plan, unit, probe_s, hold_s)
    study.write_result(result, folder)
    click.echo(capacity_page.table(result))
    click.echo(capacity_page.sentence(result))
    click.echo(f"report: {folder.path / 'report' / 'index.html'}")
    return 0 if result.confirmed else 1
