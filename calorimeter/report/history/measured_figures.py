"""The figures of a recorded load that a history shows: those of the run's own page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import sample_tables
from calorimeter.core.recorded.measured_part import measured_part
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.report.tables import latency


def of(run: RunDir, about: Mapping[str, Any]) -> tuple[dict[str, float], int]:
    """`throughput` (1/s), `p50`, `p99` (s) and `error_ratio` of all requests due in the measured part.

    The second value is how many requests these are; 0, and no figures, without samples. A percentile that
    too few successes have is left out. Raises `InputError` if the samples are damaged, or no request was
    due in a measured part.
    """
    samples = sample_tables.samples(run)
    if samples is None:
        return {}, 0
    part = measured_part(samples, about)
    if part is None:
        raise InputError(str(run.path), "no request was due in its measured part")
    total = latency.operations(samples, part, None).iloc[-1]
    count = int(total["n"])
    figures = {
        "throughput": float(total["rate"]),
        "p50": float(total["response_p50"]),
        "p99": float(total["response_p99"]),
        "error_ratio": 1 - int(total["ok"]) / count,
    }
    return {key: value for key, value in figures.items() if math.isfinite(value)}, count
