"""Verdicts: which are acceptable, their order, and verdicts.json."""

from pathlib import Path

import pytest

from calorimeter.core import verdict as verdicts
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import (
    Judgement,
    Verdict,
    Verdicts,
    count,
    failed,
    gate_order,
    inconclusive,
    passed,
)


def verdict_of(gate: str, judgement: Judgement, waived: str | None = None) -> Verdict:
    """A verdict of one gate."""
    return Verdict(gate=gate, heading="h", guide="g", judgement=judgement, waived=waived)


@pytest.mark.parametrize(
    ("verdict", "acceptable"),
    [
        (verdict_of("S1", passed("all well")), True),
        (verdict_of("S1", failed("torn")), False),
        (verdict_of("S1", inconclusive("no data")), False),
        (verdict_of("H9", failed("shallow"), waived="known"), True),
    ],
)
def test_only_pass_and_waived_are_acceptable(verdict: Verdict, acceptable: bool) -> None:
    """A PASS is acceptable, and so is a waived gate; a FAIL or missing data is not."""
    assert verdict.acceptable is acceptable


def test_counter_examples_are_quoted_up_to_ten_and_counted() -> None:
    """A judgement quotes ten counter-examples and counts the rest."""
    judgement = failed("torn", [f"source {n}" for n in range(25)])
    assert judgement.counter_examples[9] == "source 9"
    assert judgement.counter_examples[10:] == ("… and 15 more",)


def test_gates_are_ordered_by_number() -> None:
    """S10 comes after S2."""
    assert sorted(["S10", "S2", "E1"], key=gate_order) == ["E1", "S2", "S10"]


def test_verdicts_can_be_read_back(tmp_path: Path) -> None:
    """Reading verdicts.json returns what was written."""
    kept = Verdicts(verdicts=(verdict_of("S1", passed("all well", sources=3, share_a=0.5)),))
    verdicts.write(kept, tmp_path / "verdicts.json")
    assert verdicts.read(tmp_path / "verdicts.json") == kept


def test_newer_verdict_replaces_the_older() -> None:
    """A gate that runs again keeps its newest verdict only."""
    old = Verdicts(verdicts=(verdict_of("S1", failed("torn")), verdict_of("H1", passed("checked"))))
    new = old.merged([verdict_of("S1", passed("all well"))])
    assert [v.gate for v in new.verdicts] == ["H1", "S1"]
    assert new.of("S1").acceptable


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema_version": 99}', '{"schema_version": 1, "verdicts": 3}']
)
def test_invalid_verdicts_file_is_refused(tmp_path: Path, text: str) -> None:
    """The error for a damaged file, or one of another version, names the file."""
    file = tmp_path / "verdicts.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"verdicts\.json"):
        verdicts.read(file)


def test_counts_name_what_is_waived() -> None:
    """A waived FAIL is counted as a FAIL, and as waived; outcomes without a gate are left out."""
    known = verdict_of("H9", failed("shallow"), waived="known")
    assert count([verdict_of("H1", passed("x")), known]) == "1 PASS, 1 FAIL (1 waived) of 2 gates"
    assert count([known]) == "1 FAIL (1 waived) of 1 gate"
    assert count([]) == "nothing of 0 gates"
