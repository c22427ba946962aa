"""`calorimeter benchmarks`."""

from __future__ import annotations

from pathlib import Path

import click

from calorimeter.core.errors import InputError
from calorimeter.studies import published


@click.command()
@click.argument("folder", default=published.HERE, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Comparison only: list the files that differ, change nothing.")
def benchmarks(folder: Path, check: bool) -> int:
    """Make the published reports in FOLDER (default: reports) again from the data beside them.

    The same data give the same bytes.

    Exit status: 0 all reports were made, or with --check none differs; 1 one differs; 2 the data cannot be
    used.
    """
    names = sorted(path.name for path in (folder / "data").glob("*") if path.is_dir())
    if not names:
        raise InputError(str(folder / "data"), "holds no data", "valid: reports/ of a clone")
    from calorimeter.report import report_folder

    status = 0
    for name in names:
        files = published.made(folder / "data" / name)
        if not check:
            report_folder.write(files, folder / name)
            click.echo(f"{name}: made, {len(files)} files")
            continue
        changed = published.differing_files(files, folder / name)
        status = 1 if changed else status
        click.echo(
            f"{name}: differs: {', '.join(changed)}" if changed else f"{name}: as made, {len(files)} files"
        )
    return status
