"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.gates import verify_options

FILE = click.Path(path_type=Path)


DEPLOYMENT = click.argument("deployment", required=False, type=FILE)

YES_BREAK_IT = click.option("--yes-break-it", is_flag=True, help=verify_options.YES_BREAK_IT)

DEPLOYMENT_OPTION = click.option(
    "--deployment",
    type=FILE,
    help="Deployment file (default: $CALORIMETER_DEPLOYMENT, ./deployment.toml, or that of the only lab).",
)

RUNS_OPTION = click.option(
    "--runs",
    type=FILE,
    default=Path("runs"),
    show_default=True,
    help="Folder in which run folders are made.",
)
