"""Samples as they are read, from files written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.recorded import sample_stream, stack_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_stream import EVERYTHING, TAKEN, SampleBlock, SampleStream
from tests.report.run_builder import Builder, one


def by_column(samples: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Samples as columns."""
    return {name: [sample[name] for sample in samples] for name in samples[0]}


def read(run: RunDir) -> tuple[SampleStream, SampleBlock]:
    """A run's samples, which are one block."""
    found = sample_stream.stream(run)
    assert found is not None
    (block,) = found.blocks(EVERYTHING)
    assert len(block) == found.count
    return found, block


def kinds(found: SampleStream, block: SampleBlock) -> list[str]:
    """The kind of each request."""
    return [found.kinds[code] for code in block.kind]


def test_columns_are_durations_and_codes(tmp_path: Path) -> None:
    """Response time counts from when a request was due, service time from when it was sent."""
    samples = [one("rest list", late_ms=5, took_ms=20), one("cfn ListStacks", took_ms=7)]
    found, block = read(Builder(tmp_path / "run").about().samples(by_column(samples)).run)
    assert block.response_ns.tolist() == [25_000_000, 7_000_000]
    assert block.service_ns.tolist() == [20_000_000, 7_000_000]
    assert kinds(found, block) == ["rest list", "cfn ListStacks"]
    assert [found.sources[code] for code in block.source] == ["127.0.0.10"] * 2


def test_files_with_other_dictionaries_are_read_as_one(tmp_path: Path) -> None:
    """Two workers that met operations in another order give the same codes the same names."""
    builder = Builder(tmp_path / "run").about()
    for worker, names in (("w0", ("rest list", "rest show")), ("w1", ("rest show", "cfn ListStacks"))):
        builder.samples(by_column([one(kind) for kind in names]), name=worker)
    found, block = read(builder.run)
    assert kinds(found, block) == ["rest list", "rest show", "rest show", "cfn ListStacks"]
    assert sorted(found.kinds) == ["cfn ListStacks", "rest list", "rest show"]


def test_a_request_that_was_never_sent_took_no_time(tmp_path: Path) -> None:
    """Whatever its times are. Its error distinguishes it from failures and successes."""
    samples = [
        one("rest list", error="dropped", took_ms=5),
        one("rest list", error="timeout"),
        one("rest list"),
    ]
    _, block = read(Builder(tmp_path / "run").about().samples(by_column(samples)).run)
    assert (block.response_ns[0], block.service_ns[0]) == (0, 0)
    assert block.dropped.tolist() == [True, False, False]
    assert block.ok.tolist() == [False, False, True]
    assert block.rows(block.ok).response_ns.tolist() == [10_000_000]
    assert block.rows(block.response_ns >= 0) is block


def test_blocks_are_read_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the files' names, some rows at a time; columns that were not asked for are empty."""
    builder = Builder(tmp_path / "run").about()
    for worker in range(4):
        builder.samples(by_column([one("rest list", took_ms=worker)] * 3), name=f"w{worker}")
    monkeypatch.setattr(sample_stream, "ROWS", 5)
    found = SampleStream(builder.run)
    for _ in range(2):
        blocks = list(found.blocks(TAKEN))
        assert [len(block) for block in blocks] == [6, 6]
        assert blocks[1].response_ns.tolist() == [2_000_000] * 3 + [3_000_000] * 3
        assert not len(blocks[0].source)


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    """Neither samples, nor a ledger, nor actions."""
    run = Builder(tmp_path / "run").about().run
    assert sample_stream.stream(run) is None
    assert (stack_tables.ledger(run), stack_tables.actions(run)) == (None, None)
