"""JSON Lines: one object a row, with the names of the columns and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.samples import ACTION, LEDGER, SAMPLE
from calorimeter.export import json_lines
from tests.report.run_builder import START_NS, Builder, one

NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=20)


def exported(builder: Builder, table: str = "samples") -> list[dict[str, Any]]:
    """The objects of all lines."""
    text = "".join(json_lines.lines(builder.run, table))
    assert text.isascii()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def columns(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [row[name] for row in rows] for name in SAMPLE.names}


def test_a_sample_has_its_columns_and_both_durations(tmp_path: Path) -> None:
    """Response time counts from the moment it was due, service time from the moment it was sent."""
    row = one("rest create", late_ms=3, took_ms=120, status=201, request_id="req-é")
    found = exported(Builder(tmp_path / "run").about().samples(columns(row)))
    assert found == [{**row, "response_ns": 123_000_000, "service_ns": 120_000_000}]
    assert list(found[0]) == [*SAMPLE.names, "response_ns", "service_ns"]


def test_a_request_that_was_never_sent_has_no_duration(tmp_path: Path) -> None:
    """`dropped`: null, not zero; an answer before its time, by a clock that was set back, is zero."""
    dropped = one("rest list", error="dropped", status=0)
    early = one("rest list", took_ms=-5)
    found = exported(Builder(tmp_path / "run").about().samples(columns(dropped, early)))
    assert [(row["response_ns"], row["service_ns"]) for row in found] == [(None, None), (0, 0)]


@given(st.lists(st.tuples(NAMES, st.integers(0, 999), st.integers(0, 60_000)), min_size=1, max_size=8))
def test_rows_come_back_as_they_were_recorded(rows: list[tuple[str, int, int]]) -> None:
    """What a JSON parser reads is what the Parquet file holds."""
    recorded = [
        one("rest list", request_id=name, user=status, status=status, took_ms=took)
        for name, status, took in rows
    ]
    batch = pa.RecordBatch.from_pydict(columns(*recorded), schema=SAMPLE)
    text = json_lines._of_rows(batch)
    assert [json.loads(line) for line in text.splitlines()] == recorded


def test_the_ledger_and_the_actions_have_their_own_columns(tmp_path: Path) -> None:
    """`--table ledger` and `--table actions`; a table without rows has no lines."""
    entry = {
        **{"stack_id": "s1", "name": "n", "api": "cfn", "request_id": "r", "accepted_ns": START_NS},
        **{"final_ns": START_NS + 5, "final_state": "CREATE_COMPLETE", "deleted_ns": 0, "user": 1},
    }
    builder = Builder(tmp_path / "run").about().ledger([entry])
    assert exported(builder, "ledger") == [entry]
    assert list(exported(builder, "ledger")[0]) == LEDGER.names
    assert exported(builder, "actions") == []
    (tmp_path / "run" / "actions").mkdir()
    action = {name: {**entry, "operation": "update"}[name] for name in ACTION.names}
    table = pa.Table.from_pylist([action], schema=ACTION)
    pq.write_table(table, tmp_path / "run" / "actions" / "w0-0.parquet")
    assert exported(builder, "actions") == [action]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (None, "holds no samples"),
        (one("rest list", took_ms=5 * 3600e3), "times that no request has"),
        ({**one("rest list"), "sent_ns": START_NS - 5 * 3600 * 10**9}, "times that no request has"),
    ],
)
def test_a_run_without_usable_samples_is_one_line(
    tmp_path: Path, row: dict[str, Any] | None, why: str
) -> None:
    """No samples, or one that was answered hours after it was due, or sent."""
    builder = Builder(tmp_path / "run").about()
    if row:
        builder.samples(columns(row))
    with pytest.raises(InputError, match=why):
        exported(builder)
