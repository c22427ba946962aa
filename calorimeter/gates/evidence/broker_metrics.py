"""The broker's counters through RabbitMQ's Prometheus plugin (`/metrics/detailed`).

A node shows what is on it: the queues that it leads, and the channels of its own clients. So all nodes are
asked. Channels are named by their Erlang process alone: who consumes is not to be seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import requests

from calorimeter.core.deployment import Deployment
from calorimeter.core.login.http_session import HttpSession
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TIMEOUT_S = 10.0
DELIVERED = frozenset(
    f"rabbitmq_detailed_channel_messages_{kind}_total" for kind in ("delivered", "delivered_ack")
)
"""Deliveries of a channel from a queue, to consumers that do not acknowledge and to those that do."""

_NUMBER = r"(?P<value>[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e\+?[0-9]{1,2})?)"
_SAMPLE = re.compile(r"(?P<name>[a-z_]+)\{(?P<labels>[^{}]*)\} " + _NUMBER)
_LABEL = re.compile(r'(?:^|,)([a-z_]+)="([^"\\]*)"')


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample in Prometheus' text format; other lines are left out."""
    for line in text.splitlines():
        if found := _SAMPLE.fullmatch(line):
            yield found["name"], dict(_LABEL.findall(found["labels"])), float(found["value"])


def delivered(deployment: Deployment, queue: str) -> Counter[str]:
    """Channel → deliveries from a queue since the channel was opened, over all nodes.

    A channel is listed from its first delivery on. Raises `EvidenceUnavailable` if a node does not answer,
    or none is described.
    """
    broker = deployment.broker
    urls = [(node.prometheus, node.name) for node in broker.nodes if node.prometheus] if broker else []
    if broker is None or not urls:
        raise EvidenceUnavailable(str(deployment.path), "names no Prometheus endpoint in [broker] nodes")
    found: Counter[str] = Counter()
    for url, name in urls:
        assert url is not None
        for metric, labels, value in samples(_text(deployment, url)):
            if (
                metric in DELIVERED
                and labels.get("queue") == queue
                and labels.get("queue_vhost", labels.get("vhost")) == broker.vhost
            ):
                found[f"{labels.get('channel', '')} at {name or url}"] += int(value)
    return found


def _text(deployment: Deployment, url: str) -> str:
    where = f"RabbitMQ's metrics {url}"
    asked = f"{url.rstrip('/')}/metrics/detailed?family=channel_queue_metrics"
    try:
        with HttpSession(where, url, verify=deployment.tls.for_requests) as http:
            answer = http.get(asked, timeout=TIMEOUT_S)
    except requests.RequestException as problem:
        raise EvidenceUnavailable(where, f"cannot be read ({type(problem).__name__})") from None
    if not answer.ok:
        raise EvidenceUnavailable(where, f"answers {answer.status_code}: is rabbitmq_prometheus enabled?")
    return answer.content.decode("utf-8", "replace")
