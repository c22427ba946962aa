"""The slowest requests of a run: chosen while the samples stream by, so that few are in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calorimeter.export.request_batches import RequestBatch

COLUMNS = ("first_byte_ns", "api", "operation", "status", "error", "request_id", "user", "phase", "source")
"""What is needed of a sample besides the columns that every batch has."""


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """One request. Times are ns since the epoch; `first_byte_ns` is 0 if the answer never began."""

    response_ns: int
    due_ns: int
    sent_ns: int
    first_byte_ns: int
    done_ns: int
    api: str
    operation: str
    status: int
    error: str
    request_id: str
    user: int
    phase: str
    source: str


def slowest(batches: Iterable[RequestBatch], most: int) -> list[SlowRequest]:
    """The `most` requests with the longest response times, in the order in which they were due.

    Of equal ones the first to be read are kept. Requests that were never sent have no response time.
    """
    kept: list[SlowRequest] = []
    for batch in batches:
        least = kept[-1].response_ns if len(kept) == most else -1
        places = np.flatnonzero(~batch.never & (batch.response_ns > least))
        order = np.argsort(-batch.response_ns[places], kind="stable")[:most]
        kept += [_row(batch, place) for place in places[order].tolist()]
        kept.sort(key=lambda request: -request.response_ns)
        del kept[most:]
    return sorted(kept, key=lambda request: request.due_ns)


def _row(batch: RequestBatch, place: int) -> SlowRequest:
    row = {name: batch.rows.column(name)[place].as_py() for name in ("sent_ns", "done_ns", *COLUMNS)}
    return SlowRequest(int(batch.response_ns[place]), int(batch.due_ns[place]), **row)
