"""The page of a history, its files, and the command that makes it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calorimeter.commands.history import history
from calorimeter.core.recorded.load_history import LoadHistory
from calorimeter.core.verdict import Judgement, Outcome, Verdict
from calorimeter.report.history import history_page, run_folders, whole_history
from tests.markdown import broken_tables
from tests.report.history.many_runs import one_run, slower_since

pytestmark = pytest.mark.slow  # a folder of runs is made, and pages are drawn

BAD = "<b>x</b>|[y](http://z.invalid)\x1b[31m"


def called(*words: str | Path) -> Result:
    """The command, as `calorimeter` calls it."""
    return CliRunner().invoke(history, [str(word) for word in words])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen runs, the last eight of which are twice as slow with another Heat; one has a page."""
    folder = slower_since(tmp_path_factory.mktemp("history") / "runs", 16, 8)
    newest = max(folder.glob("*/run.json")).parent
    (newest / "report").mkdir()
    (newest / "report" / "index.html").write_text("<p>page")
    return folder


@pytest.fixture(scope="module")
def made(runs: Path) -> dict[str, Any]:
    """What the command says and writes."""
    result = called(runs)
    folder = runs / "history"
    return {
        "result": result,
        "page": (folder / "index.html").read_text(),
        "markdown": (folder / "report.md").read_text(),
        "summary": json.loads((folder / "summary.json").read_text()),
        "folder": folder,
    }


def test_the_change_is_found_with_its_cause(runs: Path, made: dict[str, Any]) -> None:
    """In the summary: the run since which it is so, the levels, and the version that changed with it."""
    (found,) = [each for each in made["summary"]["changes"] if each["measure"] == "p50"]
    labels = sorted(path.parent.name for path in runs.glob("*/run.json"))
    assert found["since"] == labels[8]
    assert found["worse"] is True
    assert found["difference"] == pytest.approx(1.0, abs=0.3)
    assert found["causes"][0] == {
        "name": "Heat", "before": "24.0.0", "after": "25.0.1", "times": 1, "later": 0,
    }  # fmt: skip
    assert made["summary"]["schema_version"] == 1
    assert made["summary"]["runs"] == 16


def test_the_page_shows_it(made: dict[str, Any]) -> None:
    """Levels, cause, both figures, and a link to the run's own page that starts from the page's folder."""
    page = made["page"]
    assert "Heat 24.0.0 → 25.0.1" in page
    assert "worse" in page
    assert page.count("<svg") == 2
    (href,) = re.findall(r'<a href="([^#"]+)"', page)
    assert (made["folder"] / href).read_text() == "<p>page"
    assert not re.search(
        r"https?://(?!www\.w3\.org|purl\.org|creativecommons)", page.replace("http://127", "")
    )
    assert f"]({href})" in made["markdown"]
    assert broken_tables(made["markdown"]) == []


def test_the_command_prints_the_changes_and_the_page(made: dict[str, Any]) -> None:
    """The last line is the page; without --gate a change for the worse is no error."""
    result = made["result"]
    assert result.exit_code == 0, result.output
    assert "cause: Heat 24.0.0 → 25.0.1" in result.output
    assert result.output.splitlines()[-1] == f"report: {made['folder'] / 'index.html'}"


def test_the_same_runs_give_the_same_bytes(runs: Path, made: dict[str, Any], tmp_path: Path) -> None:
    """With the index and without it; a history replaces the one before."""
    before = {path: path.read_bytes() for path in made["folder"].rglob("*") if path.is_file()}
    (runs / ".calorimeter-history.json").unlink()
    assert called(runs).exit_code == 0
    assert {path: path.read_bytes() for path in made["folder"].rglob("*") if path.is_file()} == before
    (tmp_path / "mine.txt").write_text("mine")
    refused = called(runs, "--output", tmp_path)
    assert "is not a report: it has no manifest" in str(refused.exception)


def test_tables_have_every_run(runs: Path, made: dict[str, Any]) -> None:
    """One row for each, with the figures as they are in the index."""
    with (made["folder"] / "tables" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {row["Heat"] for row in rows} == {"24.0.0", "25.0.1"}
    assert all(float(row["throughput"]) > 0 for row in rows)


def test_gate_is_red_for_a_change_for_the_worse(tmp_path: Path) -> None:
    """FAIL and too few runs exit with 1; PASS exits with 0."""
    for number in range(12):
        one_run(tmp_path / "worse", number, failing=0.3 if number >= 6 else 0.0, rate=200)
        one_run(tmp_path / "same", number, rate=200, failing=0.0)
    worse = called(tmp_path / "worse", "--gate")
    assert (worse.exit_code, "T4 FAIL: " in worse.output) == (1, True)
    assert re.search(r"not as expected 0 to 0\.(2|3)", worse.output)
    same = called(tmp_path / "same", "--gate")
    assert (same.exit_code, "T4 PASS: " in same.output) == (0, True), same.output
    few = called(tmp_path / "worse", "--gate", "--since", "2026-03-08")
    assert (few.exit_code, "T4 INCONCLUSIVE: " in few.output) == (1, True)


def test_the_evidence_of_the_gate_is_recorded_without_a_page(runs: Path, tmp_path: Path) -> None:
    """Of the load of one run, up to it; a file of something else is not replaced."""
    third = sorted(runs.glob("*/run.json"))[2].parent
    record = tmp_path / "evidence.json"
    done = called(runs, "--run", third, "--record", record)
    assert done.exit_code == 0, done.output
    evidence = LoadHistory.model_validate_json(record.read_bytes())
    assert [len(each.values) for each in evidence.series] == [3, 3]  # p99 needs a thousand requests
    assert called(runs, "--record", record).exit_code == 0
    record.write_text("mine")
    refused = called(runs, "--record", record)
    assert "is not evidence of gate T4" in str(refused.exception)


def test_verdicts_over_time(tmp_path: Path) -> None:
    """A gate that changed names the run since which it is so, and what changed with it."""
    for number, outcome in enumerate([Outcome.PASS, Outcome.NOT_RUN, Outcome.FAIL, Outcome.FAIL]):
        run = one_run(tmp_path, number, heat="25.0.1" if number > 1 else "24.0.0")
        judgement = Judgement(outcome=outcome, why="x")
        run.verdicts(Verdict(gate="E2", heading="", guide="", judgement=judgement))
    assert called(tmp_path).exit_code == 0
    (gate,) = json.loads((tmp_path / "history" / "summary.json").read_text())["gates"]
    assert (gate["now"], gate["before"], gate["runs"]) == ("FAIL", "PASS", 3)
    assert gate["since"].endswith("-0002")
    assert [each["name"] for each in gate["causes"]] == ["Heat"]
    assert "<code>✓✗✗</code>" in (tmp_path / "history" / "index.html").read_text()


def test_foreign_names_are_shown_as_text(tmp_path: Path) -> None:
    """In pages, Markdown, tables and figures: of runs, scenarios, versions and gates."""
    for number in range(12):
        load = {"scenario": BAD, "deployment": f"={BAD}"}
        run = one_run(
            tmp_path, number, heat="9" if number < 6 else "<i>8</i>", load=load, failing=0.3 * (number // 6)
        )
        judgement = Judgement(outcome=Outcome.PASS, why=BAD)
        run.verdicts(Verdict(gate=BAD, heading=BAD, guide="", judgement=judgement))
    bad = one_run(tmp_path, 20).path
    (bad / "run.json").write_text("{}")
    bad.rename(bad.with_name(BAD.replace("/", "") + "\udcff"))
    found = called(tmp_path)
    assert found.exit_code == 0, found.output
    folder = tmp_path / "history"
    page, markdown = ((folder / name).read_text() for name in ("index.html", "report.md"))
    assert "<b>x" not in page
    assert "\x1b" not in page + markdown
    assert "<i>8" not in page
    assert broken_tables(markdown) == []
    assert (folder / "tables" / "runs.csv").read_text().count(",'=") == 12


def test_a_link_to_elsewhere_is_no_page_of_a_run(tmp_path: Path) -> None:
    """A report that is a symbolic link out of the run is not linked to."""
    run = one_run(tmp_path / "runs", 0).path
    (tmp_path / "index.html").write_text("secret")
    (run / "report").symlink_to(tmp_path)
    (placed,) = run_folders.collect([tmp_path / "runs"]).runs
    assert history_page.link(placed, tmp_path / "out") is None
    (run / "report").unlink()
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("page")
    assert history_page.link(placed, tmp_path / "out") == f"../runs/{run.name}/report/index.html"


def test_a_folder_without_runs_is_one_line(tmp_path: Path) -> None:
    """Also one whose only run is damaged: the line says why."""
    assert "holds no run that can be used" in str(called(tmp_path).exception)
    (one_run(tmp_path, 0).path / "run.json").write_text("{")
    assert "run.json: is damaged" in str(called(tmp_path).exception)


def test_many_loads_are_drawn_up_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others have their table only; those with the most points are drawn."""
    monkeypatch.setattr(history_page, "MOST_DRAWN", 1)
    for number in range(3):
        one_run(tmp_path, number, load={"deployment": "seldom" if number == 0 else "often"})
    collected = run_folders.collect([tmp_path])
    files = history_page.files(whole_history.of([tmp_path], collected), tmp_path / "history")
    assert [name for name in files if name.endswith(".svg")] == ["figures/history-1.svg"]
    assert b"first-mix on seldom, 4 users" in files["index.html"]
