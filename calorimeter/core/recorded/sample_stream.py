"""The samples of a run as a stream of blocks, read and validated: memory does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import ERRORS
from calorimeter.core.statistics import Ints

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

WHEN = ("scheduled_ns", "done_ns", "error", "api", "operation", "phase")
"""Columns for which requests there were, and when."""

TAKEN = ("scheduled_ns", "sent_ns", "done_ns", "error", "api", "operation")
"""Columns for how long requests took."""

EVERYTHING = (*TAKEN, "status", "source", "source_port")
"""All columns that tables are made of; the others are left on the disk."""

ROWS = 1 << 20
"""Rows of a block, about: enough that numpy's time is spent on rows, and some 60 MB."""

MOST_TAKEN_NS = 4 * 3600 * 10**9
"""No request of a run takes longer. A file with a longer one is damaged, or is not of this suite."""

MOST_LENGTH_NS = 366 * 86400 * 10**9

MOST_NAMES = {"api": 100, "operation": 30_000, "kind": 1000, "phase": 500}
"""Different names of a run: each kind has its rows in tables, each phase its line in figures."""

ERROR_NAMES = ("", *ERRORS)
"""What the codes of `SampleBlock.error` mean."""


def _nothing() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Some samples, a row each. A column that was not asked for is empty.

    `due_ns` is when a request was due; `response_ns` and `service_ns` are how long it took from when it was
    due or sent, both 0 for a request that was never sent. `kind` (API and operation), `phase` and `source`
    are codes: places in the lists of `SampleStream`; `error` is a place in `ERROR_NAMES`.
    """

    due_ns: Ints
    response_ns: Ints
    error: Codes
    service_ns: Ints = field(default_factory=_nothing)
    kind: npt.NDArray[np.integer] = field(default_factory=_nothing)
    phase: npt.NDArray[np.integer] = field(default_factory=_nothing)
    status: npt.NDArray[np.integer] = field(default_factory=_nothing)
    source: npt.NDArray[np.integer] = field(default_factory=_nothing)
    source_port: npt.NDArray[np.integer] = field(default_factory=_nothing)

    def __len__(self) -> int:
        return len(self.due_ns)

    @property
    def ok(self) -> Mask:
        """Which requests got the answer that their operation expects."""
        return np.asarray(self.error == 0)

    @property
    def dropped(self) -> Mask:
        """Which requests were due but never sent, because too many were in flight."""
        return np.asarray(self.error == ERROR_NAMES.index("dropped"))

    def rows(self, chosen: Mask) -> SampleBlock:
        """The rows that a mask chooses; the same block if that is all of them."""
        if chosen.all():
            return self
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        return SampleBlock(
            **{name: values[chosen] if len(values) else values for name, values in columns.items()}
        )


class RequestTimes:
    """Refuses times that no request has; one for all samples of a run. `where` is named in the error."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._first_ns, self._last_ns = 2**63 - 1, 0

    def check(self, due: Ints, *taken: Ints) -> None:
        """Raise `InputError` for times of one request or more: when they were due, how long they took."""
        self._first_ns = min(self._first_ns, int(due.min()))
        self._last_ns = max(self._last_ns, int(due.max()))
        if (
            self._first_ns <= 0
            or self._last_ns - self._first_ns > MOST_LENGTH_NS
            or max(int(each.max()) for each in taken) > MOST_TAKEN_NS
        ):
            raise InputError(
                self._where,
                "holds times that no request has (due before 1970, answered hours later, or a year apart)",
                "valid: what `calorimeter run` wrote",
            )


class SampleStream:
    """All samples of a run, to be read as often as needed.

    `where` is its folder, `count` how many there are; `kinds` (such as `rest list`), `phases` and `sources`
    are the names of a run, complete after a first pass over their columns.
    """

    def __init__(self, run: RunDir) -> None:
        self.where = str(run.path / "samples")
        self._rows = RecordedRows(run, "samples")
        self.count = self._rows.rows
        self._names = {
            "api": _NameCodes(self.where, "api"),
            "operation": _NameCodes(self.where, "operation"),
            "phase": _NameCodes(self.where, "phase"),
            "source": _NameCodes(self.where, "source"),
            "error": _NameCodes(self.where, "error", ERROR_NAMES),
        }
        self._kind_of = np.zeros((0, 0), dtype=np.int32)
        self.kinds: list[str] = []
        self._times = RequestTimes(self.where)

    @property
    def phases(self) -> list[str]:
        """Names of phases, by code."""
        return self._names["phase"].names

    @property
    def sources(self) -> list[str]:
        """Source addresses, by code."""
        return self._names["source"].names

    def blocks(self, columns: Sequence[str]) -> Iterator[SampleBlock]:
        """All samples, in the order of the files' names; `columns` are `WHEN`, `TAKEN` or `EVERYTHING`.

        The next block is read while one is worked on. Raises `InputError` if a file is truncated, foreign
        or of another version, or holds times or more names than a run has.
        """
        return _ahead(self._blocks(columns))

    def _blocks(self, columns: Sequence[str]) -> Iterator[SampleBlock]:
        parts: list[dict[str, Any]] = []
        rows = 0
        for batch in self._rows.batches(columns):
            parts.append({name: self._values(name, batch.column(name)) for name in columns})
            rows += len(batch)
            if rows >= ROWS:
                yield self._block(parts)
                parts, rows = [], 0
        if rows:
            yield self._block(parts)

    def _values(self, name: str, column: pa.Array) -> Any:
        names = self._names.get(name)
        return column.to_numpy() if names is None else names.of(column)

    def _block(self, parts: list[dict[str, Any]]) -> SampleBlock:
        table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        due, done, error = table.pop("scheduled_ns"), table.pop("done_ns"), table.pop("error")
        never = error == ERROR_NAMES.index("dropped")
        if "sent_ns" in table:
            table["service_ns"] = taken_ns(done, table.pop("sent_ns"), never)
        response = taken_ns(done, due, never)
        self._times.check(due, response, table.get("service_ns", response))
        table["kind"] = self._kinds(table.pop("api"), table.pop("operation"))
        return SampleBlock(due_ns=due, response_ns=response, error=error, **table)

    def _kinds(self, api: Codes, operation: Codes) -> Codes:
        """The codes of pairs that rows have; a pair that no row has gets none."""
        size = tuple(len(self._names[name].names) for name in ("api", "operation"))
        if self._kind_of.shape != size:
            known, self._kind_of = self._kind_of, np.full(size, -1, dtype=np.int32)
            self._kind_of[: known.shape[0], : known.shape[1]] = known
        found = self._kind_of[api, operation]
        if (new := found < 0).any():
            pairs = np.unique(api[new].astype(np.int64) * size[1] + operation[new])
            for left, right in (divmod(pair, size[1]) for pair in pairs.tolist()):
                self._kind_of[left, right] = len(self.kinds)
                self.kinds.append(
                    f"{self._names['api'].names[left]} {self._names['operation'].names[right]}"
                )
            _refuse_names(self.where, "kind", len(self.kinds))
            found = self._kind_of[api, operation]
        return np.asarray(found)


def stream(run: RunDir) -> SampleStream | None:
    """The samples of a run; None if it has none. Raises `InputError` if a file is none of this suite's."""
    found = SampleStream(run)
    return found if found.count else None


class _NameCodes:
    """Gives each name the same code in all files, in the order in which names are met."""

    def __init__(self, where: str, what: str, names: Sequence[str] = ()) -> None:
        self._where, self._what = where, what
        self.names = list(names)
        self._codes = {name: code for code, name in enumerate(names)}
        self._met: pa.Array | None = None
        self._places = np.zeros(0, dtype=np.int32)

    def of(self, column: pa.DictionaryArray) -> Codes:
        """The code of each row."""
        if self._met is None or not column.dictionary.equals(self._met):
            self._met = column.dictionary
            names = self._met.to_pylist()
            self.names += [name for name in dict.fromkeys(names) if name not in self._codes]
            self._codes.update(zip(self.names[len(self._codes) :], count(len(self._codes)), strict=False))
            self._places = np.array([self._codes[name] for name in names], dtype=np.int32)
            _refuse_names(self._where, self._what, len(self.names))
        return np.asarray(self._places[column.indices.to_numpy()])


def _refuse_names(where: str, what: str, count: int) -> None:
    if count > (most := MOST_NAMES.get(what, count)):
        raise InputError(where, f"names {count:,} of {what}", f"valid: {most:,}")


def taken_ns(done: Ints, since: Ints, never: Mask) -> Ints:
    """How long requests took; never negative, and 0 for those that were `never` sent."""
    taken = done - since
    np.maximum(taken, 0, out=taken)
    taken[never] = 0
    return taken


def _ahead(blocks: Iterator[SampleBlock]) -> Iterator[SampleBlock]:
    with ThreadPoolExecutor(max_workers=1) as thread:  # pyarrow reads without Python's lock
        upcoming = thread.submit(next, blocks, None)
        while (block := upcoming.result()) is not None:
            upcoming = thread.submit(next, blocks, None)
            yield block
