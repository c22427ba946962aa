"""RPC calls to the engines, one in flight at a time, under the broker's trace (E2)."""

from __future__ import annotations

import time

from calorimeter.core import engine_groups
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.rotation import Rotation, TracedDelivery
from calorimeter.gates.engines.traced_calls import (
    BrokerTrace,
    consumer_of,
    counted_between,
    trace_broker,
)
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

ALL_WITHIN_S = 300.0

CALLS = ("/build_info", "/stacks?limit=1")
"""Calls that an engine answers; the first that the user has the right to make is used. The first needs no
database and half the time of the second (1.8 and 3.1 s for 40, measured on a busy machine)."""

REFUSED = (403, 404)
"""Answers of an API that called no engine: the user lacks the right, or Heat is too old for the call."""


def make_rotation_calls(context: Context, count: int | None = None) -> Rotation:
    """Make `count` calls (default: the context's number) and record which engine each was delivered to.

    A call is one of `CALLS`, which heat-api turns into one RPC on the queue `engine`. Raises
    `EvidenceUnavailable` if the broker cannot be traced, a part goes away, or a call is not answered.
    """
    with trace_broker(context, [ENGINE], publishes=False) as trace:
        start = trace.quiet_point(ENGINE)
        calls = trace.liveness.run(lambda: _call_one_by_one(context, trace, count))
        end = trace.quiet_point(ENGINE, start)
    return Rotation(
        queue=ENGINE,
        described=sum(engine_groups.consumers(context.engines).values()),
        before=start.consumers,
        after=end.consumers,
        calls=tuple(calls),
        deliveries=tuple(
            TracedDelivery(consumer=consumer_of(e), request_id=e.request_id, redelivered=e.redelivered)
            for e in trace.deliveries(ENGINE, start.event)
        ),
        counted=counted_between(start, end),
        unquiet=start.unquiet or end.unquiet,
        incomplete=trace.firehose.why_incomplete,
    )


def _call_one_by_one(context: Context, trace: BrokerTrace, count: int | None) -> list[str]:
    """Request ids of the calls, in order."""
    ids: list[str] = []
    paths = [*CALLS]
    client = HeatClient(context, sources=1)
    deadline = time.monotonic() + ALL_WITHIN_S
    wanted = count or context.strength("calls")
    context.say(f"{wanted} calls, one at a time")
    while len(ids) < wanted and time.monotonic() < deadline:
        seen = len(trace.firehose)
        call = client.call("call", "GET", paths[0])[0]
        if call.status in REFUSED and len(paths) > 1:
            paths.pop(0)
        elif call.ok:
            ids.append(call.request_id or "")
        else:
            delivered = trace.deliveries(ENGINE, seen)
            raise EvidenceUnavailable(
                f"{context.deployment.rest.url}{paths[0]}",
                f"call {len(ids) + 1} failed ({call.error or f'status {call.status}'}); it had been "
                f"delivered to {trace.engine_of(delivered[-1]) if delivered else 'no engine'}",
            )
    return ids
