"""Golden evidence of gate T2: worse, not worse, and too little evidence."""

from __future__ import annotations

import pytest

from calorimeter.core.recorded.baseline import HEADING, Baseline, Measure, no_worse
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.registry import known

LEFT = (0.100, 0.101, 0.102, 0.103, 0.104)


def judged(
    right: tuple[float, ...], *, lower_is_better: bool = True, unit: str = "run", **more: object
) -> Judgement:
    """T2 with five runs per side and one measure."""
    measure = Measure(
        operation="rest list",
        measure="median response (s)",
        lower_is_better=lower_is_better,
        left=LEFT,
        right=right,
    )
    fields: dict[str, object] = {
        "left": tuple("abcde"),
        "right": tuple("fghij"),
        "unit": unit,
        "measures": (measure,),
        "failed": (0.0, 0.0),
    }
    return no_worse(Baseline.model_validate(fields | more))


SLOWER = tuple(1.05 * value for value in LEFT)


def test_a_slower_side_fails_and_a_faster_one_passes() -> None:
    """A difference of 5 % beyond all noise is a FAIL in the worse direction only."""
    found = judged(SLOWER)
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples[0].startswith("rest list: median response (s) 0.102 to 0.1071, +5.0 %")
    assert judged(tuple(value / 1.05 for value in LEFT)).outcome is Outcome.PASS


def test_a_lower_throughput_fails() -> None:
    """For measures where more is better, lower values are worse."""
    assert judged(SLOWER, lower_is_better=False).outcome is Outcome.PASS
    assert judged(tuple(v / 1.05 for v in LEFT), lower_is_better=False).outcome is Outcome.FAIL


def test_equal_sides_pass() -> None:
    """Equal values on both sides are a PASS."""
    assert judged(LEFT).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "more",
    [{"unit": "window"}, {"measures": ()}, {"lost": ("rest create",)}],
)
def test_too_little_evidence_is_inconclusive(more: dict[str, object]) -> None:
    """Windows of one run only, no common measure, or an operation that lost its successes: INCONCLUSIVE."""
    assert judged(LEFT, **more).outcome is Outcome.INCONCLUSIVE


def test_a_side_without_any_success_never_passes() -> None:
    """No other evidence matters then."""
    assert judged(LEFT, failed=(0.0, 1.0)).outcome is Outcome.FAIL


def test_both_commands_give_the_gate_the_same_heading() -> None:
    """`compare --baseline` and `verify --baseline` write the same verdict."""
    heading = known()["T2"].heading
    assert heading.rstrip(".") == HEADING
