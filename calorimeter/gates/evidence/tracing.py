"""Switches the broker's tracing on while it is needed, and off again even if the suite is killed.

A guardian process (`tracing_guardian`) switches it on, waits until its standard input is closed, and
switches it off. The kernel also closes that pipe for a killed suite, so tracing is restored after a crash
the same way as after a normal end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.host import guardian
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.tracing_guardian import TracingClaim, TracingOrder
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

ON_WITHIN_S = 30.0
OFF_WITHIN_S = 30.0
NOT_IN_TIME = f"tracing was not switched on within {ON_WITHIN_S:g} s"


@contextmanager
def tracing(deployment: Deployment, *, state: Path | None = None) -> Iterator[BrokerApi]:
    """Tracing of the deployment's vhost is on while this is entered; yields the management API.

    Afterwards tracing is as before: it stays on if somebody else had switched it on, or if another run of
    the suite still uses it. Raises `EvidenceUnavailable` (see `BrokerApi`), also at the end if it cannot
    be switched off. `state` is the folder through which runs on one machine know of each other.
    """
    with BrokerApi.of(deployment) as api, _guarded(_order(deployment, api, state)):
        yield api


def restore(deployment: Deployment) -> bool:
    """Switch tracing off if a run of this suite that was killed with its guardian left it on.

    Returns whether it did. Raises `EvidenceUnavailable` and InputError if it cannot be switched off.
    """
    if deployment.broker is None or deployment.broker.management is None:
        return False
    with BrokerApi.of(deployment) as api:
        claim = TracingClaim(_order(deployment, api, None), f"restoring-{os.getpid()}")
    return claim.was_taken() and claim.release()


def _order(deployment: Deployment, api: BrokerApi, state: Path | None) -> TracingOrder:
    assert deployment.broker is not None
    return TracingOrder(
        url=api.url,
        user=api.user,
        password=deployment.reveal(deployment.broker.password),
        vhost=api.vhost,
        verify=deployment.tls.for_requests,
        state=str(state or paths.state()),
    )


@contextmanager
def _guarded(order: TracingOrder) -> Iterator[None]:
    guard = guardian.start(
        "calorimeter.gates.evidence.tracing_guardian", order=json.dumps(order._asdict()), mute=True
    )
    try:
        _heed(guardian.read_reply(guard, ON_WITHIN_S), order)
        yield
    finally:
        if guardian.dismiss(guard, OFF_WITHIN_S) != 0:
            # The guardian died: release the claim here.
            TracingClaim(order, f"{guard.pid}").release()


def _heed(answer: str | None, order: TracingOrder) -> None:
    if answer == "on":
        return
    try:
        why = json.loads(answer)["why"] if answer is not None else NOT_IN_TIME
    except (ValueError, KeyError, TypeError):
        why = "tracing was not switched on: its guardian process died"
    raise EvidenceUnavailable(f"broker management {order.url}", str(why))
