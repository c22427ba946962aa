"""The Sample: one request, as a row of `samples/*.parquet`."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

_NAME = pa.dictionary(pa.int16(), pa.string())

SAMPLE = pa.schema(
    [
        ("scheduled_ns", pa.int64()),
        ("sent_ns", pa.int64()),
        ("first_byte_ns", pa.int64()),
        ("done_ns", pa.int64()),
        ("api", _NAME),
        ("operation", _NAME),
        ("status", pa.int16()),
        ("error", _NAME),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("source_port", pa.uint16()),
        ("request_id", pa.string()),
        ("user", pa.int32()),
        ("phase", _NAME),
    ],
    metadata={"calorimeter.schema": "sample", "calorimeter.version": str(SCHEMA_VERSION)},
)
"""One row a request. Times are ns since the epoch: `scheduled_ns` when it was due, `sent_ns` when its
first byte went out, `first_byte_ns` when the answer began (0: it never did), `done_ns` when it ended.
`api` is `rest` or `cfn`; `status` is the HTTP status, 0 where no answer came; `error` is empty for
an expected answer, else one of `ERRORS`. Response time is done − scheduled, service time done − sent."""

ERRORS = (
    "connect",  # no connection: refused, unreachable, or not within the time for it
    "closed",  # the connection ended before the answer did
    "timeout",  # no whole answer in time: unknown, the request may have been carried out
    "protocol",  # what came is not HTTP, or larger than allowed
    "status",  # an answer, with a status that the operation does not expect
    "body",  # an answer that the operation cannot understand
    "dropped",  # never sent: too many in flight
)

LEDGER = pa.schema(
    [
        ("stack_id", pa.string()),
        ("name", pa.string()),
        ("api", _NAME),
        ("request_id", pa.string()),
        ("accepted_ns", pa.int64()),
        ("final_ns", pa.int64()),
        ("final_state", _NAME),
        ("deleted_ns", pa.int64()),
        ("user", pa.int32()),
    ],
    metadata={"calorimeter.schema": "ledger", "calorimeter.version": str(SCHEMA_VERSION)},
)
"""One row a stack that was accepted. `final_ns` is when it was first seen in `final_state`
(CREATE_COMPLETE, CREATE_FAILED, or those of ADOPT; empty: never seen in one); `deleted_ns` when it was seen
gone (0: not)."""

ACTION = pa.schema(
    [
        ("stack_id", pa.string()),
        ("api", _NAME),
        ("operation", _NAME),
        ("request_id", pa.string()),
        ("accepted_ns", pa.int64()),
        ("final_ns", pa.int64()),
        ("final_state", _NAME),
        ("user", pa.int32()),
    ],
    metadata={"calorimeter.schema": "action", "calorimeter.version": str(SCHEMA_VERSION)},
)
"""One row an action on a stack (update, suspend, snapshot …) that was accepted, in `actions/*.parquet`: the
acceptance is a Sample, this is the time to its end. Fields as in LEDGER; `final_state` such as
UPDATE_COMPLETE."""
