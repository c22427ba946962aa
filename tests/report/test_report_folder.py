"""The folder of a report: what it replaces, what it never replaces, and what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.report import report_folder

MADE = {"index.html": b"<p>new", "summary.json": b"{}", "tables/rates.csv": b"a\n1\n"}
BEFORE = {"index.html": b"<p>old", "report.md": b"old", "figures/heat.svg": b"<svg>"}


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def laid(folder: Path, tree: dict[str, bytes]) -> Path:
    """A folder with files."""
    for name, data in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_report_lists_its_files_and_replaces_them(tmp_path: Path) -> None:
    """The manifest has a digest of each file; a second report leaves nothing of the first."""
    folder = tmp_path / "report"
    assert report_folder.write(BEFORE, folder) is None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["sha256"]) == set(BEFORE)
    assert report_folder.write(MADE, folder) is None
    assert content(folder) == report_folder.complete(MADE)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize(("marker", "modes"), [("else", {0o755, 0o644}), ("run.json", {0o700, 0o600})])
def test_a_report_in_a_run_is_for_its_owner(tmp_path: Path, marker: str, modes: set[int]) -> None:
    """Elsewhere it is for everybody, as a page that is published is; whatever the umask."""
    laid(tmp_path, {marker: b"{}"})
    before = os.umask(0o077 if 0o755 in modes else 0)
    try:
        report_folder.write(MADE, tmp_path / "report")
    finally:
        os.umask(before)
    there = [tmp_path / "report", *(tmp_path / "report").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in there} == modes


def _foreign(folder: Path) -> Path:
    return laid(folder, {"letters.txt": b"dear"})


def _with_summary(folder: Path) -> Path:
    return laid(folder, {"summary.json": b"{}", "letters.txt": b"dear"})


def _named_like_a_report(folder: Path) -> Path:
    return laid(folder, {"index.html": b"my page", "tables/x.csv": b"my table"})


def _run(folder: Path) -> Path:
    return laid(folder, {"run.json": b"{}", "samples/w0-0.parquet": b"PAR1", "summary.json": b"{}"})


def _run_in_a_manifest(folder: Path) -> Path:
    """A run whose own files a hostile manifest names."""
    tree = {"run.json": b"{}", "summary.json": b"{}"}
    return laid(folder, report_folder.complete(tree))


def _changed(folder: Path) -> Path:
    return laid(folder, report_folder.complete(BEFORE) | {"report.md": b"old, and my notes"})


def _added(folder: Path) -> Path:
    return laid(folder, report_folder.complete(BEFORE) | {"tables/mine.csv": b"1"})


def _manifest_changed(folder: Path) -> Path:
    return laid(folder, report_folder.complete(BEFORE) | {"manifest.json": b'{"sha256": {}}'})


def _empty_folder_added(folder: Path) -> Path:
    (laid(folder, report_folder.complete(BEFORE)) / "later").mkdir()
    return folder


def _linked(folder: Path) -> Path:
    laid(folder.with_name("real"), report_folder.complete(BEFORE))
    folder.symlink_to("real")
    return folder


def _with_a_link(folder: Path) -> Path:
    laid(folder, report_folder.complete(BEFORE))
    (folder / "index.html").unlink()
    (folder / "index.html").symlink_to(laid(folder.with_name("else"), {"page": b"<p>old"}) / "page")
    return folder


def _file(folder: Path) -> Path:
    folder.write_bytes(b"a file")
    return folder


@pytest.mark.parametrize(
    ("lay", "reason"),
    [
        (_foreign, "has no manifest, and holds letters.txt"),
        (_with_summary, "has no manifest, and holds letters.txt"),
        (_named_like_a_report, "has no manifest, and holds index.html"),
        (_run, "is the folder of a run"),
        (_run_in_a_manifest, "is the folder of a run"),
        (_changed, "holds report.md, which was changed after the report was made; move it away, or give"),
        (_added, "holds tables/mine.csv, which no report made"),
        (_manifest_changed, "has no manifest, and holds"),
        (_empty_folder_added, "holds later, which no report made"),
        (_linked, "is a symbolic link"),
        (_with_a_link, "holds index.html, which was changed"),
        (_file, "is a file"),
    ],
)
def test_what_no_report_made_stays(tmp_path: Path, lay: Callable[[Path], Path], reason: str) -> None:
    """A folder with anything else in it is refused in one line that says what, and stays as it was."""
    folder = lay(tmp_path / "there")
    before = content(tmp_path)
    with pytest.raises(InputError, match=reason):
        report_folder.write(MADE, folder)
    assert content(tmp_path) == before


def test_the_current_folder_and_those_above_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if they are empty, or a report."""
    folder = laid(tmp_path / "here", report_folder.complete(BEFORE))
    monkeypatch.chdir(folder)
    for name in (".", "..", "/", "../here", str(folder)):
        with pytest.raises(InputError, match="is the current folder, or one above it"):
            report_folder.write(MADE, Path(name))
    assert content(folder) == report_folder.complete(BEFORE)


@pytest.mark.parametrize("marker", ["run.json", "scale.json", "capacity.json"])
def test_a_report_of_an_earlier_version_in_a_run_is_kept_beside(tmp_path: Path, marker: str) -> None:
    """Nobody knows whether its reader changed it; what no report made there is refused as elsewhere."""
    laid(tmp_path, {marker: b"{}"})
    for kept in ("report.old", "report.old-2"):
        laid(tmp_path / "report", BEFORE)
        assert report_folder.write(MADE, tmp_path / "report") == tmp_path / kept
        assert content(tmp_path / kept) == BEFORE
        shutil.rmtree(tmp_path / "report")
    laid(tmp_path / "report", {"notes.txt": b"mine"})
    with pytest.raises(InputError, match=r"holds notes\.txt, which no report made"):
        report_folder.write(MADE, tmp_path / "report")


def test_where_folders_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems cannot exchange two folders in one step."""
    monkeypatch.setattr(report_folder, "_exchange", lambda one, other: False)
    for made in (BEFORE, MADE):
        report_folder.write(made, tmp_path / "report")
    assert content(tmp_path) == {
        f"report/{name}": data for name, data in report_folder.complete(MADE).items()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_reader_sees_the_old_report_or_the_new_one(tmp_path: Path) -> None:
    """While a report is replaced again and again, its page is always there, and always whole."""
    pages = [{**MADE, "index.html": bytes([number]) * 9} for number in range(8)]
    report_folder.write(pages[0], tmp_path / "report")
    seen: set[bytes] = set()
    missing: list[OSError] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add((tmp_path / "report" / "index.html").read_bytes())
            except OSError as problem:
                missing.append(problem)

    reader = threading.Thread(target=look)
    reader.start()
    for made in pages:
        report_folder.write(made, tmp_path / "report")
    done.set()
    reader.join()
    assert missing == []
    assert seen <= {made["index.html"] for made in pages}


@pytest.mark.parametrize("at", range(1, 5))
def test_an_interrupt_while_a_report_is_made_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The old report stays, whole, and nothing is left beside it."""
    report_folder.write(BEFORE, tmp_path / "report")
    calls: list[Path] = []
    write = files.write

    def interrupted(path: Path, data: bytes, mode: int) -> None:
        calls.append(path)
        if len(calls) == at:
            raise KeyboardInterrupt
        write(path, data, mode=mode)

    monkeypatch.setattr(files, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report_folder.write(MADE, tmp_path / "report")
    assert content(tmp_path / "report") == report_folder.complete(BEFORE)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Its half a report, but nothing that no report made, nor that of a process which still runs."""
    half = dict(list(report_folder.complete(MADE).items())[2:]) | {".report.md.x1.partial": b"ha"}
    laid(tmp_path / ".calorimeter-report-999999999-ab/new", half)
    laid(tmp_path / ".calorimeter-report-999999998-ab/new", {"letters.txt": b"dear"})
    laid(tmp_path / f".calorimeter-report-{os.getpid()}-ab/new", half)
    report_folder.write(MADE, tmp_path / "report")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".calorimeter-report-999999998-ab", f".calorimeter-report-{os.getpid()}-ab", "report"}


NAMES = st.sampled_from(["index.html", "tables/a.csv", "figures/b.svg", "notes.txt", "run.json", "sub/x"])
TREES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=4)


@settings(max_examples=20)
@given(made=TREES, later=TREES, in_a_run=st.booleans(), has_manifest=st.booleans())
def test_no_file_that_is_not_ours_is_lost(
    made: dict[str, bytes], later: dict[str, bytes], in_a_run: bool, has_manifest: bool
) -> None:
    """Whatever is in a folder: each file that no report made there is somewhere below its parent after."""
    with TemporaryDirectory() as name:
        parent = laid(Path(name), {"run.json": b""} if in_a_run else {})
        ours = report_folder.complete({name: data for name, data in made.items() if name in MADE})
        folder = laid(parent / "report", (ours if has_manifest else {}) | later)
        theirs = [data for name, data in later.items() if not has_manifest or ours.get(name) != data]
        try:
            report_folder.write(MADE, folder)
        except InputError:
            assert content(folder) == (ours if has_manifest else {}) | later
        left = list(content(parent).values())
        assert all(left.count(data) >= 1 for data in theirs)
