"""RPC calls to the engines, one in flight at a time, under the broker's trace (E2)."""

from __future__ import annotations

import time

import requests

from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.rotation import Delivered, Rotation
from calorimeter.gates.engines.traced_calls import (
    BrokerTrace,
    consumer_of,
    counted_between,
    trace_broker,
)
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

BEYOND_S = 10.0
"""Client timeout beyond the RPC timeout: after it the call may still be in flight."""

ALL_WITHIN_S = 300.0

CALLS = ("/build_info", "/stacks?limit=1")
"""Calls that an engine answers; the first that the user has the right to make is used. The first needs no
database and half the time of the second (1.8 and 3.1 s for 40, measured on a busy machine)."""

REFUSED = (403, 404)
"""Answers of an API that called no engine: the user lacks the right, or Heat is too old for the call."""


def make_rotation_calls(context: Context) -> Rotation:
    """Make the context's number of calls and record which engine each was delivered to.

    A call is one of `CALLS`, which heat-api turns into one RPC on the queue `engine`. Raises
    `EvidenceUnavailable` if the broker cannot be traced, a part goes away, or a call is not answered.
    """
    with trace_broker(context, [ENGINE], publishes=False) as trace:
        start = trace.quiet_point(ENGINE)
        calls = trace.liveness.run(lambda: _call_one_by_one(context, trace))
        end = trace.quiet_point(ENGINE, start)
    return Rotation(
        queue=ENGINE,
        described=len(context.engines.names) * context.engines.workers,
        before=start.consumers,
        after=end.consumers,
        calls=tuple(calls),
        deliveries=tuple(
            Delivered(consumer=consumer_of(e), request_id=e.request_id, redelivered=e.redelivered)
            for e in trace.deliveries(ENGINE, start.event)
        ),
        counted=counted_between(start, end),
        unquiet=start.unquiet or end.unquiet,
        incomplete=trace.firehose.why_incomplete,
    )


def _call_one_by_one(context: Context, trace: BrokerTrace) -> list[str]:
    calls: list[str] = []
    identity = session(context.deployment)
    urls = [identity.rest_url(path) for path in CALLS]
    headers = {"X-Auth-Token": identity.token(), "Accept": "application/json"}
    timeout_s = context.deployment.expect.rpc_timeout_s + BEYOND_S
    deadline = time.monotonic() + ALL_WITHIN_S
    with requests.Session() as http:
        http.trust_env = False
        http.verify = identity.session.verify
        while len(calls) < context.settings.calls and time.monotonic() < deadline:
            seen = len(trace.firehose)
            try:
                answer = http.get(urls[0], timeout=timeout_s, headers=headers)
            except requests.RequestException as problem:
                raise _unanswered(urls[0], len(calls), type(problem).__name__, trace, seen) from None
            if answer.status_code in REFUSED and len(urls) > 1:
                urls.pop(0)
                continue
            if not answer.ok:
                raise _unanswered(urls[0], len(calls), f"status {answer.status_code}", trace, seen)
            calls.append(answer.headers.get("X-Openstack-Request-Id", ""))
    return calls


def _unanswered(url: str, number: int, how: str, trace: BrokerTrace, seen: int) -> EvidenceUnavailable:
    """The error for a call that failed; it names the engine that the call was delivered to."""
    delivered = trace.deliveries(ENGINE, seen)
    engine = f"to {trace.engine_of(delivered[-1])}" if delivered else "to no engine"
    return EvidenceUnavailable(url, f"call {number + 1} failed ({how}); it had been delivered {engine}")
