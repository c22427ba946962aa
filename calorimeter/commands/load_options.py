"""Options that several commands which load a deployment have in common."""

from __future__ import annotations

import re
from pathlib import Path

import click

from calorimeter.core.errors import InputError


class Duration(click.ParamType[float]):
    """Seconds, as in `90`, `60s`, `2m` or `1h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds; raises `InputError`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", str(value))
        if match is None or float(match[1]) <= 0:
            name = param.opts[0] if param is not None else "duration"
            raise InputError(name, f"{value!r} is not a duration", "valid: 90, 60s, 2m, 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


deployment_option = click.option(
    "--deployment",
    type=click.Path(path_type=Path),
    help="Deployment file (default: $CALORIMETER_DEPLOYMENT, ./deployment.toml, or that of the only lab).",
)

runs_option = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Parent of new run folders.",
)
