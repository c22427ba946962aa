"""`calorimeter fault`: carry a schedule of faults out, and heal all of it."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.core import netns, paths, toml
from calorimeter.core.deployment import read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector, execute_schedule
from calorimeter.core.faults.journal import Unhealed
from calorimeter.core.faults.schedule import Schedule, announcement, parse, refusal, resolve
from calorimeter.core.faults.shell_command import CommandFailed


@click.command()
@click.argument("deployment", required=False, type=click.Path(path_type=Path))
@click.option("--fault", "texts", multiple=True, metavar="PART:FAULT@BEGIN+LENGTH",
              help="Such as rest-1:kill@5s+20s, or rest-*:freeze@0s+10s. May be given again.")  # fmt: skip
@click.option("--schedule", type=click.Path(path_type=Path), help="A TOML file of [[fault]] tables.")
@click.option("--yes-break-it", is_flag=True, help="Break parts of what is no lab, too (with consent).")
def fault(
    deployment: Path | None, texts: tuple[str, ...], schedule: Path | None, yes_break_it: bool
) -> int:
    """Break parts of DEPLOYMENT for a while, and heal them, whatever happens.

    Exit status: 0 all was carried out and healed; 1 a command failed; 2 the input cannot be used.
    """
    described = netns.enter_client_netns(read(paths.deployment(deployment)))
    given = toml.read(schedule, Schedule).fault if schedule else ()
    wanted = Schedule(fault=(*given, *(parse(text) for text in texts)))
    if not wanted.fault:
        raise InputError("fault", "no fault given", "valid: --fault PART:FAULT@BEGIN+LENGTH, or --schedule")
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
