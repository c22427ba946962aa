"""The published reports are what their raw data make."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.benchmarks import benchmarks
from calorimeter.commands.report import report
from calorimeter.core.errors import InputError
from calorimeter.studies import published, scale_page
from tests.places import CLONE
from tests.studies.results import scale

pytestmark = pytest.mark.slow

HERE = CLONE / published.HERE


def test_what_was_changed_is_named(tmp_path: Path) -> None:
    """A report is as made until a byte of it changes, a file is missing, or one is added."""
    data = tmp_path / "data" / "scale"
    data.mkdir(parents=True)
    (data / "scale.json").write_text(scale(rests=(1,)).model_dump_json())
    run = CliRunner()
    assert run.invoke(benchmarks, [str(tmp_path)], standalone_mode=False).return_value == 0
    folder = tmp_path / "scale"
    (folder / "report.md").write_text("other")
    (folder / "more.txt").write_text("")
    (folder / "summary.json").unlink()
    done = run.invoke(benchmarks, [str(tmp_path), "--check"], standalone_mode=False)
    assert done.return_value == 1
    assert "differs: more.txt, report.md, summary.json" in done.output


def test_the_folder_of_a_study_is_reported_like_a_run(tmp_path: Path) -> None:
    """Byte for byte as when it was measured; a run that holds a capacity.json stays a run."""
    (tmp_path / "scale.json").write_text(scale(rests=(1,)).model_dump_json())
    done = CliRunner().invoke(report, [str(tmp_path)])
    assert done.output == f"report: {tmp_path / 'report' / 'index.html'}\n"
    files = scale_page.files(scale(rests=(1,)))
    assert published.differing_files(files, tmp_path / "report") == []
    assert b"    calorimeter report FOLDER\n" in files["report.md"]
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "worker-00.parquet").write_bytes(b"")
    assert not published.is_study(tmp_path)
    assert "is not a run folder" in str(CliRunner().invoke(report, [str(tmp_path)]).exception)


def test_data_that_are_none_are_refused(tmp_path: Path) -> None:
    """An empty folder, and a result that is damaged."""
    with pytest.raises(InputError, match="holds nothing to report"):
        published.made(tmp_path)
    (tmp_path / "scale.json").write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        published.made(tmp_path)
    empty = scale(rests=(1,)).model_copy(update={"sizes": ()})  # as `calorimeter scale` begins
    (tmp_path / "scale.json").write_text(empty.model_dump_json())
    with pytest.raises(InputError, match=r"scale\.json: holds no size that was measured"):
        published.made(tmp_path)


def test_the_published_reports_are_made_from_the_data_beside_them() -> None:
    """Byte for byte, all of docs/benchmarks; the raw data stay small, and no report stands without them."""
    if not (HERE / "data").exists():
        assert [path.name for path in HERE.iterdir() if path.is_dir()] == []
        return
    sizes = [path.stat().st_size for path in (HERE / "data").rglob("*") if path.is_file()]
    assert sum(sizes) < 5_000_000
    done = CliRunner().invoke(benchmarks, [str(HERE), "--check"], standalone_mode=False)
    assert done.return_value == 0, done.output
