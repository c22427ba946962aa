"""The URLs at which a HAProxy, by its configuration, reports its state."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.haproxy import Bind, HAProxyConfig
from calorimeter.config.hosts import WILDCARDS, host_port


def socket_urls(configuration: HAProxyConfig) -> Iterator[str]:
    """The URLs of the `stats socket` lines, except sockets that only HAProxy's own processes reach."""
    for setting in configuration.globals.all("stats"):
        if setting.words[:1] == ("socket",) and len(setting.words) > 1:
            yield from _socket_url(setting.words[1])


def pages(configuration: HAProxyConfig) -> Iterator[tuple[list[str], str | None]]:
    """(URLs, `USER:PASSWORD` or None) of each stats page; one without a TCP port has no URLs."""
    for proxy in configuration.proxies:
        settings = {s.words[0]: s.words[1] for s in reversed(proxy.values.all("stats")) if len(s.words) > 1}
        if "uri" in settings:
            binds = [bind for bind in proxy.binds if bind.port is not None]
            yield [_page_url(bind, settings["uri"]) for bind in binds], settings.get("auth")


def _socket_url(text: str) -> Iterator[str]:
    if text.startswith("/"):
        yield f"unix://{text}"
    elif text.startswith(("unix@/", "uxst@/")):
        yield f"unix://{text.partition('@')[2]}"
    elif not text.startswith(("fd@", "sockpair@", "abns@", "unix@", "uxst@")):
        host, _, port = text.rpartition("@")[2].rpartition(":")
        if port.isascii() and port.isdigit():
            yield f"tcp://{'127.0.0.1' if host in WILDCARDS else host}:{port}"


def _page_url(bind: Bind, uri: str) -> str:
    host = "127.0.0.1" if bind.host in WILDCARDS else bind.host
    return f"{'https' if 'ssl' in bind.options else 'http'}://{host_port(host, bind.port)}{uri}"
