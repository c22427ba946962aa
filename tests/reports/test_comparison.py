"""Comparisons of runs with a known truth, and of runs that must not be compared."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter import verdict
from calorimeter.errors import InputError
from reports import comparison, statistics
from reports.commands import compare

SMALL = st.lists(st.integers(0, 1000), min_size=1, max_size=5)


def exact_p(left: list[int], right: list[int]) -> float:
    """The two-sided p of U by trying every way to deal the values out."""
    values = [*left, *right]
    ways = [
        sum(values[j] > values[i] for i in chosen for j in set(range(len(values))) - set(chosen))
        for chosen in itertools.combinations(range(len(values)), len(left))
    ]
    u = sum(b > a for a in left for b in right)
    smaller = min(u, len(left) * len(right) - u)
    return min(1.0, 2 * sum(way <= smaller for way in ways) / len(ways))


@settings(deadline=None)
@given(left=SMALL, right=SMALL)
def test_the_exact_test_counts_every_order(left: list[int], right: list[int]) -> None:
    """Without ties, p is the share of all orders that are as extreme, counted one by one."""
    if len({*left, *right}) == len(left) + len(right):
        found = statistics.mann_whitney(np.array(left, dtype=float), np.array(right, dtype=float))
        assert found == pytest.approx(exact_p(left, right))


def test_the_approximation_agrees_with_scipy() -> None:
    """With ties and many values, p is what scipy 1.17.1 gives (mannwhitneyu, asymptotic)."""
    left = np.array([i % 7 for i in range(40)], dtype=float)
    right = np.array([i % 7 + (i % 3) * 0.5 for i in range(40)], dtype=float)
    assert statistics.mann_whitney(left, right) == pytest.approx(SCIPY_P, rel=1e-9)
    assert statistics.mann_whitney(np.ones(9), np.ones(9)) == 1.0


SCIPY_P = 0.29364815651518894


@given(left=SMALL, right=SMALL)
def test_effect_size_is_a_count_of_pairs(left: list[int], right: list[int]) -> None:
    """Cliff's delta is the share of pairs won less the share lost."""
    won = sum((b > a) - (b < a) for a in left for b in right) / (len(left) * len(right))
    assert statistics.cliffs_delta(np.array(left, float), np.array(right, float)) == pytest.approx(won)


@pytest.mark.parametrize("units", [5, 60])
def test_equal_sides_are_told_apart_as_rarely_as_stated(units: int) -> None:
    """Of 400 pairs of equal sides, about one in a hundred or fewer is called different."""
    rng = np.random.default_rng(11)
    alarms = sum(
        comparison.row(
            "list", comparison.RESPONSE, *rng.lognormal(0, 0.02, (2, units)), rounds=300
        ).detected
        for _ in range(400)
    )
    assert alarms <= 9  # the 99 % quantile of a binomial of 400 at 1 %


@pytest.mark.parametrize(("units", "noise"), [(5, 0.01), (60, 0.05)])
def test_a_step_of_five_percent_is_found(units: int, noise: float) -> None:
    """Of 100 pairs of sides 5 % apart, at least 90 are found, and called slower."""
    rng = np.random.default_rng(12)
    sides = [(rng.lognormal(0, noise, units), 1.05 * rng.lognormal(0, noise, units)) for _ in range(100)]
    found = [comparison.row("list", comparison.RESPONSE, *pair, rounds=300) for pair in sides]
    assert sum(row.said == "slower" for row in found) >= 90
    covered = [row.difference.low <= 0.05 <= row.difference.high for row in found]
    assert sum(covered) >= (60 if units == 5 else 85)  # five values cannot bound a median well


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, module_builder: Any) -> dict[str, list[Path]]:
    """Six runs a side: `a`, `b` equal to it, and `c` whose every request takes 5 % longer."""
    folder = tmp_path_factory.mktemp("sides")
    found: dict[str, list[Path]] = {}
    for number, (side, slower) in enumerate((("a", 1.0), ("b", 1.0), ("c", 1.05))):
        for repeat in range(6):
            one = type(module_builder)(folder / f"{side}{repeat}").about(deployment=side, users=20)
            one.samples(seed=100 * number + repeat, seconds=90, rate=200, slower=slower)
            found.setdefault(side, []).append(one.path)
    return found


def _compared(left: list[Path], right: list[Path]) -> comparison.Comparison:
    return comparison.compare(*([comparison.measure(path) for path in side] for side in (left, right)))


def test_a_planted_slowdown_is_found_between_runs(runs: dict[str, list[Path]]) -> None:
    """Six runs against six that are 5 % slower: the most frequent operation is slower by about that."""
    found = _compared(runs["a"], runs["c"])
    assert found.unit == "run"
    rows = {row.operation: row for row in found.rows}
    assert rows["rest list"].said == "slower"
    assert 0.03 < rows["rest list"].difference.estimate < 0.07
    assert rows["all"].said == "no detectable difference"  # as many requests a second were offered
    judged = comparison.verdict_of(found)
    assert judged.judgement.outcome is verdict.Outcome.FAIL
    assert any(line.startswith("rest list: median response") for line in judged.judgement.counter_examples)


def test_equal_runs_are_not_told_apart(runs: dict[str, list[Path]]) -> None:
    """Six runs against six equal ones: nothing is called different, and T2 passes."""
    found = _compared(runs["a"], runs["b"])
    assert {row.said for row in found.rows} == {"no detectable difference"}
    assert comparison.verdict_of(found).judgement.outcome is verdict.Outcome.PASS


def test_single_runs_are_compared_within_themselves(runs: dict[str, list[Path]]) -> None:
    """One run a side compares windows, says so, and T2 is INCONCLUSIVE."""
    found = _compared(runs["a"][:1], runs["c"][:1])
    assert found.unit == "window"
    assert found.label.startswith("within one run only")
    assert {row.operation: row.said for row in found.rows}["rest list"] == "slower"
    assert comparison.verdict_of(found).judgement.outcome is verdict.Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"users": 40}, "users is 40 here and 20 there"),
        ({"environment": {"cpus": 8}}, "environment.calorimeter is None here and '0.1.0' there"),
    ],
)
def test_incomparable_runs_are_refused(
    runs: dict[str, list[Path]], builder: Any, changed: dict[str, Any], said: str
) -> None:
    """The key in which runs differ is named, and how to compare nevertheless."""
    builder.about(**{"users": 20, **changed}).samples(seconds=30)
    with pytest.raises(InputError, match=said):
        _compared(runs["a"][:1], [builder.path])


def _command(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(compare, list(arguments))
    if isinstance(found.exception, InputError):
        return 2, str(found.exception)
    return found.exit_code, found.output


@pytest.mark.slow
def test_the_command(runs: dict[str, list[Path]], tmp_path: Path) -> None:
    """Runs of two deployments are two sides; the page, its tables and figure are written."""
    paths = [str(path) for path in (*runs["a"], *runs["c"])]
    status, output = _command(*paths, "--output", str(tmp_path / "page"))
    assert status == 0
    assert "compared between runs: 6 against 6" in output
    kept = json.loads((tmp_path / "page" / "summary.json").read_text())
    assert kept["schema_version"] == 1
    assert kept["left"] == [f"a{i}" for i in range(6)]
    assert (tmp_path / "page" / "figures" / "differences.svg").exists()
    assert "slower" in (tmp_path / "page" / "report.md").read_text()


@pytest.mark.slow
def test_a_baseline_makes_it_a_gate(runs: dict[str, list[Path]]) -> None:
    """With --baseline the exit status is the gate's, and the verdict is added to the last run."""
    baseline = [word for path in runs["a"] for word in ("--baseline", str(path))]
    status, output = _command(*map(str, runs["c"]), *baseline)
    assert status == 1
    assert "T2 FAIL" in output
    assert verdict.read(runs["c"][-1] / "verdicts.json").of("T2").judgement.outcome is verdict.Outcome.FAIL
    assert _command(*map(str, runs["b"]), *baseline)[0] == 0


def test_sides_that_cannot_be_told(runs: dict[str, list[Path]]) -> None:
    """Three deployments are not two sides, and an unknown key is no excuse."""
    assert "are not two sides" in _command(*(str(runs[side][0]) for side in "abc"))[1]
    two = (str(runs["a"][0]), str(runs["b"][0]))
    assert "did you mean 'users'" in _command(*two, "--despite", "user")[1]
