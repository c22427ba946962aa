"""The published reports, made from the data that is kept beside them.

reports/data/<name>/    a scale.json, a capacity.json, a releases.json with its rounds, one run, or the
                        runs of two sides
reports/<name>/         the report made from it
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.rundir import RunDir

if TYPE_CHECKING:
    from calorimeter.report.page import Files

HERE = Path("reports")


def is_study(folder: Path) -> bool:
    """Whether a folder is that of a study; a run may hold a capacity.json, too, beside its own samples."""
    kept = any((folder / name).exists() for name in ("scale.json", "capacity.json", "releases.json"))
    return kept and not any(folder.glob("samples/*.parquet"))


def made(data: Path) -> Files:
    """The files of one report, from its data; raises `InputError` if they are damaged or missing."""
    from calorimeter.report import comparison, comparison_page, page, page_content
    from calorimeter.studies import capacity_page, scale_page
    from calorimeter.studies.capacity_search_result import CapacitySearchResult
    from calorimeter.studies.releases import release_page, release_rounds
    from calorimeter.studies.scale_result import ScaleResult

    with suppress(MissingFileError):
        scale = recorded_json.record(data / "scale.json", ScaleResult, within=data)
        if not scale.fitted:
            raise InputError(str(data / "scale.json"), "holds no size that was measured")
        return scale_page.files(scale)
    with suppress(MissingFileError):
        found = recorded_json.record(data / "capacity.json", CapacitySearchResult, within=data)
        return capacity_page.files(found)
    with suppress(MissingFileError):
        return release_page.files(release_rounds.read(data))
    runs = sorted(path.parent for path in data.glob("*/run.json"))
    if len(runs) > 1:
        return comparison_page.files(comparison.of(runs))
    if runs:
        return page.files(page_content.collect(RunDir.open(runs[0])))
    raise InputError(
        str(data), "holds nothing to report", "valid: scale.json, capacity.json, releases.json, or runs"
    )


def differing_files(made: Files, folder: Path) -> list[str]:
    """The files that differ from those in the folder, missing and additional ones included."""
    from calorimeter.report import report_folder

    made = report_folder.complete(made)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    changed = [name for name in made if name in there and not _same(folder / name, made[name])]
    return sorted({*changed, *(there ^ set(made))})


def _same(path: Path, content: bytes) -> bool:
    try:
        return files.read(path, limit=len(content), within=path.parent.parent) == content
    except InputError:
        return False
