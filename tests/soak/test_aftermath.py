"""The soak's own check that a killed load has its records up to the strike: it must see what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.soak.aftermath import freshness

STRIKE_NS = 100 * 10**9


def recorded(run: Path, samples_to_s: float, polls_to_s: float) -> Path:
    """A run with ten samples and polls a second, from second 90 on."""
    for name in ("samples", "watch"):
        (run / name).mkdir()
    times = [at * 10**8 for at in range(900, int(samples_to_s * 10) + 1)]
    pq.write_table(pa.table({"done_ns": times}), run / "samples" / "worker-00-00001.parquet")
    polls = [json.dumps({"t_ns": at * 10**8}) for at in range(900, int(polls_to_s * 10) + 1)]
    (run / "watch" / "proxy.jsonl").write_text("\n".join([*polls, '{"t_ns": 99']))
    return run


@pytest.mark.parametrize(
    ("samples_to_s", "polls_to_s", "wrong"),
    [
        (99.2, 99.9, []),
        (110.0, 110.0, []),
        (94.0, 99.9, ["the last 6.0 s of samples are missing (allowed 3.2 s)"]),
        (99.2, 94.0, ["proxy.jsonl ends 6.0 s before the strike"]),
    ],
)
def test_missing_records_are_seen(
    tmp_path: Path, samples_to_s: float, polls_to_s: float, wrong: list[str]
) -> None:
    """Samples, or the proxy's polls, that end seconds before the strike are a sentence."""
    assert freshness(recorded(tmp_path, samples_to_s, polls_to_s), STRIKE_NS) == wrong


def test_a_run_without_samples_is_seen(tmp_path: Path) -> None:
    """No sample at all is a sentence."""
    assert freshness(tmp_path, STRIKE_NS) == ["no sample is from before the strike"]
