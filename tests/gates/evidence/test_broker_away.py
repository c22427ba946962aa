"""A broker that fails while it is asked, or does not list what it should."""

from __future__ import annotations

import socket
import threading

import pytest

from calorimeter.core.broker_table import Broker, BrokerNode
from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.gates.evidence import firehose
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates.evidence.management_api import management_api

NAME = "heat-engine:7:cacb641d-eff6-4773-9bdb-fc5ff77c46f6"


def test_an_answer_that_is_broken_off_is_no_evidence() -> None:
    """A broker is killed in mid-answer: the rest of a chunk does not come."""

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


@pytest.mark.parametrize("asked", ["consumers", "connections", "channels"])
def test_statistics_that_are_switched_off_are_named(asked: str) -> None:
    """With management.disable_stats RabbitMQ lists nothing; that does not mean that there is nothing."""
    overview = {"rabbitmq_version": "3.10.8", "disable_stats": True}
    answers = {"/overview": overview, "/whoami": {"tags": ["administrator"]}}
    with management_api(answers) as url, BrokerApi(url, "heat", "secret") as api:  # noqa: SIM117
        with pytest.raises(EvidenceUnavailable, match=f"shows no {asked}: statistics are switched off"):
            getattr(api, asked)()


def test_connections_that_are_not_listed_yet_are_awaited() -> None:
    """The processes are returned once the named connections are listed."""
    listed = [{"name": "one", "peer_host": "h", "peer_port": 1, "user_provided_name": NAME}]
    answers: dict[str, object] = {
        "/overview": {"rabbitmq_version": "3.10.8"},
        "/whoami": {"tags": "monitoring"},
        "/vhosts/%2F/connections": listed,
    }
    with management_api(answers) as url, BrokerApi(url, "heat", "secret", lag_s=5) as api:
        late = threading.Timer(0.1, listed.append, [{**listed[0], "name": "two"}])
        late.start()
        assert {*api.processes(["two"])} == {"one", "two"}
        late.join()


def test_a_frozen_node_accepts_and_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel accepts the connection: it counts as one that cannot be reached."""
    monkeypatch.setenv("WORD", "secret")
    broker = Broker(nodes=(BrokerNode(amqp="amqp://127.0.0.1:1"),), user="u", password=Secret(env="WORD"))
    api = Api(url="http://h:1/v1", proxy_section="rest", backends=(Backend(name="a", address="h:2"),))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = f"amqp://127.0.0.1:{listening.getsockname()[1]}"
        cloud = Deployment(name="cloud", rest=api, broker=broker)
        assert not firehose.answers(cloud, silent, 0.2)
