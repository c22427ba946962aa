"""Which runs belong to a history, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Judgement, Outcome, Verdict
from calorimeter.report.history import history_lines, run_folders
from tests.report.history.many_runs import one_run


def test_the_figures_of_a_run_are_those_of_its_page(tmp_path: Path) -> None:
    """Throughput, percentiles and errors of the measured part, and the facts of its files."""
    one_run(tmp_path, 0, seconds=20, rate=100, failing=0.1)
    (run,) = run_folders.collect([tmp_path]).runs
    point = run.point
    assert (point.scenario, point.deployment, point.load) == ("first-mix", "checked", "4 users")
    assert point.requests == 2000
    assert point.figures["throughput"] == pytest.approx(
        2000 * (1 - point.figures["error_ratio"]) / 20, rel=0.01
    )
    assert 0.07 < point.figures["error_ratio"] < 0.13
    assert 0.02 < point.figures["p50"] < point.figures["p99"] < 2
    assert list(point.facts)[:3] == ["Heat", "HAProxy", "RabbitMQ"]
    assert (point.facts["Heat"], point.facts["HAProxy"]) == ("24.0.0", "2.6.12")
    assert (point.facts["kernel"], point.facts["CPUs"], point.facts["scenario users"]) == (
        "6.1.0",
        "2",
        "4",
    )


def _without_samples(path: Path) -> None:
    (path / "samples" / "w0-0.parquet").unlink()


def _no_json(path: Path) -> None:
    (path / "run.json").write_text("{")


def _no_parquet(path: Path) -> None:
    (path / "samples" / "w0-0.parquet").write_bytes(b"PAR1 and more")


def _noting(**entries: Any) -> Any:
    def change(path: Path) -> None:
        about = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps({**about, **entries}))

    return change


def _linked(path: Path) -> None:
    path.rename(path.with_name(".hidden"))
    path.symlink_to(".hidden")


def _broken_deployment(path: Path) -> None:
    (path / "deployment.toml").write_text("name = 3")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_without_samples, "holds no load, no verdict and no capacity"),
        (_no_json, "run.json: is damaged: not JSON"),
        (_no_parquet, "samples/w0-0.parquet: is truncated or not a Parquet file"),
        (_noting(stopped="interrupted"), "it was interrupted before its duration had elapsed"),
        (_noting(clean_stop=False), "it was killed, or is still running"),
        (_noting(schema_version=9), "run.json: schema_version 9; valid: 1"),
        (_noting(started="yesterday"), "run.json: started is 'yesterday'; valid: a time"),
        (_noting(started="1066-10-14T09:00:00+00:00"), "valid: 1970 to 2100"),
        (_linked, "is a symbolic link; valid: a folder"),
        (_broken_deployment, "deployment.toml"),
        (lambda path: (path / "run.json").unlink(), "is not a run folder (run.json: No such file"),
        (lambda path: (path / "capacity.json").write_text("[]"), "capacity.json: is damaged"),
        (lambda path: (path / "verdicts.json").write_text("{}"), "verdicts.json: schema_version None"),
    ],
)
def test_a_run_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, damage: Any, why: str) -> None:
    """In one line; the others are used."""
    good, bad = one_run(tmp_path, 0), one_run(tmp_path, 1)
    damage(bad.path)
    found = run_folders.collect([tmp_path])
    assert [run.label for run in found.runs] == [good.path.name]
    ((label, reason),) = found.left_out
    assert label == bad.path.name
    assert why in reason
    assert str(tmp_path) not in reason
    assert "\n" not in reason


def test_other_folders_and_files_are_no_runs(tmp_path: Path) -> None:
    """A report, hidden folders and files are passed over."""
    one_run(tmp_path, 0)
    (tmp_path / "history").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    found = run_folders.collect([tmp_path])
    assert (len(found.runs), found.left_out) == (1, ())


def test_several_folders_are_one_history(tmp_path: Path) -> None:
    """In order of time; labels have the folder's name."""
    one_run(tmp_path / "b", 0)
    one_run(tmp_path / "a", 1)
    found = run_folders.collect([tmp_path / "a", tmp_path / "b"])
    assert [run.label.partition("/")[0] for run in found.runs] == ["b", "a"]


def test_a_folder_that_cannot_be_a_history_is_refused(tmp_path: Path) -> None:
    """One that does not exist, is a run, or is given twice."""
    run = one_run(tmp_path, 0).path
    for folders, why in (
        ([tmp_path / "none"], "does not exist"),
        ([run / "run.json"], "is no folder"),
        ([run], "is a run itself"),
        ([tmp_path, tmp_path / "."], "is given twice"),
    ):
        with pytest.raises(InputError, match=why):
            run_folders.collect(folders)


def test_a_series_is_one_point_with_its_spread(tmp_path: Path) -> None:
    """The median, the smallest and the largest run; another side is another point."""
    for number in range(3):
        series = {"series": "s1", "side": "a", "turn": number}
        one_run(tmp_path, number, rate=100 + 10 * number, failing=0.0, load=series)
    one_run(tmp_path, 5, load={"series": "s1", "side": "b"})
    one_run(tmp_path, 6)
    (line,) = history_lines.lines(run_folders.collect([tmp_path]).runs)
    assert [len(point.runs) for point in line.points] == [3, 1, 1]
    value = line.points[0].values["throughput"]
    assert (value.low, value.value, value.high) == (100.0, 110.0, 120.0)
    assert line.points[0].label.endswith(" and 2 more")


def test_other_loads_and_capacities_are_other_lines(tmp_path: Path) -> None:
    """By scenario, deployment, users or arrivals; a search for the capacity has a line of its own."""
    stages = [{"duration_s": 1, "rate_per_s": 20.0}]
    open_load = {"users": 40, "duration_s": 1, "warm_up_s": 0, "arrivals": "poisson", "stages": stages}
    one_run(tmp_path, 0)
    one_run(tmp_path, 1).about(
        started="2026-03-02T12:00:00+00:00", scenario="first-mix", load=open_load, deployment="other"
    )
    search = one_run(tmp_path, 2)
    _without_samples(search.path)
    found = {"unit": "arrivals/s", "capacity": 31.5, "scenario": "capacity-mix", "levels": []}
    (search.path / "capacity.json").write_text(json.dumps(found))
    lines = history_lines.lines(run_folders.collect([tmp_path]).runs)
    assert [line.title for line in lines] == [
        "first-mix on checked, 4 users",
        "first-mix on checked, capacity in arrivals/s",
        "first-mix on other, 20/s",
    ]
    assert [[each.key for each in line.measures] for line in lines][1] == ["capacity"]


def test_verdicts_alone_are_a_run_of_a_history(tmp_path: Path) -> None:
    """`calorimeter verify` records no load."""
    run = one_run(tmp_path, 0)
    _without_samples(run.path)
    judgement = Judgement(outcome=Outcome.PASS, why="fine")
    run.verdicts(Verdict(gate="E2", heading="", guide="", judgement=judgement))
    found = run_folders.collect([tmp_path])
    assert [run.point.verdicts for run in found.runs] == [{"E2": Outcome.PASS}]
    assert history_lines.lines(found.runs) == ()


def test_the_history_of_a_run_ends_with_it(tmp_path: Path) -> None:
    """Without runs of another load, and without those that came later."""
    for number in range(4):
        one_run(tmp_path, number)
    other = one_run(tmp_path, 9, load={"deployment": "other"})
    found = run_folders.collect([tmp_path])
    chosen = run_folders.of_load(found, found.runs[2].folder)
    assert chosen.runs == found.runs[:3]
    assert len(run_folders.of_load(found, other.path).runs) == 1
    with pytest.raises(InputError, match="is not in the folder of the history"):
        run_folders.of_load(found, tmp_path)
    assert run_folders.since(found, "2026-03-03").runs == found.runs[2:]
    for day in ("2026-03-40", "x", "2027-01-01"):
        with pytest.raises(InputError, match="--since"):
            run_folders.since(found, day)


def test_a_hostile_scenario_is_a_digest(tmp_path: Path) -> None:
    """Nested a thousand deep, or with a thousand keys, or no TOML."""
    run = one_run(tmp_path, 0)
    for text in (".".join("a" * 3000) + " = 1", "\n".join(f"k{i} = 1" for i in range(1000)), "= ="):
        (run.path / "scenario.toml").write_text(text)
        (found,) = run_folders.collect([tmp_path]).runs
        assert found.point.facts["scenario"].startswith("SHA-256 ")
        assert len(found.point.facts) < 60
