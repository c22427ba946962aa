"""The table of the comparison, from literal verdicts."""

from calorimeter.core.verdict import Judgement, Outcome, Verdict, Verdicts
from calorimeter.studies.guide_comparison import table


def verdicts(**figures: dict[str, float | None]) -> Verdicts:
    """Verdicts of H1 to H9 with some figures."""
    gates = [f"H{n}" for n in range(1, 10)]
    return Verdicts(
        verdicts=tuple(
            Verdict(
                gate=gate,
                heading="",
                guide="",
                judgement=Judgement(
                    outcome=Outcome.FAIL if gate == "H9" else Outcome.PASS,
                    why="",
                    figures=dict(figures.get(gate, {})),
                ),
                waived="shallow" if gate == "H9" else None,
            )
            for gate in gates
        )
    )


def test_figures_stand_side_by_side() -> None:
    """One row per figure, REST and CFN in one cell; "never" for no detection; empty rows are left out."""
    guide = verdicts(
        H2={"rest_kill_detection_s": None, "cfn_kill_detection_s": None, "rest_kill_failed": 90},
        H5={"rest_kill_recovery_s": None},
    )
    checked = verdicts(
        H2={"rest_kill_detection_s": 1.52, "cfn_kill_detection_s": 1.31, "rest_kill_failed": 30},
        H5={"rest_kill_recovery_s": 1.2, "rest_freeze_recovery_s": 1.9, "cfn_kill_recovery_s": 1.0},
    )
    lines = list(table({"guide": guide, "checked": checked}))
    assert lines[0] == "| | guide | checked |"
    assert "| detected after, s | never | 1.5 / 1.3 |" in lines
    assert "| failed requests | 90 | 30 |" in lines
    assert "| used again after (slowest fault), s | – | 1.9 / 1.0 |" in lines
    assert not any(line.startswith("| longest request") for line in lines)
    assert "| H9 | FAIL (waived) | FAIL (waived) |" in lines
    assert len({line.count("|") for line in lines}) == 1
