"""`calorimeter report`: the page of a run, or of a study, made again from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from reports import commands, page
from studies import published


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report, replaced if it is there.  [default: RUN/report]",
)
@click.pass_context
def report(context: click.Context, run: Path | None, output: Path | None) -> None:
    """Turn a run folder, or that of a study, into a page, its figures and its tables.

    RUN is a folder that `calorimeter run`, `verify`, `capacity` or `scale` wrote; without it, the newest
    under ./runs is taken. Reads nothing but that folder: the same run gives the same bytes, on any machine.
    The last line printed is `report: ` and the path of the page.
    """
    folder = run if run is not None else commands.newest(Path("runs"))
    if not published.is_study(folder):
        context.invoke(commands.report, run=folder, output=output)
        return
    target = output if output is not None else folder / "report"
    commands.refuse_unusable(target)
    page.write(published.made(folder), target)
    click.echo(f"report: {target / 'index.html'}")
