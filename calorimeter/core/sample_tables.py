"""The samples, the ledger and the actions of a run, read and validated; made for ten million rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.core.samples import ACTION, LEDGER, SAMPLE, SCHEMA_VERSION
from calorimeter.core.statistics import Ints

WANTED = (
    *("scheduled_ns", "sent_ns", "done_ns", "api", "operation", "status"),
    *("error", "source", "source_port", "phase"),
)
"""The columns that are read; the others are left on the disk."""

Mask = npt.NDArray[np.bool_]

MOST_TAKEN_NS = 4 * 3600 * 10**9
"""No request of a run takes longer. A file with a longer one is damaged, or is not of this suite."""


def samples(run: RunDir) -> pd.DataFrame | None:
    """All samples of a run, in the order of its files; None if it has none.

    Columns: `scheduled_ns`, `response_ns` and `service_ns` (both 0 for a request that was never sent);
    `kind` (API and operation, as in `rest list`), `status`, `error` (empty: answered as expected),
    `source`, `source_port` and `phase`. `kind`, `error`, `source` and `phase` are categories. Raises
    `InputError` if a file is truncated, foreign or of another version, or has times that no request has.
    """
    table = _table(run, "samples", SAMPLE, WANTED)
    if table is None:
        return None
    columns = {
        name: table[name].to_pandas() for name in ("status", "error", "source", "source_port", "phase")
    }
    columns["kind"] = pd.Series(_joined(table["api"].to_pandas(), table["operation"].to_pandas()))
    due, sent, done = (table[name].to_numpy() for name in ("scheduled_ns", "sent_ns", "done_ns"))
    del table
    never = _is(columns["error"], "dropped")
    service = _taken(done, sent, never)
    del sent  # a spare column of ten million rows is 80 MB
    response = _taken(done, due, never)
    del done
    if int(due.min()) <= 0 or int(response.max()) > MOST_TAKEN_NS:
        raise InputError(
            str(run.path / "samples"),
            "holds times that no request has (due before 1970, or answered hours later)",
            "valid: what `calorimeter run` wrote",
        )
    return pd.DataFrame(
        {"scheduled_ns": due, "response_ns": response, "service_ns": service, **columns}, copy=False
    )


def succeeded(samples: pd.DataFrame) -> Mask:
    """Which requests got the answer that their operation expects."""
    return _is(samples["error"], "")


def dropped(samples: pd.DataFrame) -> Mask:
    """Which requests were due but never sent, because too many were in flight."""
    return _is(samples["error"], "dropped")


def in_phase(samples: pd.DataFrame, name: str) -> Mask:
    """Which requests are labelled with a phase."""
    return _is(samples["phase"], name)


def _is(column: pd.Series, name: str) -> Mask:
    names = list(column.cat.categories)
    if name not in names:
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray(column.cat.codes.to_numpy() == names.index(name))


def ns(table: pd.DataFrame, name: str) -> Ints:
    """A column of times or durations in ns, as an array."""
    return table[name].to_numpy(dtype=np.int64)


def _taken(done: Ints, since: Ints, never: Mask) -> Ints:
    taken = done - since
    np.maximum(taken, 0, out=taken)
    taken[never] = 0
    return taken


def ledger(run: RunDir) -> pd.DataFrame | None:
    """One row for each accepted stack, in columns of `LEDGER`; None and errors as for `samples`."""
    table = _table(run, "ledger", LEDGER, ("accepted_ns", "final_ns", "final_state", "deleted_ns", "api"))
    return None if table is None else table.to_pandas()


def actions(run: RunDir) -> pd.DataFrame | None:
    """One row for each accepted action, in columns of `ACTION`; None and errors as for `samples`."""
    table = _table(run, "actions", ACTION, ("accepted_ns", "final_ns", "final_state", "operation", "api"))
    return None if table is None else table.to_pandas()


def _joined(left: pd.Series, right: pd.Series) -> pd.Categorical[str]:
    """Two categories as one, without making a string for each row."""
    names = [f"{a} {b}" for a in left.cat.categories for b in right.cat.categories]
    codes = left.cat.codes.astype("int32") * len(right.cat.categories) + right.cat.codes
    everything = pd.Categorical.from_codes(codes, categories=pd.Index(names))
    used = sorted(everything.remove_unused_categories().categories)
    return everything.set_categories(used)


def _table(run: RunDir, kind: str, schema: pa.Schema, columns: Sequence[str]) -> pa.Table | None:
    name = kind.removesuffix("s")
    with ThreadPoolExecutor(max_workers=4) as threads:  # pyarrow reads without Python's lock
        read = threads.map(lambda path: _part(path, name, schema, columns), run.parquet(kind))
        parts = [part for part in read if part.num_rows]
    return pa.concat_tables(parts).unify_dictionaries() if parts else None


def _part(path: Path, name: str, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            _recognise(path, name, schema, file.schema_arrow)
            return file.read(columns=list(columns), use_threads=False).replace_schema_metadata(None)
    except OSError as problem:
        raise InputError(str(path), f"cannot be read ({problem.strerror or problem})") from problem
    except pa.ArrowException as problem:
        raise InputError(
            str(path),
            f"is truncated or not a Parquet file ({path.stat().st_size} bytes)",
            "move it away to report what the other files hold",
        ) from problem


def _recognise(path: Path, name: str, schema: pa.Schema, found: pa.Schema) -> None:
    about = found.metadata or {}
    if about.get(b"calorimeter.schema") != name.encode():
        raise InputError(str(path), f"was not written as a {name} file of Calorimeter")
    version = about.get(b"calorimeter.version", b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise InputError(str(path), f"{name} schema version {version}", f"valid: {SCHEMA_VERSION}")
    for field in schema:
        if field.name not in found.names or found.field(field.name).type != field.type:
            raise InputError(str(path), f"has no column {field.name} of type {field.type}")
