"""`calorimeter benchmarks`: the published reports, made again from the data that is kept beside them.

reports/data/<name>/    what was recorded: a scale.json, a capacity.json, one run, or the runs of
                                two sides
reports/<name>/         the report made from it
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir

if TYPE_CHECKING:
    from calorimeter.report.page import Files

HERE = Path("reports")


def is_study(folder: Path) -> bool:
    """Whether a folder is that of a study; a run may have a capacity.json, too, beside its own samples."""
    kept = any((folder / name).exists() for name in ("scale.json", "capacity.json"))
    return kept and not any(folder.glob("samples/*.parquet"))


def made(data: Path) -> Files:
    """The files of one report from its data; raises `InputError` where that is none."""
    from calorimeter.report import comparison, comparison_page, findings, page
    from calorimeter.studies import capacity_page, scale_page
    from calorimeter.studies.capacity_search_result import Capacity
    from calorimeter.studies.scale_result import Scale

    try:
        if (data / "scale.json").exists():
            return scale_page.files(Scale.model_validate_json((data / "scale.json").read_text("utf-8")))
        if (data / "capacity.json").exists():
            text = (data / "capacity.json").read_text("utf-8")
            return capacity_page.files(Capacity.model_validate_json(text))
    except ValidationError as problem:
        said = problem.errors(include_url=False)[0]
        raise InputError(str(data), f"is damaged: {said['loc']}: {said['msg']}") from problem
    runs = sorted(path.parent for path in data.glob("*/run.json"))
    if len(runs) > 1:
        left, right = comparison.sides(runs, ())
        sides = [[comparison.measure(path) for path in side] for side in (left, right)]
        return comparison_page.files(comparison.compare(sides[0], sides[1]))
    if runs:
        return page.files(findings.collect(RunDir.open(runs[0])))
    raise InputError(str(data), "holds nothing to report", "valid: scale.json, capacity.json, or runs")


def differing(files: Files, folder: Path) -> list[str]:
    """The files that are not byte for byte what is in the folder, missing and additional ones included."""
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    changed = [name for name in files if name in there and (folder / name).read_bytes() != files[name]]
    return sorted({*changed, *(there ^ set(files))})


@click.command()
@click.argument("folder", default=HERE, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; say what differs.")
def benchmarks(folder: Path, check: bool) -> int:
    """Make the published reports in FOLDER again from the data beside them, byte for byte.

    Exit status: 0 all are made, or with --check are as made; 1 one differs; 2 the data cannot be used.
    """
    names = sorted(path.name for path in (folder / "data").glob("*") if path.is_dir())
    if not names:
        raise InputError(str(folder / "data"), "holds no data", "valid: reports/ of a clone")
    from calorimeter.report import page

    status = 0
    for name in names:
        files = made(folder / "data" / name)
        if not check:
            page.write(files, folder / name)
            click.echo(f"{name}: made, {len(files)} files")
            continue
        changed = differing(files, folder / name)
        status = 1 if changed else status
        said = f"differs: {', '.join(changed)}" if changed else f"as made, {len(files)} files"
        click.echo(f"{name}: {said}")
    return status
