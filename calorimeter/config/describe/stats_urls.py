"""The URLs at which a HAProxy, by its configuration, reports its state."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.haproxy import Bind, HAProxyConfig
from calorimeter.config.haproxy.servers import bind
from calorimeter.config.hosts import WILDCARDS, host_port

_UNIX = ("unix@", "uxst@")


def socket_urls(configuration: HAProxyConfig) -> Iterator[str]:
    """The URLs of the `stats socket` lines, except sockets that only HAProxy's own processes reach.

    An address with a variable that is not set has no URL.
    """
    unix_bind = configuration.globals.get("unix-bind")
    words = unix_bind.words if unix_bind else ()
    prefix = words[words.index("prefix") + 1] if "prefix" in words[:-1] else ""
    for setting in configuration.globals.all("stats"):
        if setting.words[:1] == ("socket",):
            for address in bind(setting.line, 2):
                yield from _socket_url(address, prefix)


def pages(configuration: HAProxyConfig) -> Iterator[tuple[list[str], str | None]]:
    """(URLs, `USER:PASSWORD` or None) of each stats page, those that show every section first.

    A page without a TCP port has no URLs.
    """
    for front, page in sorted(configuration.stats_pages, key=lambda pair: bool(pair[1].scope)):
        binds = [each for each in front.binds if each.port is not None and not each.unset]
        yield [_page_url(each, page.uri) for each in binds], page.login


def _socket_url(address: Bind, prefix: str) -> Iterator[str]:
    path = address.host.removeprefix(_UNIX[0]).removeprefix(_UNIX[1])
    if address.unset:
        return
    if path.startswith("/"):
        yield f"unix://{prefix}{path}"
    elif address.port is not None and "@" not in address.host:
        yield f"tcp://{host_port('127.0.0.1' if address.host in WILDCARDS else address.host, address.port)}"


def _page_url(address: Bind, uri: str) -> str:
    host = "127.0.0.1" if address.host in WILDCARDS else address.host
    return f"{'https' if 'ssl' in address.options else 'http'}://{host_port(host, address.port)}{uri}"
