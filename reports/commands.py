"""The commands of this room: `report`."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.errors import InputError


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report, replaced if it is there.  [default: RUN/report]",
)
def report(run: Path | None, output: Path | None) -> None:
    """Turn a run folder into a page, its figures and its tables.

    RUN is a folder that `calorimeter run` or `verify` wrote; without it, the newest under ./runs is
    taken. Reads nothing but that folder: the same run gives the same bytes, on any machine. The last
    line printed is `report: ` and the path of the page.
    """
    from rich.console import Console

    from calorimeter.rundir import RunDir

    folder = run if run is not None else newest(Path("runs"))
    console = Console(stderr=True)
    with console.status("Reading the run …") as status:
        opened = RunDir.open(folder)
        target = output if output is not None else folder / "report"
        _refuse_foreign(target)
        from reports import findings, page

        found = findings.collect(opened)
        status.update("Drawing figures …")
        made = page.files(found)
    page.write(made, target)
    click.echo(f"report: {target / 'index.html'}")


def newest(runs: Path) -> Path:
    """The newest run folder; their names begin with the time. Raises `InputError` where there is none."""
    found = sorted(path.parent for path in runs.glob("*/run.json"))
    if not found:
        raise InputError(
            str(runs), "holds no run folder", "give one: calorimeter report RUN, or `calorimeter run` first"
        )
    return found[-1]


def _refuse_foreign(target: Path) -> None:
    """A folder that is about to be replaced must be a report."""
    if target.is_dir() and any(target.iterdir()) and not (target / "summary.json").exists():
        raise InputError(
            str(target), "is a folder with something else in it", "valid: a new folder, or a report"
        )
