"""The Sample, one request per row of `samples/*.parquet`, and the rows of the ledger and of actions."""

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
"""One row per request. Times are ns since the epoch: `scheduled_ns` when the request was due, `sent_ns`
when its first byte was sent, `first_byte_ns` when the answer began (0 if it never did), `done_ns` when it
ended. `api` is `rest` or `cfn`. `status` is the HTTP status, 0 without an answer. `error` is empty for an
expected answer, else one of `ERRORS`. Response time is done − scheduled, service time is done − sent."""

ERRORS = (
    "connect",  # no connection: refused, unreachable, or not in time
    "closed",  # the connection was closed before the answer ended
    "timeout",  # no complete answer in time; the outcome is unknown, the request may have been executed
    "protocol",  # the answer is not HTTP, or larger than allowed
    "status",  # an answer with a status that the operation does not expect
    "body",  # an answer that the operation cannot understand
    "dropped",  # never sent, because too many requests were in flight
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
"""One row per accepted stack. `final_ns` is when the stack was first seen in `final_state`
(CREATE_COMPLETE, CREATE_FAILED, or those of ADOPT; empty if it never was), `deleted_ns` when it was seen to
be gone (0 if it never was)."""

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
"""One row per accepted action on a stack (update, suspend, snapshot …), in `actions/*.parquet`. The
acceptance itself is a Sample; this row has the time to the action's end. Columns as in LEDGER;
`final_state` is, for instance, UPDATE_COMPLETE."""
