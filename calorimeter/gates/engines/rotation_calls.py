"""RPC calls to the engines, one in flight at a time, under the broker's trace."""

from __future__ import annotations

import time

import requests

from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.engines.rotation import Delivered, Rotation
from calorimeter.gates.engines.traced_calls import Traced, consumer_of, counted, traced
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

BEYOND_S = 10.0
"""How long beyond the RPC timeout an answer is waited for; a call beyond that may still be in flight."""

ALL_WITHIN_S = 300.0

CALLS = ("/build_info", "/stacks?limit=1")
"""Calls that an engine answers; the first that the user may make is made. The first needs no database and
takes half the time of the second (1.8 and 3.1 s for 40, measured on a busy machine)."""

REFUSED = (403, 404)
"""Answers of an API that asked no engine: the user has no right to the call, or Heat is older than it."""


def rotation(context: Context) -> Rotation:
    """Make the context's number of calls and record which engine each was delivered to.

    A call is one of `CALLS`, which heat-api turns into one RPC on the queue `engine`.
    Raises `EvidenceUnavailable`, which names what went away, where the broker cannot be traced or a call
    is not answered.
    """
    with traced(context, [ENGINE], publishes=False) as watching:
        start = watching.quiet(ENGINE)
        calls = watching.vigil.run(lambda: _call_one_by_one(context, watching))
        end = watching.quiet(ENGINE, start)
    return Rotation(
        queue=ENGINE,
        described=len(context.engines.names) * context.engines.workers,
        before=start.consumers,
        after=end.consumers,
        calls=tuple(calls),
        deliveries=tuple(
            Delivered(consumer=consumer_of(e), request_id=e.request_id, redelivered=e.redelivered)
            for e in watching.deliveries(ENGINE, start.event)
        ),
        counted=counted(start, end),
        unquiet=start.unquiet or end.unquiet,
        incomplete=watching.firehose.why_incomplete,
    )


def _call_one_by_one(context: Context, watching: Traced) -> list[str]:
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
            seen = len(watching.firehose)
            try:
                answer = http.get(urls[0], timeout=timeout_s, headers=headers)
            except requests.RequestException as problem:
                raise _unanswered(urls[0], len(calls), type(problem).__name__, watching, seen) from None
            if answer.status_code in REFUSED and len(urls) > 1:
                urls.pop(0)
                continue
            if not answer.ok:
                raise _unanswered(urls[0], len(calls), f"status {answer.status_code}", watching, seen)
            calls.append(answer.headers.get("X-Openstack-Request-Id", ""))
    return calls


def _unanswered(url: str, number: int, how: str, watching: Traced, seen: int) -> EvidenceUnavailable:
    """What is known of a call that failed: which engine had it, where one had."""
    handed = watching.deliveries(ENGINE, seen)
    whom = f"it had been delivered to {watching.engine_of(handed[-1])}" if handed else "no engine had it"
    return EvidenceUnavailable(url, f"call {number + 1} failed ({how}); {whom}")
