"""Host names, addresses and URLs as HAProxy's and Heat's configuration files write them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

WILDCARDS = frozenset({"0.0.0.0", "::", "*", ""})  # noqa: S104 - read, not bound
"""Hosts that mean every address of a machine."""


def without_brackets(host: str) -> str:
    """The host of `[::1]`; other hosts unchanged."""
    return host.removeprefix("[").removesuffix("]")


def with_brackets(host: str) -> str:
    """The host as it is written before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int | None) -> str:
    """`HOST:PORT`, or the host alone if there is no port."""
    return with_brackets(host) if port is None else f"{with_brackets(host)}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a name or address means the machine itself."""
    host = without_brackets(host).lower().rstrip(".")
    if host == "localhost" or host.startswith("localhost.") or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL; None if `text` is not a URL."""
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None


def host_of_url(text: str) -> str:
    """The host of a URL; empty if `text` is not a URL or has no host."""
    parts = split_url(text)
    return (parts.hostname or "") if parts else ""


def as_address(host: str) -> str | None:
    """The address in its shortest form; None if `host` is a name."""
    try:
        return str(ip_address(without_brackets(host)))
    except ValueError:
        return None


def same_host(first: str, second: str, addresses: Mapping[str, tuple[str, ...]]) -> bool | None:
    """Whether two names or addresses have an address in common; None if that cannot be told.

    `addresses` are the addresses of the names that could be resolved.
    """
    first, second = (without_brackets(host).lower().rstrip(".") for host in (first, second))
    if first == second:
        return True
    known = [
        {address} if (address := as_address(host)) else set(addresses.get(host, ()))
        for host in (first, second)
    ]
    if not known[0] or not known[1]:
        return None
    return not known[0].isdisjoint(known[1])


def short_name(host: str) -> str:
    """The name of a machine without its domain; an address unchanged."""
    return host if as_address(host) else host.lower().partition(".")[0]
