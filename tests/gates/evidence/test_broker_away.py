"""A broker that goes away while it is asked, or loses what it should have told."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


def test_an_answer_that_is_broken_off_is_no_evidence() -> None:
    """A broker that is killed in mid-answer: a chunk is promised and does not come."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n[{")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        with (
            BrokerApi(f"http://127.0.0.1:{listening.getsockname()[1]}", "u", "p", timeout_s=5) as api,
            pytest.raises(EvidenceUnavailable, match=r"broke off its answer \(ChunkedEncodingError\)"),
        ):
            api.overview()
        thread.join()


def test_an_overflow_is_known_while_the_recording_lasts() -> None:
    """Readers ask what is missing before the recorder ends: it is looked for with each beat."""
    firehose = Firehose(cast("Deployment", None))
    told: list[str | None] = []

    def process_data_events(**_: float) -> None:
        told.append(firehose.why_incomplete)
        firehose._stop.set()

    full: Any = SimpleNamespace(method=SimpleNamespace(message_count=1))
    firehose._channel = SimpleNamespace(queue_declare=lambda *_, **__: full, basic_publish=lambda *_: None)
    firehose._connection = SimpleNamespace(process_data_events=process_data_events, close=lambda: None)
    firehose._record()
    assert told[0] is not None
    assert told[0].startswith("the broker dropped events")
