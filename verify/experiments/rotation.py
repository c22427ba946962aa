"""RPC calls to the engines, one in flight at a time, under the broker's trace."""

from __future__ import annotations

import time

import requests

from verify.bench import Bench
from verify.checks.rotation import Consumer, Delivered, Rotation
from verify.evidence.broker_records import EngineConsumer
from verify.evidence.firehose import Firehose
from verify.evidence.identity import session
from verify.evidence.rpc_message import Delivery
from verify.evidence.tracing import tracing
from verify.evidence.unavailable import EvidenceUnavailable

TOPIC = "engine"
CALL_S = 30.0
"""Time for one call; a call beyond it may still be in flight, so the order would not be told."""

ALL_WITHIN_S = 300.0


def rotation(bench: Bench) -> Rotation:
    """Make the bench's number of calls and record which engine each was delivered to.

    A call is `GET …/stacks?limit=1`, which heat-api turns into one RPC on the queue `engine`.
    Raises `EvidenceUnavailable` where the broker cannot be traced or a call is not answered.
    """
    described = len(bench.engines.names) * bench.engines.workers
    with tracing(bench.deployment) as api, requests.Session() as http:
        before = api.engine_consumers(TOPIC)
        with Firehose(bench.deployment, [TOPIC], publishes=False) as firehose:
            calls = _call_one_by_one(bench, http)
            firehose.settle()
        after = api.engine_consumers(TOPIC)
    return Rotation(
        queue=TOPIC,
        described=described,
        before=_consumers(before),
        after=_consumers(after),
        calls=tuple(calls),
        deliveries=tuple(_delivered(event) for event in firehose.deliveries()),
        incomplete=firehose.why_incomplete,
    )


def _call_one_by_one(bench: Bench, http: requests.Session) -> list[str]:
    calls: list[str] = []
    identity = session(bench.deployment)
    url = identity.rest_url("/stacks?limit=1")
    http.trust_env = False
    http.verify = identity.session.verify
    deadline = time.monotonic() + ALL_WITHIN_S
    for number in range(bench.settings.calls):
        try:
            answer = http.get(url, timeout=CALL_S, headers={"X-Auth-Token": identity.token()})
        except requests.RequestException as problem:
            raise EvidenceUnavailable(url, f"call {number + 1}: {type(problem).__name__}") from None
        if not answer.ok:
            raise EvidenceUnavailable(url, f"call {number + 1} was answered {answer.status_code}")
        calls.append(answer.headers.get("X-Openstack-Request-Id", ""))
        if time.monotonic() > deadline:
            break
    return calls


def _consumers(found: tuple[EngineConsumer, ...]) -> tuple[Consumer, ...]:
    return tuple(
        Consumer(
            id=f"{c.connection}#{c.channel}",
            name=f"{c.process.role}:{c.process.pid}" if c.process else c.given_name or c.connection,
        )
        for c in found
    )


def _delivered(event: Delivery) -> Delivered:
    return Delivered(
        consumer=f"{event.connection}#{event.channel}",
        request_id=event.request_id,
        redelivered=event.redelivered,
    )
