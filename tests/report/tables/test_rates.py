"""Tables of the load, from samples written out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from calorimeter.core.recorded.sample_stream import stream
from calorimeter.report import load_tables
from calorimeter.report.load_tables import LoadTables
from tests.report.run_builder import drawn

SECOND = 1_000_000_000


def tables(builder: Any) -> LoadTables:
    """The tables of a run that notes nothing of its load."""
    samples = stream(builder.run)
    assert samples is not None
    return load_tables.read(samples, {})


def read(builder: Any, *samples: dict[str, Any]) -> LoadTables:
    """Write samples as a run's and make their tables."""
    return tables(builder.samples({name: [sample[name] for sample in samples] for name in samples[0]}))


def test_rates_count_offers_when_due_and_answers_when_whole(builder: Any, one: Any) -> None:
    """A request due in the first second and answered in the third is offered then and achieved later."""
    found = read(
        builder,
        one("rest list", at_ms=0, took_ms=2100),
        one("rest list", at_ms=100, took_ms=50),
        one("rest list", at_ms=200, took_ms=100, error="status", status=503),
        one("rest list", at_ms=300, error="dropped", status=0, took_ms=0),
        one("rest list", at_ms=2900, took_ms=100),
    )
    table = found.rates
    assert table["offered"].tolist() == [4, 0, 1]
    assert table["achieved"].tolist() == [1, 0, 1]
    assert table["errors"].tolist() == [1, 0, 0]
    assert table["dropped"].tolist() == [1, 0, 0]
    assert table["in_flight"].tolist() == [1, 1, 1]


def test_failures_have_no_part_in_latencies(builder: Any, one: Any) -> None:
    """Twenty successes of 10 ms and twenty timeouts of 10 s have a median of 10 ms."""
    samples = [one("rest list", at_ms=i * 50, took_ms=10) for i in range(20)]
    lost = {"took_ms": 10_000, "error": "timeout", "status": 0}
    samples += [one("rest list", at_ms=i * 50, **lost) for i in range(20)]
    found = read(builder, *samples)
    (row,) = found.operations.to_dict("records")
    assert (row["n"], row["ok"], row["failed"], row["dropped"]) == (40, 20, 20, 0)
    assert row["response_p50"] == pytest.approx(0.010)
    assert math.isnan(row["response_p90"])


def test_operations_agree_with_numpy(builder: Any) -> None:
    """Each percentile of each operation is numpy's of the same samples."""
    written = drawn(seed=4, seconds=60).to_pandas()
    table = tables(builder.samples(seed=4, seconds=60)).operations.set_index("operation")
    kinds = written["api"].astype(str) + " " + written["operation"].astype(str)
    for kind in (*sorted(set(kinds)), "all"):
        rows = written[(written["error"] == "") & ((kinds == kind) | (kind == "all"))]
        assert table.loc[kind, "ok"] == len(rows)
        for percent in (50, 90):
            found_s = table.loc[kind, f"response_p{percent}"]
            if not math.isnan(found_s):
                taken_s = (rows["done_ns"] - rows["scheduled_ns"]) / 1e9
                assert found_s == pytest.approx(np.percentile(taken_s, percent))
    low, middle, high = (table.loc["all", f"response_p50{end}"] for end in ("_low", "", "_high"))
    assert low <= middle <= high
    assert high / low < 1.3


def test_windows_against_their_load(builder: Any, one: Any) -> None:
    """Each whole window has what was due in it and what became of that, and percentiles where n allows."""
    samples = [one("rest list", at_ms=i * 10, took_ms=10) for i in range(100)]
    samples += [one("rest list", at_ms=1000 + i * 50, took_ms=20) for i in range(16)]
    samples += [one("rest list", at_ms=1800, error="status", status=503, took_ms=5)]
    samples += [one("rest list", at_ms=1900 + i, error="dropped", status=0, took_ms=0) for i in range(3)]
    samples += [one("rest list", at_ms=2500)]
    table = read(builder, *samples).against
    assert table[["offered", "achieved", "errors", "dropped", "n"]].to_numpy().tolist() == [
        [100, 100, 0, 0, 100],
        [20, 16, 1, 3, 16],
    ]
    assert table["p90"].tolist()[0] == pytest.approx(0.01)
    assert math.isnan(table["p50"][1])


def test_phases_that_a_scenario_sets_apart_are_not_measured(builder: Any, one: Any) -> None:
    """Warm-up ends with the last request due in it, clean-up begins after the last of the load."""
    found = read(
        builder,
        one("rest list", at_ms=0, phase="warm_up"),
        one("rest list", at_ms=100, took_ms=6000, phase="load"),  # answered after the warm-up
        one("rest list", at_ms=5000, phase="warm_up"),
        one("rest list", at_ms=6000, phase="load"),
        one("rest list", at_ms=7000, took_ms=4000, phase="clean_up"),  # due before the load's end
        one("rest list", at_ms=9000, phase="load"),
        one("rest list", at_ms=11_000, phase="clean_up"),
    )
    assert (found.measured.first_ns, found.measured.last_ns) == (
        found.axis.start_ns + 5 * SECOND + 1,
        found.axis.start_ns + 9 * SECOND,
    )
    assert found.operations["n"].tolist() == [3]
    assert found.phases.to_dict("list") == {
        "phase": ["warm_up", "load", "clean_up"],
        "from_s": [0, 5, 9],
        "to_s": [5, 9, 11],
    }


def test_a_warm_up_is_found(builder: Any) -> None:
    """A run whose first 12 of 120 s are four times as slow is steady from about the 12th second on."""
    found = tables(builder.samples(seed=3, seconds=120, warm_up_s=12, failing=0.0))
    assert found.steadiness.found
    assert 11 <= (found.steadiness.steady_part.first_ns - found.axis.start_ns) / SECOND <= 20


def test_errors_are_counted_by_operation_kind_and_status(builder: Any, one: Any) -> None:
    """Errors of one kind and status are one row, with their share of the operation's requests."""
    found = read(
        builder,
        *(one("rest list") for _ in range(6)),
        *(one("rest list", error="status", status=503, took_ms=40) for _ in range(2)),
        one("rest show", error="timeout", status=0, took_ms=10_000),
    )
    table = found.errors
    assert table["operation"].tolist() == ["rest list", "rest show"]
    assert table["n"].tolist() == [2, 1]
    assert table["share"].tolist() == [0.25, 1.0]
    assert table["p50"].tolist() == pytest.approx([0.04, 10.0])


def test_the_curve_ends_where_ten_samples_are_left(builder: Any) -> None:
    """With 1,800 successes the curve reaches past 99 % but not 99.9 %."""
    table = tables(builder.samples(seed=4, seconds=30, rate=60, failing=0.0)).curve
    assert 99 < table["percent"].max() < 99.9
    assert (table["response"].diff().dropna() >= 0).all()
    assert (table["response"] >= table["service"]).all()


def test_the_heat_map_counts_every_success_once(builder: Any, one: Any) -> None:
    """Cells add up to the successes of whole bins, and a value lies in the row of its magnitude."""
    found = read(builder, *(one("rest list", at_ms=at, took_ms=100) for at in range(0, 5000, 10)))
    cells = found.heat
    assert cells.to_numpy().sum() == 500
    (row,) = [low for low, counts in cells.iterrows() if counts.sum()]
    assert row <= 0.1 < row * 1.2


def test_lateness_of_the_generator(builder: Any, one: Any) -> None:
    """The lag of a bin is how long after they were due its requests were sent."""
    found = read(builder, *(one("rest list", at_ms=at, late_ms=3, took_ms=1) for at in range(0, 1000, 10)))
    table = found.generator
    assert table["lag_p50"].tolist() == pytest.approx([0.003])
    assert table["lag_max"].tolist() == pytest.approx([0.003])


def test_a_run_of_a_day_has_wide_bins(builder: Any, one: Any) -> None:
    """Bins are wide enough that there are at most 300 of them."""
    found = read(builder, one("rest list"), one("rest list", at_ms=86_400_000))
    assert (found.axis.bin_s, found.axis.bins) == (300, 288)
