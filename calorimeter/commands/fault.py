"""The command `fault`."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.commands.options import DEPLOYMENT, FILE, YES_BREAK_IT
from calorimeter.core import toml
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector, execute_schedule
from calorimeter.core.faults.journal import Unhealed
from calorimeter.core.faults.schedule import Schedule, announcement, parse, refusal, resolve
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.host import netns


@click.command()
@DEPLOYMENT
@click.option("--fault", "texts", multiple=True, metavar="PART:FAULT@START+LENGTH",
              help="Fault to inject, such as rest-1:kill@5s+20s or rest-*:freeze@0s+10s; may be "
              "repeated.")  # fmt: skip
@click.option("--schedule", type=FILE, help="TOML file of [[fault]] tables (default: none).")
@YES_BREAK_IT
def fault(
    deployment: Path | None, texts: tuple[str, ...], schedule: Path | None, yes_break_it: bool
) -> int:
    """Inject faults into parts of DEPLOYMENT on a schedule, and heal all of them, also after Ctrl-C.

    DEPLOYMENT is a deployment.toml (default: $CALORIMETER_DEPLOYMENT, ./deployment.toml, or the lab's).

    Exit status: 0 all faults were injected and healed; 1 a command failed; 2 the input cannot be used.
    """
    described = netns.open_deployment(deployment)
    given = toml.read(schedule, Schedule).fault if schedule else ()
    wanted = Schedule(fault=(*given, *(parse(text) for text in texts)))
    if not wanted.fault:
        raise InputError("fault", "no fault given", "valid: --fault PART:FAULT@START+LENGTH, or --schedule")
    planned = resolve(wanted, described)
    why = refusal(described, yes_break_it)
    if why is not None:
        raise InputError(str(described.path), why)
    for line in announcement(described, (commands for _, commands in planned)):
        click.echo(line, err=True)
    try:
        with FaultInjector(described) as injector:
            execute_schedule(injector, planned, lambda line: click.echo(line, err=True))
    except CommandFailed as problem:
        click.echo(f"calorimeter: {problem}", err=True)
        return 1
    except Unhealed:
        return 1
    return 0
