"""`calorimeter guide-against-correction`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from calorimeter.commands.options import RUNS_OPTION
from calorimeter.commands.param_types import NumberParam
from calorimeter.core import bounds
from calorimeter.studies import guide_comparison as study


@click.command("guide-against-correction")
@RUNS_OPTION
@click.option(
    "--name", default="guide-study", show_default=True, help="Name of the lab, which must not be up."
)
@click.option("--servers", default=3, show_default=True, type=NumberParam(bounds.LAB_SERVERS),
              help="Number of backends of each API.")  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice([v.name for v in study.VARIANTS]),
              help="Proxy to try; may be repeated (default: all).")  # fmt: skip
def compare(runs: Path, name: str, servers: int, only: Sequence[str]) -> None:
    """Run gates H against the guide's proxy and against its corrections, side by side.

    Brings a lab up and takes it down again; takes about four minutes per proxy. Prints a Markdown table.
    """
    variants = [variant for variant in study.VARIANTS if not only or variant.name in only]
    for line in study.compare(runs, name, servers, variants):
        click.echo(line)
