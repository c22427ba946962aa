"""What became of the requests of the measured part, from files as they are read."""

from __future__ import annotations

from pathlib import Path

from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_stream import SampleStream
from calorimeter.gates.service_level.counted_samples import CountedSamples, read
from tests.report.run_builder import START_NS, Builder, one

S = 1_000_000_000


def counted(folder: Path, part: Span | None) -> CountedSamples:
    """Five requests, of which the first and the last are due outside 2 to 10 s."""
    rows = [(0, 100, ""), (3, 100, ""), (4, 300, "timeout"), (5, 200, ""), (6, 0, "dropped"), (11, 100, "")]
    samples = [one("rest list", at_ms=due * 1000, took_ms=took, error=error) for due, took, error in rows]
    builder = Builder(folder / "run").about()
    builder.samples({name: [sample[name] for sample in samples] for name in samples[0]})
    found = CountedSamples(SampleStream(builder.run), part)
    read(builder.run)
    list(found.samples.blocks(("scheduled_ns", "done_ns", "error", "api", "operation")))
    return found


def test_requests_of_the_part_are_counted_and_successes_timed(tmp_path: Path) -> None:
    """Neither the warm-up nor the clean-up; failures have no latency; an unknown operation has nothing."""
    found = counted(tmp_path, Span(START_NS + 2 * S, START_NS + 10 * S))
    everything, other = found.served(["*", "rest.show"])
    assert (everything.requests, everything.ok, everything.dropped) == (4, 2, 1)
    assert found.sent() == 3
    assert everything.response_ms["p50"] == 150.0
    assert (other.requests, other.response_ms) == (0, {})


def test_without_a_measured_part_nothing_is_counted(tmp_path: Path) -> None:
    """All was warm-up."""
    found = counted(tmp_path, None)
    (everything,) = found.served(["*"])
    assert (everything.requests, everything.ok, everything.dropped, everything.response_ms) == (0, 0, 0, {})
    assert found.sent() == 0
