"""The table of errors: requests that were not answered as expected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.sample_stream import ERROR_NAMES, SampleBlock
from calorimeter.core.statistics import Ints
from calorimeter.core.statistics.percentiles import VALUE_BITS

COLUMNS = ("operation", "error", "status", "n", "share", "p50")

MOST_FAILURES = 10_000
"""Different errors (operation, error, status) of a run: each is a row of the table."""

_STATUSES = 1000


class ErrorTally:
    """Collects errors of the whole run. `kinds` is how many kinds of requests there are.

    It keeps 8 bytes for each request that failed, because the table has exact medians.
    """

    def __init__(self, kinds: int) -> None:
        self._due = np.zeros(kinds, dtype=np.int64)
        self._codes: dict[int, int] = {}
        self._counts = np.zeros(MOST_FAILURES, dtype=np.int64)
        self._taken: list[Ints] = []

    def add(self, block: SampleBlock) -> None:
        """Count the requests of a block; raises `InputError` if there are too many different errors."""
        self._due += np.bincount(block.kind, minlength=len(self._due))
        bad = block.rows(~block.ok)
        if not len(bad):
            return
        keys = (bad.kind.astype(np.int64) * len(ERROR_NAMES) + bad.error) * _STATUSES + bad.status
        found, places = np.unique(keys, return_inverse=True)
        codes = np.array([self._codes.setdefault(key, len(self._codes)) for key in found.tolist()])
        if len(self._codes) > MOST_FAILURES:
            given = f"names {len(self._codes):,} different errors"
            raise InputError("samples", given, f"valid: {MOST_FAILURES:,}")
        self._counts += np.bincount(codes[places], minlength=MOST_FAILURES)
        sent = ~bad.dropped
        self._taken.append((codes[places][sent] << VALUE_BITS) | bad.response_ns[sent])

    def table(self, kinds: Sequence[str]) -> pd.DataFrame:
        """Columns: `operation`, `error`, `status`, `n`, `share` (of all requests of the operation), `p50`.

        `p50` is the median of the time it took, in s; NaN for what was never sent.
        """
        rows = sorted(self._rows(kinds), key=lambda row: (-row[3], *row[:3]))
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _rows(self, kinds: Sequence[str]) -> Iterator[tuple[str, str, int, int, float, float]]:
        keys = np.concatenate(self._taken) if self._taken else np.zeros(0, dtype=np.int64)
        self._taken.clear()
        keys.sort()
        for key, code in self._codes.items():
            rest, status = divmod(key, _STATUSES)
            kind, error = divmod(rest, len(ERROR_NAMES))
            n = int(self._counts[code])
            first, end = keys.searchsorted([code << VALUE_BITS, (code + 1) << VALUE_BITS])
            middle = _middle(keys[first:end] & ((1 << VALUE_BITS) - 1)) / 1e9
            yield kinds[kind], ERROR_NAMES[error], status, n, n / int(self._due[kind]), middle


def _middle(ordered: Ints) -> float:
    n = len(ordered)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else math.nan
