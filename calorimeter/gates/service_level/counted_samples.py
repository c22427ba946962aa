"""What became of the requests of each operation that a scenario has objectives for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import sample_tables
from calorimeter.core.recorded.measured_part import Span, due_within, measured_part
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_tables import dropped, succeeded
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.objectives import PERCENTS, ServedOperation


def read(run: RunDir) -> tuple[pd.DataFrame, Span | None]:
    """All samples of a run, and its measured part.

    Raises `EvidenceUnavailable` if there are no samples, or they cannot be used.
    """
    try:
        samples = sample_tables.samples(run)
    except InputError as problem:
        raise EvidenceUnavailable(
            problem.where, "; ".join(filter(None, (problem.given, problem.valid)))
        ) from problem
    if samples is None:
        raise EvidenceUnavailable(str(run.path), "holds no samples: give a run of `calorimeter run`")
    return samples, measured_part(samples, run.about)


def served(
    samples: pd.DataFrame, operations: Iterable[str], part: Span | None
) -> tuple[ServedOperation, ...]:
    """What became of the requests due in the measured part (None: no part), for each operation named."""
    chosen = samples.iloc[:0] if part is None else due_within(samples, part)
    return tuple(_served(chosen, name) for name in operations)


def _served(samples: pd.DataFrame, name: str) -> ServedOperation:
    if name != "*":
        samples = samples[samples["kind"] == name.replace(".", " ", 1)]
    good = succeeded(samples)
    # Exact percentiles (Hyndman and Fan's type 7), however few: the judgement decides whether they suffice.
    found = np.percentile(samples["response_ns"].to_numpy()[good], PERCENTS) if good.any() else ()
    return ServedOperation(
        operation=name,
        requests=len(samples),
        ok=int(good.sum()),
        dropped=int(dropped(samples).sum()),
        response_ms={f"p{p:g}": round(float(ns) / 1e6, 6) for p, ns in zip(PERCENTS, found, strict=False)},
    )
