"""The measured part of a run, and what became of its requests, from rows as they are recorded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from calorimeter.core.samples import SAMPLE
from calorimeter.gates.service_level import counted_samples

S = 1_000_000_000


def table(*rows: tuple[float, float, str, str]) -> pa.Table:
    """Rows of (due, answered after, error, phase); times in s."""
    columns: dict[str, list[Any]] = {field.name: [] for field in SAMPLE}
    for due, took, error, phase in rows:
        values: dict[str, Any] = dict.fromkeys(columns, 0) | {
            "scheduled_ns": int(due * S),
            "sent_ns": int(due * S),
            "done_ns": int((due + took) * S),
            "api": "rest",
            "operation": "list",
            "error": error,
            "source": "",
            "request_id": "",
            "phase": phase,
        }
        for name, value in values.items():
            columns[name].append(value)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in SAMPLE]
    return pa.table(arrays, schema=SAMPLE)


ROWS = (
    (100.0, 0.1, "", "warm_up"),
    (103.0, 0.1, "", "load"),
    (104.0, 0.3, "timeout", "load"),
    (105.0, 0.2, "", "load"),
    (110.5, 0.1, "", "clean_up"),
)


def test_the_measured_part_is_what_the_run_says() -> None:
    """Few requests do not shorten it: else a slow deployment would look quicker than it was."""
    about = {"stopped": "ended", "load": {"warm_up_s": 2, "duration_s": 10.0}}
    assert counted_samples.window(table(*ROWS), about) == (102 * S, 110 * S)


def test_the_measured_part_ends_before_the_clean_up() -> None:
    """The first request came a second late: the part does not reach into the deletes at the end."""
    about = {"stopped": "ended", "load": {"warm_up_s": 2, "duration_s": 11.0}}
    assert counted_samples.window(table(*ROWS), about) == (102 * S, int(110.5 * S) - 1)


def test_a_run_that_did_not_end_in_order_is_measured_by_its_requests() -> None:
    """Interrupted, or of a time when run.json did not say; nothing where all was warm-up."""
    assert counted_samples.window(table(*ROWS), {"stopped": "interrupted"}) == (103 * S, 105 * S)
    assert counted_samples.window(table(*ROWS), {}) == (103 * S, 105 * S)
    assert counted_samples.window(table(ROWS[0]), {}) == (0, 0)


def test_requests_of_the_part_are_counted_and_successes_timed() -> None:
    """Neither the warm-up nor the clean-up; failures have no latency; an unknown operation has nothing."""
    everything, other = counted_samples.served(table(*ROWS), ["*", "rest.show"], (102 * S, 110 * S))
    assert (everything.requests, everything.ok) == (3, 2)
    assert everything.response_ms["p50"] == 150.0
    assert (other.requests, other.response_ms) == (0, {})
