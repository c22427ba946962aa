"""Resolving a HAProxy configuration: inheritance, servers, and the paths from binds to servers."""

from __future__ import annotations

import pytest

from calorimeter.config import haproxy
from calorimeter.config.haproxy import HAProxyConfig, ProxySection
from calorimeter.core.deployment import Checks


def resolved(*texts: str) -> HAProxyConfig:
    """The configuration of one or more files."""
    return haproxy.resolve(haproxy.parse([(f"f{n}", text) for n, text in enumerate(texts)], {}))


def only(*texts: str) -> ProxySection:
    """The only proxy of a configuration."""
    (proxy,) = resolved(*texts).proxies
    return proxy


def test_defaults_are_inherited_and_overridden() -> None:
    """A section inherits the values of the `defaults` before it; its own values win."""
    proxy = only("defaults\n timeout client 1m\n balance source\nlisten a\n timeout client 5s\n")
    assert proxy.timeout_s("client") == 5.0
    assert proxy.word("balance") == "source"
    assert proxy.word("mode") == "tcp"


def test_defaults_of_a_file_apply_to_the_files_after_it() -> None:
    """The files of several -f options are one configuration; old words of timeouts are read, too."""
    proxy = only("defaults\n mode http\n contimeout 5s\n redispatch\n", "listen a\n bind :80\n")
    assert (proxy.word("mode"), proxy.timeout_s("connect")) == ("http", 5.0)
    assert proxy.option("redispatch") is not None


def test_a_later_defaults_section_inherits_nothing() -> None:
    """A `defaults` section without `from` has no values of the one before it."""
    proxy = only("defaults\n mode http\ndefaults\n retries 1\nlisten a\n")
    assert (proxy.word("mode"), proxy.word("retries")) == ("tcp", "1")


def test_named_defaults_are_chosen_with_from() -> None:
    """`from` chooses a `defaults` section, which may itself name one."""
    text = "defaults a\n mode http\ndefaults b from a\n retries 1\ndefaults c\nlisten x from b\n"
    proxy = only(text)
    assert (proxy.word("mode"), proxy.word("retries")) == ("http", "1")


def test_no_option_switches_an_inherited_option_off() -> None:
    """`no option redispatch` in a section overrides the defaults."""
    proxy = only("defaults\n option redispatch\n option tcpka\nlisten a\n no option redispatch\n")
    assert proxy.option("redispatch") is None
    assert proxy.option("clitcpka", "tcpka") is not None


def test_default_server_applies_to_the_servers_after_it() -> None:
    """Parameters of `default-server` apply to later servers; a server's own parameters and `no-` win."""
    proxy = only(
        "defaults\n default-server inter 5s\n"
        "listen a\n server early 10.0.0.1:1\n default-server check fall 4 weight 7\n"
        " server late 10.0.0.2:2 weight 9 inter 1s fastinter 100ms\n server not 10.0.0.3:3 no-check\n"
    )
    early, late, unchecked = proxy.servers
    assert (early.check, early.inter_s, early.fall, early.weight) == (False, 5.0, 3, 1)
    assert (late.check, late.weight) == (True, 9)
    assert proxy.checks(late) == Checks(inter_s=1.0, fastinter_s=0.1, fall=4, rise=2)
    assert unchecked.check is False


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.0.0.2:8004", "10.0.0.2", 8004),
        ("[fd00::2]:8004", "fd00::2", 8004),
        ("fd00::2:8004", "fd00::2", 8004),
        ("ipv4@heat.example:80", "heat.example", 80),
        ("10.0.0.2", "10.0.0.2", None),
        ("10.0.0.2:+1", "10.0.0.2", None),
        ("unix@/run/heat.sock", "unix@/run/heat.sock", None),
    ],
)
def test_addresses_of_servers(address: str, host: str, port: int | None) -> None:
    """A server's address is a host and a port, IPv6 with or without brackets, or a socket."""
    (server,) = only(f"listen a\n server s {address}\n").servers
    assert (server.host, server.port) == (host, port)


def test_a_bind_line_may_hold_several_addresses_and_ranges() -> None:
    """Commas separate addresses, a range of ports means each of them, no host means every address."""
    binds = only("listen a\n bind 10.0.0.1:8004,:8005-8006 transparent\n bind :::80 v4v6\n").binds
    assert [bind.text for bind in binds] == ["10.0.0.1:8004", "*:8005", "*:8006", "[::]:80"]
    assert binds[0].options == ("transparent",)


def test_a_server_template_gives_numbered_servers() -> None:
    """`server-template` gives one server for each number."""
    servers = only("listen a\n server-template api 2-4 heat.example:8004 check\n").servers
    assert [server.name for server in servers] == ["api2", "api3", "api4"]


def test_frontends_are_paired_with_the_backends_they_use() -> None:
    """`default_backend` and `use_backend` make pairs; a `listen` section is a pair of its own."""
    configuration = resolved(
        "frontend in\n bind :80\n use_backend cfn if { dst_port 8000 }\n default_backend rest\n",
        "backend rest\n server a 10.0.0.2:8004\nbackend cfn\n server b 10.0.0.2:8000\n"
        "listen both\n bind :81\n server c 10.0.0.3:1\n",
    )
    pairs = [(service.front.name, service.name) for service in configuration.services]
    assert pairs == [("in", "rest"), ("in", "cfn"), ("both", "both")]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("use_backend b1", ["b1"]),
        ("use_backend b1 if TRUE", ["rest", "b1"]),
        ("use_backend b1 unless TRUE\n use_backend b2\n use_backend x1", ["b1", "b2"]),
        ("use_backend b%[hdr(host)]", ["rest", "b1", "b2"]),
        ("use_backend %[hdr(host),map(/f,x1)]", ["rest", "x1", "b1", "b2"]),
        ("use_backend gone", []),
        ("use_backend x2", []),
        ("disabled", []),
    ],
)
def test_the_backends_of_a_frontend(lines: str, names: list[str]) -> None:
    """Conditions, the last rule without one, expressions; disabled sections serve nobody."""
    backs = "".join(f"backend {name}\n server s 10.0.0.1:1\n" for name in ("rest", "b1", "b2", "x1", "x2"))
    text = f"frontend in\n bind :80\n default_backend rest\n {lines}\n{backs} disabled\n"
    found = [each.name for each in resolved(text).services]
    assert sorted(found) == sorted(names)


def test_logs_of_defaults_and_section_add_up() -> None:
    """A section has the `log` lines of its `defaults`, and its own."""
    proxy = only("defaults\n log global\nlisten a\n log 127.0.0.1:514 local0\n")
    assert [setting.text for setting in proxy.values.all("log")] == ["global", "127.0.0.1:514 local0"]


@pytest.mark.parametrize(
    ("lines", "kind", "lacks"),
    [
        ("balance roundrobin", None, None),
        ("cookie S insert", "cookie", "no cookie value: a"),
        ("mode tcp\n cookie S insert\n default-server cookie x", "cookie", "mode http only"),
        ("cookie S insert indirect nocache\n default-server cookie x", "cookie", ""),
        ("cookie S prefix\n default-server cookie x", "cookie", "Heat sets none"),
        ("cookie S insert dynamic", "cookie", "dynamic-cookie-key"),
        ("cookie S insert dynamic\n dynamic-cookie-key k", "cookie", ""),
        ("stick-table type ip size 1k store http_err_rate(10s)", "stick", "only counts"),
        ("stick-table type ip size 1k\n stick on src", "stick", ""),
        ("stick-table type ip size 1k\n stick match src", "stick", "stores"),
        ("stick match src\n stick store-request src", "stick", ""),
        ("stick store-request src", "stick", "matches"),
        ("stick on src\n cookie S insert", "stick", ""),
    ],
)
def test_persistence_says_why_it_does_not_work(lines: str, kind: str | None, lacks: str | None) -> None:
    """A cookie needs values on the servers, mode http and insert; a table needs stick rules."""
    found = only(f"defaults\n mode http\nbackend b\n {lines}\n server a 10.0.0.1:1\n").persistence
    assert (found.kind if found else None) == kind
    assert found is None or (lacks in found.lacks if lacks else found.works)
