"""`calorimeter upgrade`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calorimeter.commands.options import DEPLOYMENT_OPTION, RUNS_OPTION, YES_BREAK_IT
from calorimeter.core import paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.workload import catalogue

if TYPE_CHECKING:
    from calorimeter.core.deployment import Deployment
    from calorimeter.core.recorded.upgrade_record import UpgradeRecord

LOAD = "rolling-upgrade"
STEADY_S = 15.0
"""How long the load is steady before the first step."""


@click.command()
@DEPLOYMENT_OPTION
@click.option("--from", "from_release", help="Release that runs now (default: that of [upgrade]).")
@click.option("--to", "to_release", help="Release to upgrade to: 25, 26 or 27.")
@click.option("--procedure", default="heat", show_default=True,
              help="heat, corrected, warned-loss, one-vhost, haproxy-reload, haproxy-reload-alone, "
              "rabbitmq-restart, or a step file (.toml).")  # fmt: skip
@click.option("--load", default=LOAD, show_default=True,
              help="Scenario to run during the upgrade; the upgrade ends it.")  # fmt: skip
@click.option("--vhost", help="RabbitMQ's new virtual host (default: heat- and the release).")
@click.option("--take-back", is_flag=True,
              help="Take steps back that can be, do them again, and judge that, too (U4).")  # fmt: skip
@click.option("--even-so", is_flag=True, help="Do a change that Heat does not support, to show the loss.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN",
              help="Go on with the upgrade of RUN, with the first step that is not done.")  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Print the steps with their commands only.")
@YES_BREAK_IT
@RUNS_OPTION
def upgrade(
    deployment: Path | None,
    from_release: str | None,
    to_release: str | None,
    procedure: str,
    load: str,
    vhost: str | None,
    take_back: bool,
    even_so: bool,
    resume: Path | None,
    only_plan: bool,
    yes_break_it: bool,
    runs: Path,
) -> int:
    """Upgrade Heat to the next release under load, step by step, and account for every stack.

    A procedure is a list of steps; each step waits until its effect is seen. `heat` is that of Heat's own
    guide, `corrected` one that stops no engine which may still get a call. `warned-loss` and `one-vhost`
    show what goes wrong. The commands are those of [upgrade] and [[parts]] in the deployment file; `lab up`
    writes them.

    The load runs until the upgrade is done. Then gates U1 to U3 (U4 with --take-back) judge the run: failed
    requests by step, lost stacks with the message, engine and step that lost them. Nothing is rolled back:
    an upgrade that ended early goes on with --resume.

    haproxy-reload, haproxy-reload-alone and rabbitmq-restart leave Heat as it is, and judge U1 and U2.

    Exit status: 0 the gates pass; 1 one fails or is INCONCLUSIVE, or the upgrade is not done; 2 the input
    or the set-up cannot be used; 130 it was interrupted.
    """
    from calorimeter.core.faults.schedule import refusal

    file = paths.deployment(deployment)
    described = netns.open_deployment(file)
    objection = refusal(described, yes_break_it)
    if objection is not None and not only_plan:
        raise InputError(str(described.path), objection)
    if resume is not None:
        record = _resumed(resume, described)
    else:
        record = _planned(described, procedure, from_release, to_release, vhost, take_back, even_so)
    if only_plan:
        _show(record, described)
        return 0
    return _run(described, file, load, record, runs)


def _planned(
    deployment: Deployment,
    procedure: str,
    from_release: str | None,
    to_release: str | None,
    vhost: str | None,
    take_back: bool,
    even_so: bool,
) -> UpgradeRecord:
    from calorimeter.core.recorded.upgrade_record import UpgradeRecord
    from calorimeter.studies.upgrade import procedure as procedures
    from calorimeter.studies.upgrade import upgrade_plan

    found = procedures.find(procedure)
    asked = upgrade_plan.change(deployment, from_release, to_release, found, vhost)
    why = upgrade_plan.why_unsupported(asked)
    if why is not None and not even_so:
        given = f"{asked.from_release} to {asked.to_release} is not supported: {why}"
        raise InputError("upgrade", given, "--even-so shows what is lost")
    return UpgradeRecord(
        procedure=found.name,
        deployment=deployment.name,
        from_release=asked.from_release,
        to_release=asked.to_release,
        old_vhost=asked.old_vhost,
        new_vhost=asked.new_vhost,
        plan=upgrade_plan.plan(found, deployment, asked, take_back=take_back),
    )


def _resumed(path: Path, deployment: Deployment) -> UpgradeRecord:
    """The record of an earlier run, to go on with. Raises InputError if there is nothing to do."""
    from calorimeter.core.recorded import upgrade_file
    from calorimeter.core.recorded.rundir import RunDir

    run = RunDir.open(path)
    record = upgrade_file.read(run)
    if record is None:
        raise InputError(str(path), "is no upgrade", "valid: a run of `calorimeter upgrade`")
    if record.whole:
        raise InputError(str(path), "is done: every step was done")
    if record.deployment != deployment.name:
        raise InputError(str(path), f"is an upgrade of {record.deployment!r}, not of {deployment.name!r}")
    return record.model_copy(
        update={"continues": path.name, "lost": (), "crossed": record.crossed, "untraced": ()}
    )


def _show(record: UpgradeRecord, deployment: Deployment) -> None:
    from calorimeter.studies.upgrade.upgrade_plan import command_of

    for step in record.plan:
        click.echo(f"{step.number:>3}  {step.title}")
        click.echo(f"     {step.action} {step.name}".rstrip())
        command = command_of(deployment, step)
        if command:
            given = f"PART={shlex.quote(step.name)} TO={step.release} VHOST={shlex.quote(step.vhost)}"
            click.echo(f"     {given} {command}")


def _run(deployment: Deployment, file: Path, load: str, record: UpgradeRecord, runs: Path) -> int:
    from calorimeter.core.login import lent_ec2
    from calorimeter.load.run import locust_command
    from calorimeter.load.run.followed_load import follow
    from calorimeter.studies.upgrade.upgrade_plan import ReleaseChange
    from calorimeter.studies.upgrade.upgrade_under_load import UpgradeUnderLoad

    scenario = catalogue.read(catalogue.find(load))
    if scenario.load("cfn") is not None:
        deployment = lent_ec2.needed(deployment)
    change = ReleaseChange(record.from_release, record.to_release, record.old_vhost, record.new_vhost)
    lead_s = scenario.warm_up_s + STEADY_S
    beside = UpgradeUnderLoad(deployment, change, record, lead_s, lambda line: click.echo(line, err=True))
    try:
        ended = follow(locust_command.headless(file, load, runs), beside.begin)
    finally:
        beside.end()
    run = beside.finish()
    if run is None:
        raise InputError("upgrade", "no load began, so no step was done")
    click.echo(f"run: {run.path}")
    if not beside.record.whole:
        words = ["--deployment", str(file), "--load", load, "--resume", str(run.path)]
        line = f"go on with: calorimeter upgrade {shlex.join(words)}"
        click.echo(f"calorimeter: the upgrade is not done; {line}", err=True)
    if ended.received:
        return 128 + ended.received
    gates = "U1,U2" + ",U3" * any(step.action == "cross" for step in record.plan)
    gates += ",U4" * any(step.back for step in record.plan)
    judged = [sys.executable, "-m", "calorimeter", "verify", "--run", str(run.path), "--gates", gates]
    return subprocess.run(judged, check=False, stdin=subprocess.DEVNULL).returncode
