"""Counters of RabbitMQ's Prometheus endpoint, as 3.10.8 writes them; newer ones say `queue_vhost`."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.gates.evidence import broker_metrics
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

ACK = "rabbitmq_detailed_channel_messages_delivered_ack_total"
TEXT = f"""\
# TYPE {ACK} counter
# HELP {ACK} Total number of messages delivered
{ACK}{{channel="<0.701.0>",vhost="/",queue="engine"}} 30
{ACK}{{channel="<0.719.0>",queue_vhost="/",queue="engine"}} 31
{ACK}{{channel="<0.719.0>",vhost="/",queue="other"}} 7
{ACK}{{channel="<0.719.0>",vhost="v",queue="engine"}} 7
{ACK.replace("_ack", "")}{{channel="<0.737.0>",queue_vhost="/",queue="engine"}} 3e1
rabbitmq_detailed_channel_messages_redelivered_total{{channel="<0.701.0>",queue="engine"}} 5
"""

FILE = """\
name = "cloud"
[rest]
url = "http://h:8004/v1"
proxy_section = "heat-api"
backends = [{ name = "a", address = "10.0.0.1:8004" }]
[broker]
nodes = [{ name = "rabbit@a", amqp = "amqp://a", prometheus = "http://a:15692" }, { amqp = "amqp://b" }]
user = "heat"
password = { env = "P" }
"""


def deployment(tmp_path: Path, text: str = FILE) -> deployments.Deployment:
    """A deployment with two nodes, of which one has metrics."""
    path = tmp_path / "deployment.toml"
    path.write_text(text)
    return deployments.read(path)


def test_deliveries_of_one_queue_are_counted_by_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without acknowledgement; not redeliveries, nor other queues and vhosts."""
    monkeypatch.setattr(broker_metrics, "_text", lambda *_: TEXT)
    found = broker_metrics.delivered(deployment(tmp_path), "engine")
    assert found == {
        "<0.701.0> at rabbit@a": 30,
        "<0.719.0> at rabbit@a": 31,
        "<0.737.0> at rabbit@a": 30,
    }


def test_lines_of_another_form_are_left_out() -> None:
    """Comments, samples without labels, text that is no metric, numbers that are none."""
    assert [*broker_metrics.samples("x{} 1e999\nx{} 1.2.3\nx{} 1e4\n")] == [("x", {}, 10_000.0)]
    assert [*broker_metrics.samples('# HELP x\nx 1\n<html>\nx{a=} 1\nx{a="b"} NaN\n')] == [("x", {}, 1.0)]


def test_without_an_endpoint_it_is_named(tmp_path: Path) -> None:
    """One that does not answer, too."""
    plain = FILE.replace(', prometheus = "http://a:15692"', "")
    with pytest.raises(EvidenceUnavailable, match="names no Prometheus endpoint"):
        broker_metrics.delivered(deployment(tmp_path, plain), "engine")
    with pytest.raises(EvidenceUnavailable, match="cannot be read"):
        broker_metrics.delivered(
            deployment(tmp_path, FILE.replace("http://a:15692", "http://127.0.0.1:1")), "e"
        )
