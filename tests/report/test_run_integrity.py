"""Loads that were not the one asked for: lost workers, clocks, ends before the time."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.core.errors import InputError
from calorimeter.report import measured_runs, page_content, page_text, run_integrity

LOST = {"worker": "worker-01", "host": "beta", "clock_offset_s": 0.0, "lost": True}


def worker(offset_s: float | None, within_s: float | None) -> dict[str, Any]:
    """A worker of another machine whose clock was compared."""
    return {
        "worker": "worker-01",
        "host": "beta",
        "clock_offset_s": offset_s,
        "clock_offset_within_s": within_s,
        "lost": False,
    }


@pytest.mark.parametrize(
    ("noted", "message"),
    [
        (
            LOST,
            "worker-01 on beta was lost: its part of the load ended then, and its last samples may be "
            "missing.",
        ),
        (
            worker(-3.2, 0.001),
            "The clock of worker-01 on beta is -3.200 s off its master's, and so are its samples.",
        ),
        (
            worker(None, None),
            "worker-01 on beta did not report its time: its samples may have times that differ from the "
            "others'.",
        ),
    ],
)
def test_what_was_wrong_with_a_worker_is_a_limit(builder: Any, noted: dict[str, Any], message: str) -> None:
    """A lost worker, a clock that is off and one that was not compared are sentences of the page."""
    builder.about(workers=[worker(0.01, 0.001), noted]).samples(seconds=5)
    assert page_text.limits(page_content.collect(builder.run))[0] == message


@pytest.mark.parametrize(
    "noted",
    [None, "text", [None], [{}], [{"worker": "worker-00", "windows": 3}], [worker(0.08, 0.04)]],
)
def test_nothing_wrong_is_nothing_said(noted: Any) -> None:
    """One process alone, clocks that agree as far as one can tell, and notes of another shape."""
    assert list(run_integrity.limits({"workers": noted})) == []
    assert run_integrity.why_not({"workers": noted}) == ""


@pytest.mark.parametrize(
    ("noted", "message"),
    [
        ({"workers": [LOST], "stopped": "failed", "clean_stop": False}, "worker-01 was lost"),
        ({"stopped": "interrupted", "clean_stop": True}, "it was interrupted before its duration"),
        ({"stopped": "failed", "clean_stop": False}, "its generator or its recording failed"),
        ({"clean_stop": False}, "it was killed, or is still running"),
    ],
)
def test_a_run_that_did_not_end_whole_is_not_compared(
    builder: Any, noted: dict[str, Any], message: str
) -> None:
    """The run is named, and why, in one line."""
    builder.about(**noted).samples(seconds=5)
    with pytest.raises(InputError) as refused:
        measured_runs.measure(builder.path)
    line = str(refused.value)
    assert line.startswith(f"{builder.path}: cannot be compared: {message}")
    assert "\n" not in line


def test_a_run_that_ended_whole_is_measured(builder: Any) -> None:
    """Its time was up, and nothing was lost."""
    builder.about(stopped="ended", clean_stop=True, workers=[worker(0.01, 0.001)]).samples(seconds=5)
    assert measured_runs.measure(builder.path).count == 300
