"""Golden evidence of gate T4: the newest change for the worse, for the better, and too few runs."""

from __future__ import annotations

import pytest

from calorimeter.core.recorded.load_history import (
    HEADING,
    LoadHistory,
    MeasuredSeries,
    newest_change_is_no_worse,
)
from calorimeter.core.verdict import Outcome

LOW = [50.0, 50.4, 49.7, 50.2, 49.9, 50.1]
HIGH = [60.0, 60.4, 59.7, 60.2, 59.9, 60.1]


def history(*series: tuple[str, list[float]]) -> LoadHistory:
    """A history of one load."""
    return LoadHistory(
        folders=("runs",),
        series=tuple(
            MeasuredSeries(
                line="first-mix on lab, 12 users",
                measure=name,
                lower_is_better=name != "throughput",
                runs=tuple(f"r{i}" for i in range(len(values))),
                values=tuple(values),
            )
            for name, values in series
        ),
    )


@pytest.mark.parametrize(
    ("name", "values", "outcome"),
    [
        ("throughput", HIGH + LOW, Outcome.FAIL),
        ("throughput", LOW + HIGH, Outcome.PASS),
        ("throughput", (HIGH + HIGH + LOW + LOW) + HIGH + HIGH, Outcome.PASS),
        ("throughput", (LOW + LOW + HIGH + HIGH) + LOW + LOW, Outcome.FAIL),
        ("p99", HIGH + LOW, Outcome.PASS),
        ("p99", LOW + HIGH, Outcome.FAIL),
        ("p99", LOW + [*LOW][::-1], Outcome.PASS),
        ("p99", (LOW + HIGH)[2:11], Outcome.INCONCLUSIVE),
        ("p99", [], Outcome.INCONCLUSIVE),
    ],
)
def test_the_newest_change_decides(name: str, values: list[float], outcome: Outcome) -> None:
    """What was bad before and is good again passes; too few runs pass nothing."""
    assert newest_change_is_no_worse(history((name, values))).outcome is outcome


def test_a_failure_says_what_changed_and_since_when() -> None:
    """The counter-example names measure, levels, difference and the first run."""
    judged = newest_change_is_no_worse(history(("throughput", HIGH + LOW), ("p99", LOW + LOW)))
    assert judged.why == "1 of 2 measures changed for the worse, and not back"
    assert judged.counter_examples == (
        "first-mix on lab, 12 users: throughput 60.05 to 50.05, −16.7 % (−17.4 to −15.9 %), "
        "in the 6 runs since r6",
    )
    assert judged.figures["measures_worse"] == 1


def test_no_history_is_inconclusive() -> None:
    """No data is never PASS."""
    assert newest_change_is_no_worse(LoadHistory(folders=(), series=())).outcome is Outcome.INCONCLUSIVE
    assert HEADING
