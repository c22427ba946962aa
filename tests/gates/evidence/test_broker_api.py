"""The management API of a real broker, with all rights and with too few."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests

from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

pytestmark = pytest.mark.lab

PASSWORD = "nur für diesen Test, 0 €"


class Users:
    """Users of the lab's broker, made for a test and removed after it."""

    def __init__(self, deployment: Deployment) -> None:
        assert deployment.broker is not None and deployment.broker.management
        self.url = deployment.broker.management[0]
        self.vhost = deployment.broker.vhost
        self._auth = (deployment.broker.user, deployment.reveal(deployment.broker.password))
        self.made: list[str] = []

    def add(self, tags: str, *, configure: str | None = ".*") -> str:
        """A user with these tags, and with permissions on the vhost unless `configure` is None."""
        name = f"calorimeter-test-{uuid.uuid4().hex[:8]}"
        self.made.append(name)
        self._put(f"users/{name}", {"password": PASSWORD, "tags": tags})
        if configure is not None:
            rights = {"configure": configure, "write": ".*", "read": ".*"}
            self._put(f"permissions/{quote(self.vhost, safe='')}/{name}", rights)
        return name

    def remove(self) -> None:
        """Remove all that were made."""
        for name in self.made:
            requests.delete(f"{self.url}/api/users/{name}", auth=self._auth, timeout=10)

    def api(self, name: str, password: str = PASSWORD) -> BrokerApi:
        """The vhost as that user sees it."""
        return BrokerApi(self.url, name, password, self.vhost)

    def _put(self, path: str, body: dict[str, str]) -> None:
        requests.put(f"{self.url}/api/{path}", json=body, auth=self._auth, timeout=10).raise_for_status()


@pytest.fixture
def users(lab: Deployment) -> Iterator[Users]:
    """Creates users with given rights."""
    made = Users(lab)
    try:
        yield made
    finally:
        made.remove()


def why(api: BrokerApi, asked: str) -> str:
    """Why `asked` is not available."""
    with pytest.raises(EvidenceUnavailable) as caught:
        getattr(api, asked)()
    assert caught.value.where == f"broker management {api.url}"
    return caught.value.why


def test_the_engines_of_the_lab_are_listed(lab: Deployment) -> None:
    """Each consumer of both topics is a heat-engine, and there are engines × workers of them."""
    with BrokerApi.of(lab) as api:
        expected = sum(lab.engine_consumers.values())
        for topic in ("engine", "engine_worker"):
            consumers = api.engine_consumers(topic)
            roles = {c.process.role if c.process else str(c) for c in consumers}
            assert roles == {"heat-engine"}
            assert len({c.process for c in consumers}) == len(consumers) == expected
            assert all(c.server for c in consumers)
            queue = api.queue(topic)
            assert queue is not None and queue.consumers == expected
        assert all(c.heartbeat_s for c in api.connections() if c.process)


def test_a_wrong_password_is_named(users: Users) -> None:
    """A refused login is reported, not taken for an empty broker."""
    name = users.add("administrator")
    assert why(users.api(name, "wrong"), "overview") == f"refuses user {name!r}: wrong user or password"


def test_a_user_without_tags_lacks_management(users: Users) -> None:
    """The API is closed to a user without tags, and the tag is named."""
    name = users.add("")
    assert why(users.api(name), "queues").startswith(f"user {name!r} lacks the tag management")


@pytest.mark.parametrize("asked", ["consumers", "connections", "channels", "engine_consumers"])
def test_without_monitoring_nothing_is_shown_as_empty(users: Users, asked: str) -> None:
    """RabbitMQ shows such a user empty lists; the reader reports the missing right."""
    name = users.add("management")
    assert f"user {name!r} lacks the tag monitoring" in why(users.api(name), asked)


def test_a_monitoring_user_reads_but_does_not_switch(users: Users) -> None:
    """A monitoring user reads everything, including tracing, but cannot switch it."""
    name = users.add("monitoring")
    api = users.api(name)
    assert api.tracing() in (True, False)
    assert api.engine_consumers()
    with pytest.raises(EvidenceUnavailable, match="lacks the tag administrator to switch tracing"):
        api.set_tracing(True)


def test_a_missing_vhost_is_named(lab: Deployment) -> None:
    """A misspelt vhost is named."""
    assert lab.broker is not None and lab.broker.management
    password = lab.reveal(lab.broker.password)
    api = BrokerApi(lab.broker.management[0], lab.broker.user, password, "no such vhost")
    assert "vhost 'no such vhost'" in why(api, "queues")
    assert "vhost 'no such vhost' does not exist" in why(api, "tracing")


def test_a_missing_queue_is_none(lab: Deployment) -> None:
    """A missing queue is an answer, not an error."""
    assert BrokerApi.of(lab).queue("no such queue") is None


def test_an_address_without_a_listener_is_unreachable() -> None:
    """Port 1 of this machine has no listener."""
    assert why(BrokerApi("http://127.0.0.1:1", "u", "p"), "overview") == "cannot be reached"


def test_switching_tracing_keeps_the_description_of_the_vhost(lab: Deployment) -> None:
    """RabbitMQ clears a vhost's description and tags unless they are sent too."""
    assert lab.broker is not None and lab.broker.management
    auth = (lab.broker.user, lab.reveal(lab.broker.password))
    name = f"calorimeter/{uuid.uuid4().hex[:8]}"
    url = f"{lab.broker.management[0]}/api/vhosts/{quote(name, safe='')}"
    about = {"description": "kept", "tags": "one,two"}
    requests.put(url, json=about, auth=auth, timeout=10).raise_for_status()
    try:
        api = BrokerApi(lab.broker.management[0], *auth, name)
        api.set_tracing(True)
        assert api.tracing()
        api.set_tracing(False)
        assert not api.tracing()
        entry = requests.get(url, auth=auth, timeout=10).json()
        assert (entry["description"], entry["tags"]) == ("kept", ["one", "two"])
    finally:
        requests.delete(url, auth=auth, timeout=10).raise_for_status()
