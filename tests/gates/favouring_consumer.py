"""Sabotage of the engines' rotation: a consumer that takes every call first and favours one host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.firehose import connect


@contextmanager
def favourite(deployment: Deployment, priority: int = 10) -> Iterator[None]:
    """Consume from `engine` with a higher priority than any engine, and pass every call on.

    With priority 0 the consumer takes its turn as every engine does. Each call is passed on to the queue
    of an engine's host and answered, so clients notice nothing; only the rotation of the consumers changes.
    """
    with BrokerApi.of(deployment) as api:
        engines = api.engine_consumers("engine")
    server = next(c.server for c in engines if c.server)
    ready, done = threading.Event(), threading.Event()

    def take() -> None:
        connection = connect(deployment)
        channel = connection.channel()

        def pass_on(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            channel.basic_publish("", f"engine.{server}", body, properties)
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume("engine", pass_on, arguments={"x-priority": priority})
        ready.set()
        while not done.is_set():
            connection.process_data_events(time_limit=0.05)
        connection.close()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert ready.wait(10), "the favourite consumer did not come up"
    try:
        _await_listed(deployment, len(engines) + 1)
        yield
    finally:
        done.set()
        thread.join(10)


def _await_listed(deployment: Deployment, consumers: int) -> None:
    """Wait until the management API lists that many consumers: its statistics lag by up to 5 s."""
    with BrokerApi.of(deployment) as api:
        until(lambda: len(api.engine_consumers("engine")) == consumers, 20, every_s=0.1)
