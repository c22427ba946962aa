"""Comparisons of runs with a known truth, and of runs that must not be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calorimeter.commands.report import compare
from calorimeter.core import verdict
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.report import comparison, comparison_page, measured_runs
from tests.markdown import broken_tables

pytestmark = pytest.mark.slow  # of each side five runs are made and read


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, module_builder: Any) -> dict[str, list[Path]]:
    """Five runs a side: `a`, `b` equal to it, and `c` whose every request takes 5 % longer."""
    folder = tmp_path_factory.mktemp("sides")
    found: dict[str, list[Path]] = {}
    for number, (side, slower) in enumerate((("a", 1.0), ("b", 1.0), ("c", 1.05))):
        for repeat in range(5):
            one = type(module_builder)(folder / f"{side}{repeat}").about(
                deployment=side, users=20, started=f"2026-01-02T0{repeat}:0{number}:00+00:00"
            )
            one.samples(seed=100 * number + repeat, seconds=60, rate=150, slower=slower)
            found.setdefault(side, []).append(one.path)
    return found


def _compared(left: list[Path], right: list[Path]) -> comparison.Comparison:
    return comparison.compare(*([measured_runs.measure(path) for path in side] for side in (left, right)))


def test_a_planted_slowdown_is_found_between_runs(runs: dict[str, list[Path]]) -> None:
    """Five runs against five that are 5 % slower: the most frequent operation is slower by about that."""
    found = _compared(runs["a"], runs["c"])
    assert found.unit == "run"
    rows = {row.operation: row for row in found.rows}
    assert rows["rest list"].finding == "slower"
    assert 0.03 < rows["rest list"].found.relative.estimate < 0.07
    assert rows["all"].finding == "no detectable difference"  # as many requests a second were offered
    judged = comparison.verdict_of(found, RunDir.open(runs["c"][-1]))
    assert judged.evidence == ("evidence/T2.json",)
    assert judged.judgement.outcome is verdict.Outcome.FAIL
    assert any(line.startswith("rest list: median response") for line in judged.judgement.counter_examples)


def test_runs_that_were_not_made_in_turn_are_said_to_be(runs: dict[str, list[Path]]) -> None:
    """In turn the label is plain; one side made first and the other later is part of the finding."""
    assert _compared(runs["a"][:5], runs["b"][:5]).label == "between runs: 5 against 5"
    found = [measured_runs.measure(path) for path in runs["a"][:5]]
    later = [replace(run, about={**run.about, "started": "2027"}) for run in found]
    assert "not interleaved" in comparison.compare(found, later).label


def test_equal_runs_are_not_told_apart(runs: dict[str, list[Path]]) -> None:
    """Five runs against five equal ones: nothing is called different, and T2 passes."""
    found = _compared(runs["a"], runs["b"])
    assert {row.finding for row in found.rows} == {"no detectable difference"}
    judged = comparison.verdict_of(found, RunDir.open(runs["b"][-1]))
    assert judged.judgement.outcome is verdict.Outcome.PASS


def test_single_runs_are_compared_within_themselves(runs: dict[str, list[Path]]) -> None:
    """One run a side compares windows, says so, and T2 is INCONCLUSIVE."""
    found = _compared(runs["a"][:1], runs["c"][:1])
    assert found.unit == "window"
    assert found.label.startswith("within one run only")
    assert {row.operation: row.finding for row in found.rows}["rest list"] == "slower"
    judged = comparison.verdict_of(found, RunDir.open(runs["c"][0]))
    assert judged.judgement.outcome is verdict.Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"users": 40}, "users is 40 here and 20 there"),
        ({"load": {"arrivals": {"per_s": 5}}}, "load.arrivals is {'per_s': 5} here and None there"),
        ({"environment": {"cpus": 8}}, "environment.calorimeter is None here and '0.1.0' there"),
    ],
)
def test_incomparable_runs_are_refused(
    runs: dict[str, list[Path]], builder: Any, changed: dict[str, Any], message: str
) -> None:
    """The key in which runs differ is named, and how to compare nevertheless."""
    builder.about(**{"users": 20, **changed}).samples(seconds=30)
    with pytest.raises(InputError, match=message):
        _compared(runs["a"][:1], [builder.path])


def _command(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(compare, list(arguments))
    if isinstance(found.exception, InputError):
        return 2, str(found.exception)
    return found.exit_code, found.output


def test_the_command(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    """Runs of two deployments are two sides; the page, its tables and figure are written."""
    paths = [str(path) for path in (*runs["a"], *runs["c"])]
    status, output = _command(*paths, "--output", str(tmp_path / "page"))
    assert status == 0
    assert "compared between runs: 5 against 5" in output
    kept = json.loads((tmp_path / "page" / "summary.json").read_text())
    assert kept["schema_version"] == 1
    assert kept["left"] == [f"a{i}" for i in range(5)]
    assert (tmp_path / "page" / "figures" / "differences.svg").exists()
    text = (tmp_path / "page" / "report.md").read_text()
    assert "slower" in text
    assert broken_tables(text) == []


def test_what_the_sides_were_made_on_is_told_apart(runs: dict[str, list[Path]]) -> None:
    """The hash of each side's proxy configuration, each part that differs, how to make the page again."""
    measured = [[measured_runs.measure(path) for path in runs[side][:2]] for side in "ac"]
    hashed = [
        [
            replace(run, topology=(("Engines", "2"), ("Proxy configuration", f"SHA-256 {side}")))
            for run in side_
        ]
        for side, side_ in zip("ac", measured, strict=True)
    ]
    found = comparison.compare(*hashed)
    text = comparison_page.files(found)["report.md"].decode()
    assert "| Proxy configuration | SHA-256 a | SHA-256 c |" in text
    assert "The same on both sides: Engines." in text
    assert "    calorimeter compare runs/a0 runs/a1 runs/c0 runs/c1 --output FOLDER\n" in text
    assert broken_tables(text) == []
    same = comparison.compare(measured[0][:1], measured[0][1:], ("users",))
    assert "compare runs/a0 runs/a1 --despite users --output" in comparison_page._rebuild(same)
    text = comparison_page.files(same)["report.md"].decode()
    assert "Nothing recorded about their parts" in text
    assert "The same on both sides: Deployment, REST, CFN" in text
    mixed = comparison.compare(measured[0][:1], [measured[0][1], measured[1][0]])
    assert "compare --baseline runs/a0 runs/a1 runs/c0 --output" in comparison_page._rebuild(mixed)


def test_a_baseline_makes_it_a_gate(runs: dict[str, list[Path]]) -> None:
    """With --baseline the exit status is the gate's, and the verdict is added to the last run."""
    baseline = [word for path in runs["a"] for word in ("--baseline", str(path))]
    status, output = _command(*map(str, runs["c"]), *baseline)
    assert status == 1
    assert "T2 FAIL" in output
    assert verdict.read(runs["c"][-1] / "verdicts.json").of("T2").judgement.outcome is verdict.Outcome.FAIL
    assert _command(*map(str, runs["b"]), *baseline)[0] == 0


def test_sides_that_cannot_be_told(runs: dict[str, list[Path]]) -> None:
    """Three deployments are not two sides, a run is on one side only, an unknown key is no excuse."""
    assert "is given twice" in _command(str(runs["a"][0]), str(runs["a"][0]))[1]
    assert "are not two sides" in _command(*(str(runs[side][0]) for side in "abc"))[1]
    two = (str(runs["a"][0]), str(runs["b"][0]))
    assert "did you mean 'users'" in _command(*two, "--despite", "user")[1]
