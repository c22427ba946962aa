"""What TLS adds to the configuration of a lab's daemons, as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.config.haproxy.haproxy_writer import ListenSection, ProxyConfig, ServerLine, render
from calorimeter.lab import tls_options
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs

FOLDER = Path("/state/labs/x")
PORTS = {"rest": 20001, "rest-1": 20002, "amqp": 20003, "management": 20004, "keystone": 20005}
CONFIG = ProxyConfig(
    listens=(
        ListenSection("rest_api_proxy", ("127.0.0.1:20001",), (ServerLine("rest-1", "127.0.0.1:20002"),)),
        ListenSection("proxy_alive", ("127.0.0.1:8405",), (), options=()),
    )
)


def lab(*tls: str, **asked: Any) -> Lab:
    """A lab with TLS in these places."""
    topology = LabTopology(name="x", tls=tls, ports=PORTS, **asked)
    return Lab(FOLDER, topology, {}, Programs.__new__(Programs))  # no program is run


def lines(config: ProxyConfig, word: str) -> list[str]:
    """The lines of a proxy's file with this word."""
    return [line.strip() for line in render(config).splitlines() if word in line]


def test_a_lab_without_tls_is_as_it_was() -> None:
    """Nothing is added."""
    plain = lab()
    assert tls_options.proxy(plain, CONFIG) == CONFIG
    assert (tls_options.heat(plain), tls_options.gunicorn(plain), plain.verify) == ({}, (), True)
    assert tls_options.broker(plain, "amqp", "management").splitlines() == [
        "listeners.tcp.local = 127.0.0.1:20003",
        "management.tcp.ip = 127.0.0.1",
        "management.tcp.port = 20004",
    ]
    names = ("rest", "rest-1", "management", "keystone")
    assert [plain.url(name).partition(":")[0] for name in names] == ["http"] * 4


def test_tls_at_the_proxy_ends_there() -> None:
    """The APIs learn from a header that their clients use https; the proxy's own section stays plain."""
    secure = lab("proxy")
    config = tls_options.proxy(secure, CONFIG)
    assert lines(config, "bind ") == [
        "bind 127.0.0.1:20001 ssl crt /state/labs/x/tls/server.pem",
        "bind 127.0.0.1:8405",
    ]
    assert lines(config, "X-Forwarded-Proto") == [
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }"
    ]
    assert lines(config, "server rest") == ["server rest-1 127.0.0.1:20002"]
    assert lines(config, "ssl-min-ver") == ["ssl-default-bind-options ssl-min-ver TLSv1.2"]
    assert tls_options.heat(secure) == {
        "oslo_middleware": {"enable_proxy_headers_parsing": True},
        "clients": {"ca_file": "/state/labs/x/tls/ca.pem"},
    }
    assert [secure.url(name) for name in ("rest", "rest-1", "management", "keystone")] == [
        "https://127.0.0.1:20001",
        "http://127.0.0.1:20002",
        "http://127.0.0.1:20004",
        "http://127.0.0.1:20005",
    ]


@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_the_proxy_verifies_backends_as_those_of_its_own_lab(mode: str) -> None:
    """An API that is reached by TLS itself knows, also in mode tcp, that its client uses https."""
    secure = lab("proxy", "backends", mode=mode)
    config = tls_options.proxy(secure, CONFIG)
    assert lines(config, "server rest") == [
        "server rest-1 127.0.0.1:20002 ssl verify required ca-file /state/labs/x/tls/ca.pem "
        "verifyhost x.calorimeter.test"
    ]
    assert len(lines(config, "X-Forwarded-Proto")) == (mode == "http")
    assert tls_options.gunicorn(secure) == (
        *("--certfile", "/state/labs/x/tls/server.pem"),
        *("--keyfile", "/state/labs/x/tls/server.pem.key"),
    )
    assert secure.url("rest-1") == "https://127.0.0.1:20002"
    assert secure.topology.server("rest-1") == "gunicorn"


def test_the_broker_has_no_plain_listener() -> None:
    """Neither of AMQP nor of its management API; Heat verifies it."""
    secure = lab("broker")
    text = tls_options.broker(secure, "amqp", "management")
    assert text.splitlines()[:4] == [
        "listeners.tcp = none",
        "listeners.ssl.local = 127.0.0.1:20003",
        "management.ssl.ip = 127.0.0.1",
        "management.ssl.port = 20004",
    ]
    assert "management.ssl.keyfile = /state/labs/x/tls/server.pem.key\n" in text
    assert tls_options.heat(secure) == {
        "oslo_messaging_rabbit": {"ssl": True, "ssl_ca_file": "/state/labs/x/tls/ca.pem"}
    }
    assert tls_options.proxy(secure, CONFIG) == CONFIG
    assert (secure.url("management"), secure.verify) == (
        "https://127.0.0.1:20004",
        "/state/labs/x/tls/ca.pem",
    )


def test_tls_at_the_front_is_mode_http_unless_asked_otherwise() -> None:
    """In mode tcp the proxy can set no header, so that Heat's links would be http."""
    assert [LabTopology(name="x", tls=tls).mode for tls in ((), ("broker",), ("proxy",))] == [
        "tcp",
        "tcp",
        "http",
    ]
    assert LabTopology(name="x", tls=("proxy", "backends"), mode="tcp").mode == "tcp"
