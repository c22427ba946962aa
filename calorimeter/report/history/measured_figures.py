"""The figures of a recorded load that a history shows: those of the run's own page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import sample_stream
from calorimeter.core.recorded.measured_part import measured_part
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_extent import extent_of
from calorimeter.core.recorded.sample_stream import TAKEN
from calorimeter.core.statistics import DurationRanks

_PERCENTS = (50.0, 99.0)
_ALL = range(1)


def of(run: RunDir, about: Mapping[str, Any]) -> tuple[dict[str, float], int]:
    """`throughput` (1/s), `p50`, `p99` (s) and `error_ratio` of all requests due in the measured part.

    The second value is how many requests these are; 0, and no figures, without samples. A percentile that
    too few successes have is left out. Raises `InputError` if the samples are damaged, or no request was
    due in a measured part.
    """
    samples = sample_stream.stream(run)
    if samples is None:
        return {}, 0
    part = measured_part(extent_of(samples), about)
    if part is None:
        raise InputError(str(run.path), "no request was due in its measured part")
    taken, count = DurationRanks(1), 0
    for block in samples.blocks(TAKEN):
        chosen = block.rows(part.holds(block.due_ns))
        ok = chosen.rows(chosen.ok)
        count += len(chosen)
        taken.count(ok.response_ns, np.zeros(len(ok), dtype=np.int64))
    taken.want([_ALL], _PERCENTS)
    for block in samples.blocks(TAKEN):
        ok = block.rows(block.ok & part.holds(block.due_ns))
        taken.gather(ok.response_ns, np.zeros(len(ok), dtype=np.int64))
    succeeded = taken.total(_ALL)
    p50, p99 = (float(each) / 1e9 for each in taken.percentiles([_ALL], _PERCENTS)[0])
    figures = {
        "throughput": succeeded / part.length_s if part.length_s else 0.0,
        "p50": p50,
        "p99": p99,
        "error_ratio": 1 - succeeded / count,
    }
    return {key: value for key, value in figures.items() if math.isfinite(value)}, count
