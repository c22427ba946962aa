"""`calorimeter report`: the page of a run, or of a study, made again from its folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from calorimeter.commands import report as runs
from calorimeter.core.rundir import RunDir
from calorimeter.studies import published


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report, replaced if it is there.  [default: RUN/report]",
)
def report(run: Path | None, output: Path | None) -> None:
    """Turn a run folder, or that of a study, into a page, its figures and its tables.

    RUN is a folder that `calorimeter run`, `verify`, `capacity` or `scale` wrote; without it, the newest
    under ./runs is taken. Reads nothing but that folder: the same run gives the same bytes, on any machine.
    The last line printed is `report: ` and the path of the page.
    """
    folder = run if run is not None else runs.newest(Path("runs"))
    if published.is_study(folder):
        made = partial(published.made, folder)
    else:
        made = partial(runs.of_run, RunDir.open(folder))
    target = output if output is not None else folder / "report"
    runs.refuse_unusable(target)
    files = made()
    from calorimeter.report import page  # drawing is imported by now

    page.write(files, target)
    click.echo(f"report: {target / 'index.html'}")
