"""HdrHistogram logs, read again by HdrHistogram's own reader for Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.sample_stream import MOST_TAKEN_NS
from calorimeter.export import hdr_encoding, histogram_log
from calorimeter.export.request_batches import RequestBatch, request_batches
from tests.report.run_builder import START_NS, Builder, one

hdrh = pytest.importorskip("hdrh.histogram", reason="hdrhistogram has no wheel for this processor")

VALUES = st.one_of(st.integers(0, MOST_TAKEN_NS), st.integers(0, 5000), st.just(MOST_TAKEN_NS))


def encoded(values: list[int]) -> str:
    """A histogram of values."""
    used, counts = np.unique(hdr_encoding.places(np.array(values, dtype=np.int64)), return_counts=True)
    return hdr_encoding.encoded(used, counts)


@settings(max_examples=20)  # each makes arrays of 35,000 counts
@given(st.lists(VALUES, min_size=1, max_size=50))
def test_the_reference_reader_counts_the_same_values(values: list[int]) -> None:
    """Every value is counted once, where the reference would have counted it."""
    ours = hdrh.HdrHistogram.decode(encoded(values))
    reference = hdrh.HdrHistogram(1, MOST_TAKEN_NS, hdr_encoding.DIGITS)
    for value in values:
        assert reference.record_value(value)
    assert bytes(ours.counts) == bytes(reference.counts)
    assert ours.get_total_count() == len(values)


@given(VALUES)
def test_a_place_holds_values_within_a_thousandth(value: int) -> None:
    """The largest value of its place is at most 0.1 % larger, and is counted at the same place."""
    (place,) = hdr_encoding.places(np.array([value])).tolist()
    highest = hdr_encoding.highest_value(place)
    assert value <= highest <= value + value // 1000
    assert hdr_encoding.places(np.array([highest, highest + 1])).tolist() == [place, place + 1]
    assert place < hdr_encoding.PLACES


def test_counts_of_any_size_are_encoded() -> None:
    """Counts of several bytes, single zeros and runs of zeros."""
    used, counts = np.array([0, 1, 3, 900, 20_000]), np.array([1, 63, 64, 10**6, 2**40])
    found = hdrh.HdrHistogram.decode(hdr_encoding.encoded(used, counts))
    assert {place: count for place, count in enumerate(found.counts) if count} == dict(
        zip(used.tolist(), counts.tolist(), strict=True)
    )


def run_of(tmp_path: Path, *rows: dict[str, Any]) -> Builder:
    """A run with these samples, the second half in a file of its own that is read first."""
    builder = Builder(tmp_path / "run").about()
    for name, some in (("w1-0", rows[: len(rows) // 2]), ("w0-0", rows[len(rows) // 2 :])):
        if some:
            builder.samples({key: [row[key] for row in some] for key in some[0]}, name=name)
    return builder


def log(builder: Builder, interval_s: int = 1) -> str:
    """The log of a run."""

    def read() -> Iterator[RequestBatch]:
        return request_batches(builder.run, histogram_log.COLUMNS)

    text = "".join(histogram_log.parts(read, interval_s, "run"))
    assert text.isascii()
    return text


def intervals(tmp_path: Path, text: str) -> list[tuple[str, float, float, list[int]]]:
    """Tag, begin and end (ms since the epoch) and values of each interval, by the reference reader."""
    from hdrh.log import HistogramLogReader

    (tmp_path / "log").write_text(text)
    reader = HistogramLogReader(str(tmp_path / "log"), hdrh.HdrHistogram(1, MOST_TAKEN_NS, 3))
    found = []
    while (each := reader.get_next_interval_histogram()) is not None:
        counts = np.ctypeslib.as_array(each.counts)
        places = np.repeat(np.flatnonzero(counts), counts[counts > 0].astype(int)).tolist()
        values = [each.get_value_from_index(place) for place in places]
        found.append((each.get_tag(), each.get_start_time_stamp(), each.get_end_time_stamp(), values))
    reader.close()
    return found


def near(values: list[int], *expected_ms: float) -> bool:
    """Whether values are the expected ones, to 0.1 %."""
    pairs = zip(values, sorted(expected_ms), strict=True)
    return all(value <= ms * 1e6 <= value * 1.001 for value, ms in pairs)


def test_each_second_and_operation_has_its_histograms(tmp_path: Path) -> None:
    """Response and service time of expected answers; failures apart; nothing of what was never sent."""
    builder = run_of(
        tmp_path,
        one("rest create", at_ms=0, late_ms=50, took_ms=100),
        one("rest create", at_ms=999, late_ms=0, took_ms=300),
        one("rest create", at_ms=1000, took_ms=7),
        one("cfn ListStacks", at_ms=1500, took_ms=10_000, error="timeout", status=0),
        one("rest create", at_ms=1600, error="dropped", status=0),
    )
    text = log(builder)
    assert text.startswith("#[Histogram log format version 1.3]\n")
    assert "never sent, and are not counted: 1]" in text
    found = {(tag, begin, end): values for tag, begin, end, values in intervals(tmp_path, text)}
    first = (START_NS / 1e6, START_NS / 1e6 + 1000)
    second = (first[1], first[1] + 1000)
    assert set(found) == {
        *((tag, *first) for tag in ("rest.create", "rest.create.service")),
        *((tag, *second) for tag in ("rest.create", "rest.create.service", "cfn.ListStacks.failed")),
    }
    assert near(found["rest.create", *first], 150, 300)
    assert near(found["rest.create.service", *first], 100, 300)
    assert near(found["rest.create", *second], 7)
    assert near(found["cfn.ListStacks.failed", *second], 10_000)


def test_passes_over_a_few_intervals_give_the_same_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by passes over some intervals each; what they write together is the same."""
    builder = Builder(tmp_path / "run").about().samples(seconds=20, rate=20)
    whole = log(builder, 3)
    monkeypatch.setattr(histogram_log, "HELD", 100)
    monkeypatch.setattr(histogram_log, "WAITING", 50)
    assert Counter(log(builder, 3).splitlines()) == Counter(whole.splitlines())
    times = [float(line.split(",")[1]) for line in log(builder, 3).splitlines() if line[:4] == "Tag="]
    assert times == sorted(times)
    assert len(set(times)) in (7, 8)


def test_a_name_cannot_end_a_tag_or_a_line(tmp_path: Path) -> None:
    """Commas, white space and what is not ASCII are replaced."""
    text = log(run_of(tmp_path, one("rest a,b é#|x=1")))
    assert [tag for tag, *_ in intervals(tmp_path, text)] == [
        "rest.a_b____x_1",
        "rest.a_b____x_1.service",
    ]


def test_too_many_intervals_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, which names the option."""
    monkeypatch.setattr(histogram_log, "MOST_INTERVALS", 2)
    builder = run_of(tmp_path, *(one("rest list", at_ms=1000 * n) for n in range(4)))
    with pytest.raises(InputError, match="--interval: 1 s make more than 2 intervals of this run"):
        log(builder)
    assert len(intervals(tmp_path, log(builder, 10))) == 2


def test_a_run_without_an_answer_has_no_interval(tmp_path: Path) -> None:
    """All requests were dropped: a header, and nothing else."""
    text = log(run_of(tmp_path, one("rest list", error="dropped")))
    assert intervals(tmp_path, text) == []
    assert text.endswith(histogram_log.LEGEND)
