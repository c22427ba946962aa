"""Raw samples of a recorded run, counted for what a scenario promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from calorimeter.core.rundir import RunDir
from calorimeter.core.samples import SAMPLE, SCHEMA_VERSION
from calorimeter.core.statistics import Ints
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.objectives import PERCENTS, Served

_WANTED = ["scheduled_ns", "sent_ns", "done_ns", "api", "operation", "error", "phase"]


def read(run: RunDir) -> pa.Table:
    """The samples of a run, in the columns that promises are judged from.

    Raises `EvidenceUnavailable` where there are none, or a file cannot be used.
    """
    parts = [_part(path) for path in run.parquet("samples")]
    if not any(part.num_rows for part in parts):
        raise EvidenceUnavailable(str(run.path), "holds no samples: give a run of `calorimeter run`")
    return pa.concat_tables(parts).unify_dictionaries()


def _part(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as problem:
        raise EvidenceUnavailable(str(path), "is truncated or no Parquet file") from problem
    about = table.schema.metadata or {}
    if about.get(b"calorimeter.schema") != b"sample":
        raise EvidenceUnavailable(str(path), "was not written as a sample file of Calorimeter")
    if about.get(b"calorimeter.version") != str(SCHEMA_VERSION).encode():
        raise EvidenceUnavailable(str(path), f"is of another version (valid: {SCHEMA_VERSION})")
    if not {field.name for field in SAMPLE} <= set(table.column_names):
        raise EvidenceUnavailable(str(path), "lacks columns of a sample")
    return table.select(_WANTED).replace_schema_metadata(None)


Span = tuple[int, int]
"""When the measured part of a run begins and ends, in ns since the epoch; (0, 0) where there is none."""


def window(table: pa.Table, about: Mapping[str, Any]) -> Span:
    """The measured part of a run: from the end of its warm-up to the end of its load.

    By what run.json says of the load, counted from the first request; for a run that did not end in order,
    and where that is not said, by when the first and the last request of the part were due. The latter is
    shorter than the part where requests are few, and would make rates look better than they were. The first
    request may come later than the load began: where the clean-up was due before, the part ends there.
    """
    due = _ns(table, "scheduled_ns")
    kept = due[~_is(table["phase"], "warm_up") & ~_is(table["phase"], "clean_up")]
    if not len(kept):
        return 0, 0
    load = about.get("load")
    if about.get("stopped") == "ended" and isinstance(load, dict):
        begin, warm_up, length = int(due.min()), load.get("warm_up_s"), load.get("duration_s")
        if isinstance(warm_up, int | float) and isinstance(length, int | float):
            end = max(begin + int(length * 1e9), int(kept.max()))
            removal = due[_is(table["phase"], "clean_up")]
            if len(removal):
                end = min(end, int(removal.min()) - 1)
            return begin + int(warm_up * 1e9), end
    return int(kept.min()), int(kept.max())


def served(table: pa.Table, operations: Iterable[str], span: Span) -> tuple[Served, ...]:
    """What became of the requests that were due in the measured part, for each of the operations named."""
    first, last = span
    due = _ns(table, "scheduled_ns")
    chosen = table.filter(pa.array((due >= first) & (due <= last) & (last > 0)))
    return tuple(_served(chosen, name) for name in operations)


def _served(table: pa.Table, name: str) -> Served:
    if name != "*":
        api, _, operation = name.partition(".")
        asked = pc.and_(pc.equal(table["api"], api), pc.equal(table["operation"], operation))
        table = table.filter(asked)
    error = table["error"].combine_chunks()
    good = _is(error, "")
    taken = (_ns(table, "done_ns") - _ns(table, "scheduled_ns"))[good]
    return Served(
        operation=name,
        requests=table.num_rows,
        ok=int(good.sum()),
        dropped=int(_is(error, "dropped").sum()),
        response_ms=percentiles_ms(taken, PERCENTS),
    )


def percentiles_ms(taken_ns: Ints, percents: Sequence[float]) -> dict[str, float]:
    """Exact percentiles (Hyndman and Fan's type 7) in ms, by name (`p99`); empty where there is nothing.

    However few the samples: whether they suffice is judged, not measured.
    """
    if not len(taken_ns):
        return {}
    found = np.percentile(taken_ns, percents)
    return {f"p{p:g}": round(float(value) / 1e6, 6) for p, value in zip(percents, found, strict=True)}


def _ns(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].to_numpy()
    return values


def _is(column: pa.Array, name: str) -> npt.NDArray[np.bool_]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    names = column.dictionary.to_pylist()
    if name not in names:
        return np.zeros(len(column), dtype=np.bool_)
    codes = column.indices.to_numpy(zero_copy_only=False)
    return np.asarray(codes == names.index(name))
