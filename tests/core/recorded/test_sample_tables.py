"""Samples as they are read, from files written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calorimeter.core.recorded import sample_tables
from tests.report.run_builder import Builder, one


def by_column(samples: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Samples as columns."""
    return {name: [sample[name] for sample in samples] for name in samples[0]}


def test_columns_are_durations_and_categories(tmp_path: Path) -> None:
    """Response time counts from when a request was due, service time from when it was sent."""
    samples = [one("rest list", late_ms=5, took_ms=20), one("cfn ListStacks", took_ms=7)]
    found = sample_tables.samples(Builder(tmp_path / "run").about().samples(by_column(samples)).run)
    assert found is not None
    assert found["response_ns"].tolist() == [25_000_000, 7_000_000]
    assert found["service_ns"].tolist() == [20_000_000, 7_000_000]
    assert found["kind"].tolist() == ["rest list", "cfn ListStacks"]
    assert list(found["kind"].cat.categories) == ["cfn ListStacks", "rest list"]


def test_files_with_other_dictionaries_are_read_as_one(tmp_path: Path) -> None:
    """Two workers that met operations in another order give one table with the right names."""
    builder = Builder(tmp_path / "run").about()
    for worker, kinds in (("w0", ("rest list", "rest show")), ("w1", ("rest show", "cfn ListStacks"))):
        samples = [one(kind) for kind in kinds]
        builder.samples(by_column(samples), name=worker)
    found = sample_tables.samples(builder.run)
    assert found is not None
    assert found["kind"].tolist() == ["rest list", "rest show", "rest show", "cfn ListStacks"]


def test_a_request_that_was_never_sent_took_no_time(tmp_path: Path) -> None:
    """Whatever its times are. Its error distinguishes it from failures and successes."""
    samples = [
        one("rest list", error="dropped", took_ms=5),
        one("rest list", error="timeout"),
        one("rest list"),
    ]
    found = sample_tables.samples(Builder(tmp_path / "run").about().samples(by_column(samples)).run)
    assert found is not None
    assert found[["response_ns", "service_ns"]].iloc[0].tolist() == [0, 0]
    assert sample_tables.dropped(found).tolist() == [True, False, False]
    assert sample_tables.succeeded(found).tolist() == [False, False, True]


def test_a_run_without_samples_has_no_table(tmp_path: Path) -> None:
    """Neither samples, nor a ledger, nor actions."""
    run = Builder(tmp_path / "run").about().run
    assert (sample_tables.samples(run), sample_tables.ledger(run), sample_tables.actions(run)) == (
        None,
    ) * 3
