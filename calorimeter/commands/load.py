"""After a load: `calorimeter clean` and `calorimeter balance`."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.commands import left_behind
from calorimeter.commands.options import DEPLOYMENT_OPTION
from calorimeter.commands.param_types import DurationParam
from calorimeter.core import bounds
from calorimeter.core.host import netns
from calorimeter.core.recorded.rundir import RunDir


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@DEPLOYMENT_OPTION
@click.option(
    "--within", type=DurationParam(bounds.TIME_LIMIT), default="60s", show_default=True, help="Time limit."
)
def clean(run: Path, deployment: Path | None, within: float) -> int:
    """Remove what RUN, a run folder, left behind: stacks, software configs, tenants.

    Use it after a run that was killed before its own clean-up.

    Exit status: 0 nothing is left; 1 something is left; 2 it cannot be removed.
    """
    from calorimeter.core.clock import now_ns
    from calorimeter.load.run.cleanup import clean_run

    folder = RunDir.open(run)
    described = netns.open_deployment(deployment)
    left_behind.restore_tracing(described)
    left_behind.remove_ec2(described)
    run_id = folder.about["id"]
    done = clean_run(described, run_id, now_ns() + int(within * 1e9))
    if done.tenants_removed or done.tenants_left:
        click.echo(f"{done.tenants_removed} tenants removed, {done.tenants_left} left")
    click.echo(f"{done.removed} stacks named cal-{run_id}-… removed, {done.left} left")
    return 1 if done.left or done.tenants_left else 0


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def balance(run: Path) -> int:
    """Check that every accepted create of RUN, a run folder, has one row, one final state and one delete.

    Exit status: 0 the ledger balances; 1 it does not; 2 it cannot be read.
    """
    from calorimeter.load.run.ledger_balance import balance_of_run

    found = balance_of_run(RunDir.open(run))
    click.echo(
        f"{found.requests} requests, {found.errors} of them errors; {found.creates} creates: "
        f"{found.accepted} accepted, {found.refused} refused, {found.unknown} unknown; "
        f"{found.complete} complete, {found.failed} failed, {found.gone} seen gone"
    )
    for finding in found.findings[:20]:
        click.echo(f"  {finding}")
    click.echo(f"{len(found.findings)} findings" if found.findings else "the ledger balances")
    return 1 if found.findings else 0
