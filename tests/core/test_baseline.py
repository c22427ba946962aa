"""Golden evidence of T2: worse, not worse, and too little to tell."""

from __future__ import annotations

import pytest

from calorimeter.core.baseline import HEADING, Baseline, Measure, no_worse
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.registry import known

LEFT = (0.100, 0.101, 0.102, 0.103, 0.104)


def judged(
    right: tuple[float, ...], *, lower_is_better: bool = True, unit: str = "run", **more: object
) -> Judgement:
    """T2 on five runs a side and one measure."""
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
    """Five per cent beyond all noise is found in its direction only."""
    found = judged(SLOWER)
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples[0].startswith("rest list: median response (s) 0.102 to 0.1071, +5.0 %")
    assert judged(tuple(value / 1.05 for value in LEFT)).outcome is Outcome.PASS


def test_fewer_answers_a_second_fail() -> None:
    """Where more is better, less is worse."""
    assert judged(SLOWER, lower_is_better=False).outcome is Outcome.PASS
    assert judged(tuple(v / 1.05 for v in LEFT), lower_is_better=False).outcome is Outcome.FAIL


def test_equal_sides_pass() -> None:
    """The same values on both sides."""
    assert judged(LEFT).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "more",
    [{"unit": "window"}, {"measures": ()}, {"lost": ("rest create",)}],
)
def test_too_little_to_tell_is_inconclusive(more: dict[str, object]) -> None:
    """Fewer than five runs a side, nothing that both could measure, something lost since."""
    assert judged(LEFT, **more).outcome is Outcome.INCONCLUSIVE


def test_a_side_on_which_everything_failed_never_passes() -> None:
    """Whatever else is known of it."""
    assert judged(LEFT, failed=(0.0, 1.0)).outcome is Outcome.FAIL


def test_the_gate_is_called_the_same_by_both_commands() -> None:
    """`compare --baseline` and `verify --baseline` write one verdict, not two of different names."""
    heading = known()["T2"].heading
    assert heading.rstrip(".") == HEADING
