"""Run folders from anybody: nothing of elsewhere is shown, and each reader names what is damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from calorimeter.commands.load import clean
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import load_generator
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.request_path import budget, follow, recording
from calorimeter.live import metrics_text
from calorimeter.live.live_watch import LiveWatch
from calorimeter.load.run.ledger_balance import balance_of_run
from calorimeter.report import data_files, measured_runs, page_content
from calorimeter.studies import published
from tests.fuzz.run_folders import damage, make, make_study
from tests.report.run_builder import START_NS

READERS: dict[str, Callable[[Path], object]] = {
    "page": lambda path: page_content.collect(RunDir.open(path)),
    "compare": measured_runs.measure,
    "balance": lambda path: balance_of_run(RunDir.open(path)),
    "trace": lambda path: follow.samples(RunDir.open(path), "req-1"),
    "recording": lambda path: recording.read(RunDir.open(path), "trace"),
    "budget": lambda path: _budget(RunDir.open(path)),
    "generator": load_generator.windows,
    "live": lambda path: _live(RunDir.open(path)),
}
"""What reads a run folder, without the drawing of figures."""


def _budget(run: RunDir) -> object:
    return budget.budget(run, recording.read(run, "trace"))


def _live(run: RunDir) -> str:
    """The live page's figures in two moments, and their metrics."""
    watch = LiveWatch(run.path, run.deployment(), START_NS)
    watch.figures(START_NS + 5 * 10**9)
    return metrics_text.text_of(watch.figures(START_NS + 6 * 10**9))


NAME = "20260102T030405Z-first-mix-ab12"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run folder."""
    return make(tmp_path / NAME, seconds=8)


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_run_is_read_or_refused_in_one_line(run: Path, seed: int) -> None:
    """Whatever is damaged: each reader returns, or raises InputError with one short line."""
    random = Random(seed)
    done = [damage(run, random) for _ in range(2)]
    for name, read in READERS.items():
        try:
            read(run)
        except InputError as problem:
            assert "\n" not in str(problem), (name, done)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scale", "capacity"])
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_study_is_drawn_or_refused(
    tmp_path: Path, kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers of its page follow from it, or it is refused with the place that is wrong."""
    monkeypatch.setattr("calorimeter.report.figures.style.svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr("calorimeter.report.figures.style.svg_and_png", lambda *_: ("<svg></svg>", b""))
    study = make_study(tmp_path / "study", "scale" if kind == "scale" else "capacity")
    damage(study, Random(seed))
    try:
        assert "index.html" in published.made(study)
    except InputError as problem:
        assert "\n" not in str(problem)


def shown(found: page_content.PageContent) -> str:
    """All text of a page's content."""
    return "\n".join([str(found.scenario), *found.proxies.values(), str(found.files), *found.gaps])


@pytest.mark.parametrize(
    "name", ["scenario.toml", "proxy/proxy-0.cfg", "evidence/H2.json", "watch/proxy.jsonl", "capacity.json"]
)
def test_a_link_out_of_the_run_shows_nothing_of_elsewhere(run: Path, name: str, tmp_path: Path) -> None:
    """`/etc/passwd` was once shown as the proxy's configuration: now a gap or an error names the link."""
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0:swordfish")
    (run / name).unlink()
    (run / name).symlink_to(secret)
    try:
        found = page_content.collect(RunDir.open(run))
    except InputError as problem:
        assert name in str(problem)
    else:
        assert "swordfish" not in shown(found)
        assert any(name in gap and "symbolic link out" in gap for gap in found.gaps), found.gaps


@pytest.mark.parametrize("name", ["run.json", "verdicts.json", "deployment.toml", "samples/w0-0.parquet"])
def test_a_link_in_the_place_of_what_a_page_needs_is_refused(run: Path, name: str) -> None:
    """The file is named, and whither the link leads."""
    (run / name).unlink()
    (run / name).symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=f"{name}: is a symbolic link out of"):
        page_content.collect(RunDir.open(run))


@pytest.mark.slow  # reads a whole run twice
def test_what_is_damaged_is_a_gap_beside_what_is_whole(run: Path) -> None:
    """Ledger, watch and evidence that cannot be read take nothing else from the page."""
    whole = page_content.collect(RunDir.open(run))
    (run / "ledger" / "w0-0.parquet").write_bytes(b"PAR1")
    (run / "evidence" / "H2.json").write_text("[" * 5000 + "]" * 5000)
    (run / "evidence" / "H9 <b>.json").write_text("{}")
    (run / "watch" / "proxy.jsonl").write_text('{"t_ns": 1e999}\n' + "x" * (9 * 2**20))
    found = page_content.collect(RunDir.open(run))
    assert found.load is not None and whole.load is not None
    assert found.load.count == whole.load.count
    gaps = "\n".join(set(found.gaps) - set(whole.gaps))
    for part in (
        "ledger/w0-0.parquet was left out: it is truncated or not a Parquet file (4 bytes).",
        "evidence/H2.json was left out: it is damaged: nested too deeply.",
        "evidence/H9 <b>.json was left out: it has a name that no gate gives.",
        "watch/proxy.jsonl was left out from line 2 on: it has a line that is too long.",
    ):
        assert part in gaps


def test_links_and_pipes_are_no_raw_data(run: Path) -> None:
    """The list of files follows no link, and shows a strange name with escapes."""
    before = data_files.data_files(run)
    (run / "watch" / "loop").symlink_to("..")
    (run / "etc").symlink_to("/etc")
    os.mkfifo(run / "pipe")
    assert data_files.data_files(run) == before
    (run / "\x1b[31m\udcff").write_text("x")
    assert r"\u001b[31m\udcff" in [each.path for each in data_files.data_files(run)]


@pytest.mark.parametrize("given", ["", "../x", "a b", "-rf", "x; rm", "\x1b[31m", "x" * 300])
def test_an_id_that_is_no_name_is_refused(run: Path, given: str) -> None:
    """It becomes the beginning of names of stacks that `clean` deletes, and a command on the page."""
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "id": given}))
    done = CliRunner().invoke(clean, [str(run)])
    assert isinstance(done.exception, InputError)
    assert "valid: the name of a run folder" in str(done.exception)
