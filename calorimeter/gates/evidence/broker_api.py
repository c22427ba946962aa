"""The broker through its management HTTP API: queues, consumers, connections, channels, tracing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from calorimeter.core import foreign
from calorimeter.core.deployment import Deployment
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.login.http_session import HttpSession, without_secrets
from calorimeter.core.waiting import poll
from calorimeter.gates.evidence.broker_records import (
    BrokerConnection,
    BrokerConsumer,
    BrokerProcess,
    Channel,
    ClusterNode,
    EngineConsumer,
    Overview,
    Queue,
    join_consumers,
    read_channel,
    read_connection,
    read_consumer,
    read_node,
    read_overview,
    read_queue,
)
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

TIMEOUT_S = 10.0

BEYOND_S = 2.0
"""RabbitMQ lists consumers at once, but a new connection only with its first statistics. This long beyond
`statistics_lag_s` a connection is awaited; it may also be closed already."""

POLL_S = 0.25

R = TypeVar("R")


class BrokerApi:
    """One vhost of one RabbitMQ, over its management API.

    Every method raises `EvidenceUnavailable` if the broker is unreachable, the password is wrong, the vhost
    does not exist, statistics are switched off, or the user lacks a right (which is named). Without the tag
    `monitoring` RabbitMQ answers with *empty* lists instead of refusing, so the tags are read first.
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
        self._http = HttpSession(self.where, self.url, verify=verify)
        # UTF-8, as RabbitMQ stores them; requests itself encodes text as Latin-1.
        self._http.auth = HTTPBasicAuth(user.encode(), password.encode())
        self._overview: Overview | None = None

    @classmethod
    def of(cls, deployment: Deployment, besides: Collection[str] = ()) -> BrokerApi:
        """The management API of a deployment; of several, the first that answers, else the last.

        Each node's API shows the whole cluster. The URLs `besides` are not asked: their nodes are broken.
        Raises `EvidenceUnavailable` if none is described.
        """
        broker = deployment.broker
        asked = [url for url in broker.management if url not in besides] if broker else []
        if broker is None or not asked:
            what = "the management API of no other node" if besides else "no management API"
            raise EvidenceUnavailable(str(deployment.path), f"names {what} in [broker] nodes")
        for url in asked:
            api = cls(
                url,
                broker.user,
                deployment.reveal(broker.password),
                broker.vhost,
                verify=deployment.tls.for_requests,
                lag_s=broker.statistics_lag_s,
            )
            if url == asked[-1] or api._answers():
                break
        return api

    def _answers(self) -> bool:
        try:
            self.overview()
        except EvidenceUnavailable:
            self._http.close()
            return False
        return True

    def __enter__(self) -> BrokerApi:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def overview(self) -> Overview:
        """Version, statistics settings and this user's tags; requested once."""
        if self._overview is None:
            trees = [{"overview": self._get("/overview"), "whoami": self._get("/whoami")}]
            self._overview = self._records(trees, read_overview)[0]
        return self._overview

    def nodes(self) -> tuple[ClusterNode, ...]:
        """All nodes of the cluster, as the one that answers sees them."""
        self._must_have_tag("the nodes")
        return self._records(self._get("/nodes"), read_node)

    def queues(self) -> tuple[Queue, ...]:
        """All queues of the vhost; their counts are None if statistics are off."""
        return self._records(self._get(f"/queues/{self._vhost}"), read_queue)

    def queue(self, name: str) -> Queue | None:
        """One queue, or None if it does not exist."""
        tree = self._get(f"/queues/{self._vhost}/{quote(name, safe='')}", absent=None)
        return None if tree is None else self._records([tree], read_queue)[0]

    def consumers(self) -> tuple[BrokerConsumer, ...]:
        """All consumers of the vhost."""
        self._must_see("consumers")
        return self._records(self._get(f"/consumers/{self._vhost}"), read_consumer)

    def connections(self) -> tuple[BrokerConnection, ...]:
        """The connections to the vhost; a new one is listed with its first statistics."""
        self._must_see("connections")
        listed = self._get(f"/vhosts/{self._vhost}/connections")
        # A closing connection is listed for some seconds with only its counters.
        return self._records(listed, read_connection, lambda tree: "peer_host" in tree)

    def channels(self) -> tuple[Channel, ...]:
        """All channels of the vhost with their totals."""
        self._must_see("channels")
        listed = self._get(f"/vhosts/{self._vhost}/channels")
        return self._records(listed, read_channel, lambda tree: bool(tree.get("connection_details")))

    def engine_consumers(self, topic: str = "engine") -> tuple[EngineConsumer, ...]:
        """The consumers of `engine` or `engine_worker`, each with its process; waits as `settled` does."""
        return join_consumers(topic, *self.settled())

    def processes(self, names: Collection[str] = ()) -> dict[str, BrokerProcess]:
        """Connection name → process, for every connection whose name shows it.

        Waits until the connections `names` are listed, at most `statistics_lag_s` and `BEYOND_S`: some
        may be closed by now.
        """
        connections = poll(
            self.connections,
            self._listed_within_s,
            enough=lambda listed: {*names} <= {c.name for c in listed},
            every_s=POLL_S,
        )
        return {c.name: process for c in connections if (process := c.process) is not None}

    def settled(self) -> tuple[tuple[BrokerConsumer, ...], tuple[BrokerConnection, ...]]:
        """The consumers and connections, as soon as the connections of all consumers are listed; waits as
        `processes` does."""

        def all_listed(found: tuple[tuple[BrokerConsumer, ...], tuple[BrokerConnection, ...]]) -> bool:
            return {c.connection for c in found[0]} <= {c.name for c in found[1]}

        return poll(
            lambda: (self.consumers(), self.connections()),
            self._listed_within_s,
            enough=all_listed,
            every_s=POLL_S,
        )

    def tracing(self) -> bool:
        """Whether the firehose of the vhost is on."""
        return bool(self._vhost_entry().get("tracing", False))

    def set_tracing(self, on: bool) -> None:
        """Switch the firehose on or off; needs the tag `administrator`.

        RabbitMQ clears a vhost's description and tags unless they are sent too.
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
        # Every user with the tag `management` may read the list, only administrators a single entry.
        for entry in self._records(self._get("/vhosts"), foreign.table):
            if entry.get("name") == self.vhost:
                return entry
        raise EvidenceUnavailable(
            self.where, f"vhost {self.vhost!r} does not exist, or user {self.user!r} has no access to it"
        )

    def _must_see(self, what: str) -> None:
        overview = self.overview()
        if overview.stats_disabled:
            raise EvidenceUnavailable(
                self.where,
                f"shows no {what}: statistics are switched off (management.disable_stats or"
                " management_agent.disable_metrics_collector)",
            )
        self._must_have_tag(f"{what} of others")

    def _must_have_tag(self, what: str) -> None:
        if not {"monitoring", "administrator"} & set(self.overview().tags):
            raise self._lacks("monitoring", f"to see {what}")

    def _lacks(self, tag: str, purpose: str) -> EvidenceUnavailable:
        tags = ", ".join(self.overview().tags) or "none"
        return EvidenceUnavailable(
            self.where, f"user {self.user!r} lacks the tag {tag} {purpose} (its tags: {tags})"
        )

    def _records(
        self,
        trees: Any,
        make: Callable[[dict[str, Any]], R],
        wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> tuple[R, ...]:
        try:
            return tuple(make(tree) for tree in foreign.objects(trees) if wanted(tree))
        except foreign.MISREAD as problem:
            # Report only the kind of error: the answer itself may hold anything.
            kind = f"{type(problem).__name__} in a {make.__name__.removeprefix('read_')}"
            raise EvidenceUnavailable(self.where, f"answers in an unknown format ({kind})") from None

    def _get(self, path: str, **default: Any) -> Any:
        return self._ask("GET", path, **default)

    def _ask(self, method: str, path: str, *, json: object = None, **default: Any) -> Any:
        try:
            answer = self._http.request(method, f"{self.url}/api{path}", json=json, timeout=self._timeout_s)
            body = foreign.json_value(answer.content) if answer.content else None
        except requests.Timeout:
            raise EvidenceUnavailable(self.where, f"gave no answer within {self._timeout_s:g} s") from None
        except requests.exceptions.SSLError:
            raise EvidenceUnavailable(self.where, "its TLS certificate cannot be verified") from None
        except requests.ConnectionError:
            raise EvidenceUnavailable(self.where, "cannot be reached") from None
        except UnintelligibleError:
            raise EvidenceUnavailable(self.where, "is not a RabbitMQ management API (no JSON)") from None
        except requests.RequestException as problem:
            kind = type(problem).__name__
            raise EvidenceUnavailable(self.where, f"broke off its answer ({kind})") from None
        if answer.status_code == HTTPStatus.NOT_FOUND and "absent" in default:
            return default["absent"]
        if not answer.ok or answer.is_redirect:
            why = self._refusal(answer.status_code, body, path)
            if answer.is_redirect:
                why += f", to {without_secrets(answer.headers['Location'])}: no password is sent there"
            raise EvidenceUnavailable(self.where, why)
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
            return f"has no {path} (does vhost {self.vhost!r} exist?)"
        return " ".join(f"answers {status} {reason:.120} to {path}".split())
