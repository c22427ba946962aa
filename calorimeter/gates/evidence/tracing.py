"""The broker's tracing, switched on while it is needed and off again, whatever becomes of the suite.

A guardian process (`tracing_guardian`) switches it on, waits until its standard input ends
and switches it off. The kernel closes that pipe for a suite that was killed too, so the way back after
a crash is the usual way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core import guardian, paths
from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.tracing_guardian import Claim, Order
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

ON_WITHIN_S = 30.0
OFF_WITHIN_S = 30.0
NOT_IN_TIME = f"tracing was not switched on within {ON_WITHIN_S:g} s"


@contextmanager
def tracing(deployment: Deployment, *, state: Path | None = None) -> Iterator[BrokerApi]:
    """Tracing of the deployment's vhost is on inside; yields the management API that it was asked on.

    Afterwards it is as it was: left on where somebody else had switched it on, or where another run
    of the suite still uses it. Raises `EvidenceUnavailable` (see `BrokerApi`), also at the end where
    it could not be switched off again. `state` is where runs on one machine know of each other.
    """
    api = BrokerApi.of(deployment)
    assert deployment.broker is not None
    order = Order(
        url=api.url,
        user=api.user,
        password=deployment.reveal(deployment.broker.password),
        vhost=api.vhost,
        verify=deployment.tls.for_requests,
        state=str(state or paths.state()),
    )
    with api, _guarded(order):
        yield api


@contextmanager
def _guarded(order: Order) -> Iterator[None]:
    guard = guardian.start(
        "calorimeter.gates.evidence.tracing_guardian", order=json.dumps(order._asdict()), mute=True
    )
    try:
        _heed(guardian.read_reply(guard, ON_WITHIN_S), order)
        yield
    finally:
        if guardian.dismiss(guard, OFF_WITHIN_S) != 0:
            # The guardian itself came to harm: do its work here.
            Claim(order, f"{guard.pid}").release()


def _heed(answer: str | None, order: Order) -> None:
    if answer == "on":
        return
    try:
        why = json.loads(answer)["why"] if answer is not None else NOT_IN_TIME
    except (ValueError, KeyError, TypeError):
        why = "tracing was not switched on: its guardian process died"
    raise EvidenceUnavailable(f"broker management {order.url}", str(why))
