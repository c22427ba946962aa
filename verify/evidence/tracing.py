"""The broker's tracing, switched on while it is needed and off again, whatever becomes of the suite.

A guardian process (`verify.evidence.tracing_guard`) switches it on, waits until its standard input ends
and switches it off. The kernel closes that pipe for a suite that was killed too, so the way back after
a crash is the usual way back.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter import paths
from calorimeter.deployment import Deployment
from verify.evidence.broker_api import BrokerApi
from verify.evidence.tracing_guard import Claim, Order
from verify.evidence.unavailable import EvidenceUnavailable

ON_WITHIN_S = 30.0
OFF_WITHIN_S = 30.0


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
        ca_file=str(deployment.tls.ca_file) if deployment.tls.ca_file else None,
        verify=deployment.tls.verify,
        state=str(state or paths.state()),
    )
    with api, _guarded(order):
        yield api


@contextmanager
def _guarded(order: Order) -> Iterator[None]:
    guard = subprocess.Popen(
        [sys.executable, "-m", "verify.evidence.tracing_guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it may outlive whoever reads the suite's
        start_new_session=True,  # Ctrl-C in the suite's terminal is not for the guardian
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert guard.stdin is not None
    try:
        # The order, with its password, goes through the pipe: an argument could be seen by everybody.
        guard.stdin.write(json.dumps(order._asdict()).encode() + b"\n")
        guard.stdin.flush()
        _heed(_answer(guard, ON_WITHIN_S, order), order)
        yield
    finally:
        _dismiss(guard, order)


def _dismiss(guard: subprocess.Popen[bytes], order: Order) -> None:
    assert guard.stdin is not None and guard.stdout is not None
    try:
        guard.stdin.close()
        guard.wait(OFF_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        guard.kill()
        guard.wait()
    finally:
        guard.stdout.close()
    if guard.returncode != 0:
        # The guardian itself came to harm: do its work here.
        Claim(order, f"{guard.pid}").release()


def _answer(guard: subprocess.Popen[bytes], within_s: float, order: Order) -> str:
    """The guardian's first line; one line is less than a pipe writes at once."""
    assert guard.stdout is not None
    deadline = time.monotonic() + within_s
    ready, _, _ = select.select([guard.stdout], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        raise EvidenceUnavailable(
            f"broker management {order.url}", f"tracing was not switched on within {within_s:g} s"
        )
    return guard.stdout.readline().decode()


def _heed(answer: str, order: Order) -> None:
    if answer.strip() == "on":
        return
    try:
        why = json.loads(answer)["why"]
    except (ValueError, KeyError, TypeError):
        why = "tracing was not switched on: its guardian process died"
    raise EvidenceUnavailable(f"broker management {order.url}", str(why))
