"""The configuration of a Heat process, in old and new option names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.config import hosts
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.transport_url import BrokerHost


def conf(text: str) -> heat_conf.HeatProcessConf:
    """A configuration of host B."""
    return heat_conf.parse("B", ("heat.conf", text))


def test_old_names_of_the_guide() -> None:
    """`sql_connection` and `rabbit_*` in [DEFAULT] are read, as the guide has them."""
    read = conf(
        "[DEFAULT]\nsql_connection = mysql+pymysql://root:admin@10.0.0.1/heat\nrabbit_host = 10.0.0.1\n"
        "rabbit_userid = stack\nrabbit_password = pw\nrabbit_virtual_host = /heat\nrabbit_use_ssl = True\n"
    )
    transport = read.transport
    assert transport.hosts == (BrokerHost("10.0.0.1", 5672, "stack", "pw"),)
    assert (transport.vhost, transport.tls, transport.old) == ("/heat", True, True)
    assert read.database is not None
    assert read.database.entry.number == 2


def test_old_list_of_hosts() -> None:
    """rabbit_hosts takes precedence over rabbit_host."""
    hosts = conf("rabbit_hosts = a:5671, b\nrabbit_host = c\n").transport.hosts
    assert [(host.host, host.port) for host in hosts] == [("a", 5671), ("b", 5672)]


@pytest.mark.parametrize(
    ("url", "hosts", "vhost"),
    [
        ("rabbit://u:p%40w@10.0.0.1:5673/heat", (BrokerHost("10.0.0.1", 5673, "u", "p@w"),), "heat"),
        (
            "rabbit://u:p@a,v:q@[fd00::1]:5/%2F?ssl=1",
            (BrokerHost("a", 5672, "u", "p"), BrokerHost("fd00::1", 5, "v", "q")),
            "/",
        ),
        ("rabbit://", (BrokerHost("localhost", 5672, "guest", "guest"),), "/"),
        ("rabbit://h//", (BrokerHost("h", 5672, "guest", "guest"),), "/"),
    ],
)
def test_transport_url(url: str, hosts: tuple[BrokerHost, ...], vhost: str) -> None:
    """A transport URL holds several hosts with users and passwords, and the virtual host."""
    transport = conf(f"transport_url = {url}\n").transport
    assert (transport.hosts, transport.vhost) == (hosts, vhost)
    assert transport.tls == ("ssl=1" in url)


@given(st.text(max_size=60))
def test_no_transport_url_raises(text: str) -> None:
    """Any text after `transport_url` gives a transport."""
    line = " ".join(text.split())
    assert conf(f"transport_url = rabbit://{line}\nconnection = {line}\n").transport.vhost is not None
    hosts.host_of_url(line)


def test_listeners_and_their_defaults() -> None:
    """Each API has its bind_host and bind_port, or else Heat's defaults."""
    read = conf("[heat_api]\nbind_port = 8104\nbind_host = 10.0.0.2\n")
    assert read.listener("rest").text == "10.0.0.2:8104"
    cfn = read.listener("cfn")
    assert (cfn.text, cfn.wildcard, cfn.value) == ("0.0.0.0:8000", True, None)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost."])
def test_loopback_addresses(host: str) -> None:
    """Names and addresses that mean the machine itself."""
    assert hosts.is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "heat.example", "", "::2"])
def test_addresses_that_are_not_loopback(host: str) -> None:
    """Other names and addresses do not mean the machine itself."""
    assert not hosts.is_loopback(host)


def test_engine_workers_and_rpc_timeout() -> None:
    """num_engine_workers is None if it is not set; the RPC timeout has its default."""
    assert conf("").engine_workers is None
    assert conf("num_engine_workers = 3\n").engine_workers == 3
    assert conf("").rpc_response_timeout_s == 60
    assert conf("rpc_response_timeout = 90\n").rpc_response_timeout_s == 90
