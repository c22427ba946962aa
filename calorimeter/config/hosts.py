"""Host names, addresses and URLs as HAProxy's and Heat's configuration files write them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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


@lru_cache(maxsize=4096)
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


@lru_cache(maxsize=4096)
def as_address(host: str) -> str | None:
    """The address in its shortest form; None if `host` is a name."""
    try:
        return str(ip_address(without_brackets(host)))
    except ValueError:
        return None


def addresses_of(host: str, resolved: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The addresses of a name or address; empty if it is a name without an entry in `resolved`."""
    address = as_address(host)
    return (address,) if address else resolved.get(without_brackets(host).lower().rstrip("."), ())


def same_host(first: str, second: str, resolved: Mapping[str, tuple[str, ...]]) -> bool | None:
    """Whether two names or addresses have an address in common; None if that cannot be determined.

    `resolved` are the addresses of the names that could be resolved.
    """
    if first == second or first.lower().rstrip(".") == second.lower().rstrip("."):
        return True
    of_first, of_second = addresses_of(first, resolved), addresses_of(second, resolved)
    return not set(of_first).isdisjoint(of_second) if of_first and of_second else None


def short_name(host: str) -> str:
    """The name of a machine without its domain; an address unchanged."""
    return host if as_address(host) else host.lower().partition(".")[0]
