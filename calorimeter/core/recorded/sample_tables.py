"""The samples, the ledger and the actions of a run, read and validated; made for ten million rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.statistics import Ints

WANTED = (
    *("scheduled_ns", "sent_ns", "done_ns", "api", "operation", "status"),
    *("error", "source", "source_port", "phase"),
)
"""The columns that are read; the others are left on the disk."""

Mask = npt.NDArray[np.bool_]

MOST_TAKEN_NS = 4 * 3600 * 10**9
"""No request of a run takes longer. A file with a longer one is damaged, or is not of this suite."""

MOST_LENGTH_NS = 366 * 86400 * 10**9

MOST_NAMES = {"kind": 1000, "phase": 500}
"""Different names of a run: each kind has its rows in tables, each phase its line in figures."""


def samples(run: RunDir) -> pd.DataFrame | None:
    """All samples of a run, in the order of its files; None if it has none.

    Columns: `scheduled_ns`, `response_ns` and `service_ns` (both 0 for a request that was never sent);
    `kind` (API and operation, as in `rest list`), `status`, `error` (empty: answered as expected),
    `source`, `source_port` and `phase`. `kind`, `error`, `source` and `phase` are categories. Raises
    `InputError` if a file is truncated, foreign or of another version, or has times that no request has.
    """
    table = recorded_tables.table(run, "samples", WANTED)
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
    first, last = int(due.min()), int(due.max())
    if first <= 0 or last - first > MOST_LENGTH_NS or int(response.max()) > MOST_TAKEN_NS:
        raise InputError(
            str(run.path / "samples"),
            "holds times that no request has (due before 1970, answered hours later, or a year apart)",
            "valid: what `calorimeter run` wrote",
        )
    for name, most in MOST_NAMES.items():
        if (count := columns[name].cat.categories.size) > most:
            raise InputError(str(run.path / "samples"), f"names {count:,} of {name}", f"valid: {most:,}")
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
    columns = ("accepted_ns", "final_ns", "final_state", "deleted_ns", "api")
    table = recorded_tables.table(run, "ledger", columns)
    return None if table is None else table.to_pandas()


def actions(run: RunDir) -> pd.DataFrame | None:
    """One row for each accepted action, in columns of `ACTION`; None and errors as for `samples`."""
    columns = ("accepted_ns", "final_ns", "final_state", "operation", "api")
    table = recorded_tables.table(run, "actions", columns)
    return None if table is None else table.to_pandas()


def _joined(left: pd.Series, right: pd.Series) -> pd.Categorical[str]:
    """Two categories as one, without making a string for each row, or for pairs that no row has."""
    names, others = left.cat.categories, right.cat.categories
    both = left.cat.codes.astype("int32") * len(others) + right.cat.codes
    codes, used = pd.factorize(both.to_numpy())
    pairs = [f"{names[code // len(others)]} {others[code % len(others)]}" for code in used.tolist()]
    ordered = sorted(set(pairs))
    places = np.array([ordered.index(pair) for pair in pairs], dtype=np.int32)
    return pd.Categorical.from_codes(places[codes], categories=pd.Index(ordered))
