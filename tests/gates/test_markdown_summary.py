"""The verdicts as Markdown: for a file, and for the summary of a CI job."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Judgement, Outcome, Verdict, failed, passed
from calorimeter.gates import markdown_summary


def verdict(gate: str, judgement: Judgement, waived: str | None = None) -> Verdict:
    """A verdict of one gate."""
    return Verdict(gate=gate, heading=f"Heading {gate}", guide="", judgement=judgement, waived=waived)


def test_rows_are_in_order_and_counter_examples_follow() -> None:
    """T10 comes after T2; a `|` and a `<` in a reason are escaped."""
    text = markdown_summary.markdown(
        "cloud",
        Path("runs/r1"),
        [verdict("T10", passed("fine")), verdict("T2", failed("a | b <i>", ["counter 1"]))],
    )
    lines = text.splitlines()
    assert lines[0] == "## ❌ Calorimeter: cloud"
    assert lines[2] == "1 PASS, 1 FAIL of 2 gates · run r1"
    assert lines[6] == "| ❌ FAIL | T2 | Heading T2 | a \\| b \\<i\\> |"
    assert lines[7].startswith("| ✅ PASS | T10 |")
    assert "- counter 1" in lines


def test_only_passed_and_waived_gates_are_a_success() -> None:
    """A waived FAIL is accepted and still shown; a run without a PASS is not a success."""
    waived = verdict("H9", failed("shallow"), waived="known")
    assert markdown_summary.markdown("d", Path("r"), [waived, verdict("H1", passed("x"))]).startswith(
        "## ✅"
    )
    assert "❌ FAIL (waived: known)" in markdown_summary.markdown("d", Path("r"), [waived])
    skipped = verdict("H1", Judgement(outcome=Outcome.NOT_RUN, why=""))
    assert markdown_summary.markdown("d", Path("r"), [skipped]).startswith("## ❌")
    assert markdown_summary.markdown("d", Path("r"), []).startswith("## ❌")


def test_the_job_summary_is_added_to_and_the_file_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several steps of a job share one summary."""
    job, file = tmp_path / "job.md", tmp_path / "own.md"
    monkeypatch.setenv(markdown_summary.VARIABLE, str(job))
    for text in ("## ✅ Calorimeter: one\n", "## ❌ Calorimeter: two\n"):
        markdown_summary.write(text, file)
    assert job.read_text() == "## ✅ Calorimeter: one\n## ❌ Calorimeter: two\n"
    assert file.read_text() == "## ❌ Calorimeter: two\n"
    file.write_text("# My notes\n")
    with pytest.raises(InputError, match="is not a summary of verdicts"):
        markdown_summary.write("## ✅ Calorimeter: one\n", file)
    assert file.read_text() == "# My notes\n"
    with pytest.raises(InputError, match="cannot be written"):
        markdown_summary.write("x", tmp_path / "no" / "where.md")
