"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from calorimeter.gates import verify_options

FILE = click.Path(path_type=Path)


class RealRange(click.FloatRange):
    """A range of numbers that refuses `nan`, which compares with no limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails for `nan`, and for a number outside the range."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


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
