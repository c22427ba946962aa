"""The index beside the runs: quicker, and never the truth."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.report.history import run_folders, run_index
from calorimeter.report.history.run_folders import CollectedRuns
from tests.report.history.many_runs import one_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three runs with its index."""
    folder = tmp_path_factory.mktemp("indexed")
    for number in range(3):
        one_run(folder, number)
    run_folders.collect([folder])
    return folder


def found(folder: Path) -> tuple[object, int]:
    """What a history sees in a folder, and how many runs it had to read."""
    collected: CollectedRuns = run_folders.collect([folder])
    return (collected.runs, collected.left_out), collected.read


def test_what_did_not_change_is_not_read_again(runs: Path) -> None:
    """The index is for its owner only; a second history reads none of the runs."""
    assert (runs / run_index.NAME).stat().st_mode & 0o777 == 0o600
    seen, read = found(runs)
    assert read == 0
    (runs / run_index.NAME).unlink()
    assert found(runs) == (seen, 3)


@pytest.mark.parametrize("name", ["run.json", "deployment.toml", "scenario.toml", "samples/w0-0.parquet"])
def test_a_run_that_changed_is_read_again(runs: Path, tmp_path: Path, name: str) -> None:
    """By the time of change of any of its files, though its size is the same."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    run_folders.collect([tmp_path])
    run = min(tmp_path.glob("*/run.json")).parent
    os.utime(run / name, ns=(1, 1))
    assert found(tmp_path)[1] == 1


def test_new_and_deleted_runs_are_seen(runs: Path, tmp_path: Path) -> None:
    """A run that is gone is gone, whatever the index says."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    run_folders.collect([tmp_path])
    shutil.rmtree(min(tmp_path.glob("*/run.json")).parent)
    one_run(tmp_path, 7)
    collected = run_folders.collect([tmp_path])
    assert (len(collected.runs), collected.read) == (3, 1)
    assert len(json.loads((tmp_path / run_index.NAME).read_text())["content"]["entries"]) == 3


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_index_changes_nothing_but_time(runs: Path, data: st.DataObject) -> None:
    """Any byte of it changed, any part of it lost."""
    file = runs / run_index.NAME
    whole = file.read_bytes()
    seen, _ = found(runs)
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    file.write_bytes(
        data.draw(st.sampled_from([whole[:place], whole[:place] + byte + whole[place + 1 :], byte]))
    )
    assert found(runs)[0] == seen


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"content": {}, "sha256": ""}', '{"content": null, "sha256": null}', "[" * 5000],
)
def test_an_index_of_something_else_is_replaced(runs: Path, text: str) -> None:
    """As if there was none."""
    seen, _ = found(runs)
    (runs / run_index.NAME).write_text(text)
    assert found(runs) == (seen, 3)
    assert found(runs) == (seen, 0)


def test_a_changed_figure_in_the_index_is_not_believed(runs: Path) -> None:
    """Its digest is of the whole content."""
    file = runs / run_index.NAME
    seen, _ = found(runs)
    tree = json.loads(file.read_text())
    next(iter(tree["content"]["entries"].values()))["point"]["figures"]["throughput"] = 1.0
    file.write_text(json.dumps(tree))
    assert found(runs) == (seen, 3)


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_an_index_that_cannot_be_written_is_done_without(runs: Path, tmp_path: Path, kind: str) -> None:
    """Nothing is written elsewhere, and nobody waits."""
    shutil.copytree(runs, tmp_path / "runs")
    file = tmp_path / "runs" / run_index.NAME
    file.unlink()
    (tmp_path / "elsewhere").write_text("mine")
    if kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(file)
    assert found(tmp_path / "runs")[1] == 3
    assert (tmp_path / "elsewhere").read_text() == "mine"
