"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)

DEPLOYMENT = click.argument("deployment", required=False, type=FILE)

YES_BREAK_IT = click.option(
    "--yes-break-it",
    is_flag=True,
    help="Also allow fault injection on a deployment that is not a lab "
    '(needs `[consent] level = "invasive"`).',
)
