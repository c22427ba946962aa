"""The broker through its management HTTP API: queues, consumers, connections, channels, tracing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.broker_records import (
    Channel,
    Connection,
    Consumer,
    EngineConsumer,
    Overview,
    Process,
    Queue,
    join_consumers,
)
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TIMEOUT_S = 10.0

BEYOND_S = 2.0
"""RabbitMQ lists a new connection with its first statistics, but its consumers at once; how long beyond
`statistics_lag_s` a connection is waited for, which may also be gone already."""

POLL_S = 0.25

R = TypeVar("R")


class BrokerApi:
    """One vhost of one RabbitMQ, over its management API.

    Every method raises `EvidenceUnavailable`: unreachable, wrong password, no such vhost, statistics
    switched off, or a right that the user lacks, by name. Without the tag `monitoring` RabbitMQ
    answers with *empty* lists instead of refusing, so rights are asked for first.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        vhost: str = "/",
        *,
        verify: bool | str = True,
        timeout_s: float = TIMEOUT_S,
        lag_s: float = 10.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.where = f"broker management {self.url}"
        self.user = user
        self.vhost = vhost
        self._timeout_s = timeout_s
        self._listed_within_s = lag_s + BEYOND_S
        self._http = requests.Session()
        self._http.trust_env = False  # neither a proxy nor a .netrc of the user's may come between
        # In UTF-8, as RabbitMQ keeps them; requests itself writes text in Latin-1.
        self._http.auth = HTTPBasicAuth(user.encode(), password.encode())
        self._http.verify = verify
        self._overview: Overview | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> BrokerApi:
        """The management API that a deployment names."""
        broker = deployment.broker
        if broker is None or broker.management is None:
            raise EvidenceUnavailable(str(deployment.path), "broker.management is not given")
        return cls(
            broker.management,
            broker.user,
            deployment.reveal(broker.password),
            broker.vhost,
            verify=deployment.tls.for_requests,
            lag_s=broker.statistics_lag_s,
        )

    def __enter__(self) -> BrokerApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def overview(self) -> Overview:
        """Version, statistics and this user's tags; asked for once."""
        if self._overview is None:
            tree = self._get("/overview")
            tags = self._get("/whoami").get("tags", [])
            self._overview = Overview(
                version=str(tree.get("rabbitmq_version", "")),
                cluster=str(tree.get("cluster_name", "")),
                rates_mode=str(tree.get("rates_mode", "")),
                stats_disabled=bool(tree.get("disable_stats", False)),
                # A list since 3.9, before that one text.
                tags=tuple(tags.split(",") if isinstance(tags, str) else tags),
            )
        return self._overview

    def queues(self) -> tuple[Queue, ...]:
        """All queues of the vhost; with statistics off their counts are None."""
        return self._records(self._get(f"/queues/{self._vhost}"), _queue)

    def queue(self, name: str) -> Queue | None:
        """One queue, or None where there is none of that name."""
        tree = self._get(f"/queues/{self._vhost}/{quote(name, safe='')}", absent=None)
        return None if tree is None else self._records([tree], _queue)[0]

    def consumers(self) -> tuple[Consumer, ...]:
        """All consumers of the vhost."""
        self._must_see("consumers")
        return self._records(self._get(f"/consumers/{self._vhost}"), _consumer)

    def connections(self) -> tuple[Connection, ...]:
        """The connections to the vhost; one that is new is listed with its first statistics."""
        self._must_see("connections")
        listed = self._get(f"/vhosts/{self._vhost}/connections")
        # One that is closing is listed for some seconds with nothing but counters.
        return self._records([tree for tree in listed if "peer_host" in tree], _connection)

    def channels(self) -> tuple[Channel, ...]:
        """All channels of the vhost with their totals."""
        self._must_see("channels")
        listed = self._get(f"/vhosts/{self._vhost}/channels")
        return self._records([tree for tree in listed if tree.get("connection_details")], _channel)

    def engine_consumers(self, topic: str = "engine") -> tuple[EngineConsumer, ...]:
        """The consumers of `engine` or `engine_worker`, each with its process.

        Waits for connections that are not listed yet, see `settled`.
        """
        return join_consumers(topic, *self.settled())

    def processes(self, wanted: Collection[str] = ()) -> dict[str, Process]:
        """Connection name → process, for every connection that tells.

        Waits until the connections in `wanted` are listed, at most `statistics_lag_s` and `BEYOND_S`: some
        may be closed by now.
        """
        deadline = time.monotonic() + self._listed_within_s
        while True:
            connections = self.connections()
            if {*wanted} <= {c.name for c in connections} or time.monotonic() > deadline:
                return {c.name: process for c in connections if (process := c.process) is not None}
            time.sleep(POLL_S)

    def settled(self) -> tuple[tuple[Consumer, ...], tuple[Connection, ...]]:
        """The consumers, and the connections of all of them as soon as they are listed; waits as above."""
        deadline = time.monotonic() + self._listed_within_s
        while True:
            consumers, connections = self.consumers(), self.connections()
            listed = {connection.name for connection in connections}
            if all(c.connection in listed for c in consumers) or time.monotonic() > deadline:
                return consumers, connections
            time.sleep(POLL_S)

    def tracing(self) -> bool:
        """Whether the firehose of the vhost is on."""
        return bool(self._vhost_entry().get("tracing", False))

    def set_tracing(self, on: bool) -> None:
        """Switch the firehose; needs the tag `administrator`.

        RabbitMQ empties a vhost's description and tags when they are not sent along, so they are.
        """
        entry = self._vhost_entry()
        body: dict[str, Any] = {"tracing": on, "description": entry.get("description") or ""}
        tags = entry.get("tags") or []
        body["tags"] = tags if isinstance(tags, str) else ",".join(tags)
        if entry.get("default_queue_type", "undefined") != "undefined":
            body["default_queue_type"] = entry["default_queue_type"]
        if "administrator" not in self.overview().tags:
            raise self._lacks("administrator", "to switch tracing")
        self._ask("PUT", f"/vhosts/{self._vhost}", json=body)

    @property
    def _vhost(self) -> str:
        return quote(self.vhost, safe="")

    def _vhost_entry(self) -> dict[str, Any]:
        # The list is open to the tag `management`, one entry by name to administrators only.
        for entry in self._get("/vhosts"):
            if entry.get("name") == self.vhost:
                return dict(entry)
        raise EvidenceUnavailable(
            self.where, f"vhost {self.vhost!r} is not there, or user {self.user!r} may not see it"
        )

    def _must_see(self, what: str) -> None:
        overview = self.overview()
        if overview.stats_disabled:
            raise EvidenceUnavailable(
                self.where,
                f"shows no {what}: statistics are switched off (management.disable_stats or"
                " management_agent.disable_metrics_collector)",
            )
        if not {"monitoring", "administrator"} & set(overview.tags):
            raise self._lacks("monitoring", f"to see {what} of others")

    def _lacks(self, tag: str, purpose: str) -> EvidenceUnavailable:
        has = ", ".join(self.overview().tags) or "none"
        return EvidenceUnavailable(
            self.where, f"user {self.user!r} lacks the tag {tag} {purpose} (its tags: {has})"
        )

    def _records(self, trees: Any, make: Callable[[dict[str, Any]], R]) -> tuple[R, ...]:
        try:
            return tuple(make(tree) for tree in trees)
        except (KeyError, TypeError, ValueError) as problem:
            # Only the kind of error: the answer itself may hold anything.
            kind = f"{type(problem).__name__} in a {make.__name__[1:]}"
            raise EvidenceUnavailable(self.where, f"answers in a form not known here ({kind})") from None

    def _get(self, path: str, **default: Any) -> Any:
        return self._ask("GET", path, **default)

    def _ask(self, method: str, path: str, *, json: object = None, **default: Any) -> Any:
        try:
            answer = self._http.request(
                method, f"{self.url}/api{path}", json=json, timeout=self._timeout_s, allow_redirects=False
            )
            body = answer.json() if answer.content else None
        except requests.Timeout:
            raise EvidenceUnavailable(self.where, f"gave no answer in {self._timeout_s:g} s") from None
        except requests.exceptions.SSLError:
            raise EvidenceUnavailable(self.where, "its TLS certificate does not verify") from None
        except requests.ConnectionError:
            raise EvidenceUnavailable(self.where, "cannot be reached") from None
        except ValueError:
            raise EvidenceUnavailable(self.where, "is not a RabbitMQ management API (no JSON)") from None
        except requests.RequestException as problem:
            kind = type(problem).__name__
            raise EvidenceUnavailable(self.where, f"broke off its answer ({kind})") from None
        if answer.status_code == HTTPStatus.NOT_FOUND and "absent" in default:
            return default["absent"]
        if not answer.ok or answer.is_redirect:
            raise EvidenceUnavailable(self.where, self._refusal(answer.status_code, body, path))
        return body

    def _refusal(self, status: int, body: object, path: str) -> str:
        reason = str(body.get("reason", "")) if isinstance(body, dict) else ""
        if status == HTTPStatus.UNAUTHORIZED:
            # RabbitMQ's own sentences: "Not management user", "Not administrator user", "Login failed", …
            for tag in ("management", "monitoring", "administrator"):
                if tag in reason.lower() or (tag == "monitoring" and "monitor" in reason):
                    return f"user {self.user!r} lacks the tag {tag} for {path}"
            if "access refused" in reason.lower() or "vhost" in reason:
                return f"user {self.user!r} has no permission on vhost {self.vhost!r}"
            return f"refuses user {self.user!r}: wrong user or password"
        if status == HTTPStatus.NOT_FOUND:
            return f"has no {path} (vhost {self.vhost!r} not there?)"
        return " ".join(f"answers {status} {reason} to {path}".split())


def _stats(tree: dict[str, Any], *names: str) -> list[int]:
    stats = tree.get("message_stats") or {}
    return [int(stats.get(name, 0)) for name in names]


def _count(tree: dict[str, Any], name: str) -> int | None:
    return int(tree[name]) if name in tree else None


def _scalars(tree: Iterable[tuple[str, Any]]) -> dict[str, str | int | float | bool | None]:
    return {key: value if isinstance(value, str | int | float | bool | None) else str(value)
            for key, value in tree}  # fmt: skip


def _queue(tree: dict[str, Any]) -> Queue:
    known = "messages_ready" in tree
    delivered, redelivered = _stats(tree, "deliver_get", "redeliver")
    return Queue(
        name=tree["name"],
        type=tree.get("type", "classic"),
        state=tree.get("state"),
        durable=tree["durable"],
        ready=_count(tree, "messages_ready"),
        unacked=_count(tree, "messages_unacknowledged"),
        consumers=_count(tree, "consumers"),
        delivered=delivered if known else None,
        redelivered=redelivered if known else None,
        arguments=_scalars((tree.get("arguments") or {}).items()),
    )


def _consumer(tree: dict[str, Any]) -> Consumer:
    place = tree["channel_details"] or {"connection_name": "", "number": 0}  # [] while a channel closes
    return Consumer(
        queue=tree["queue"]["name"],
        tag=tree["consumer_tag"],
        connection=place["connection_name"],
        channel=place["number"],
        prefetch=tree["prefetch_count"],
        acknowledges=tree["ack_required"],
        exclusive=tree["exclusive"],
        user=place.get("user", ""),
    )


def _connection(tree: dict[str, Any]) -> Connection:
    properties = tree.get("client_properties") or {}
    return Connection(
        name=tree["name"],
        peer_host=tree["peer_host"],
        peer_port=tree["peer_port"],
        given_name=properties.get("connection_name") or tree.get("user_provided_name"),
        user=tree.get("user", ""),
        state=tree.get("state"),
        product=properties.get("product"),
        heartbeat_s=_count(tree, "timeout"),
    )


def _channel(tree: dict[str, Any]) -> Channel:
    deliver, no_ack, get, get_no_ack, redeliver, publish = _stats(
        tree, "deliver", "deliver_no_ack", "get", "get_no_ack", "redeliver", "publish"
    )
    return Channel(
        connection=tree["connection_details"]["name"],
        channel=tree["number"],
        consumers=tree.get("consumer_count", 0),
        prefetch=tree.get("prefetch_count", 0),
        unacked=tree.get("messages_unacknowledged", 0),
        deliver=deliver,
        deliver_no_ack=no_ack,
        get=get + get_no_ack,
        redeliver=redeliver,
        publish=publish,
    )
