"""The broker of a Heat process, as oslo.messaging and kombu understand its `transport_url`.

oslo.messaging takes the URL apart and decodes it; then its driver writes another URL for each host and
gives it to kombu, which takes that apart again. What both do is done here, faults of either included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import ParseResult, parse_qs, quote, unquote, urlparse

from calorimeter.config.heat.oslo import OptionValue, as_boolean
from calorimeter.config.hosts import with_brackets

DEFAULT_PORT = 5672
"""The port of RabbitMQ if a URL names none, with and without TLS."""

DRIVERS = ("rabbit", "kombu", "kafka", "fake")
"""oslo.messaging's drivers: the scheme up to `+`."""

_RABBIT = ("amqp", "amqps", "pyamqp")
_CREDENTIALS = re.compile(r"([^:]*):(.*)", re.DOTALL)
_OPTION = re.compile(r"[a-z_]+")
_SPECIAL = "#?/,[]"


@dataclass(frozen=True, slots=True)
class BrokerHost:
    """One RabbitMQ node of a transport."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Transport:
    """How the process reaches RabbitMQ; `value` is the option that sets it, None if it is the default.

    `hosts` is empty if the broker is none of RabbitMQ, or cannot be read. `query` are options of
    [oslo_messaging_rabbit] that the URL overrides. `old`: it is set with `rabbit_host` and its relatives,
    which today's Heat ignores. `fault` says why no Heat process can work with it, without its password;
    `correct` is the URL that was meant, if that is certain.
    """

    hosts: tuple[BrokerHost, ...]
    vhost: str
    tls: bool
    value: OptionValue | None
    old: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    correct: str | None = None


class _UnreadableError(ValueError):
    """What oslo.messaging or kombu cannot read, as the end of a sentence."""


@lru_cache(maxsize=256)
def parse(value: OptionValue, *, ssl: bool = False) -> Transport:
    """The transport of a `transport_url`; `ssl` is the option of [oslo_messaging_rabbit]. Never raises."""
    transport = Transport((), "/", ssl, value)
    try:
        url = _split(value.text)
        query = {name: ",".join(values) for name, values in parse_qs(url.query).items()}
        transport = _connected(replace(transport, query=query), url)
        return replace(transport, fault=_DOLLAR) if _dollar(value) else transport
    except _UnreadableError as fault:
        says, correct = _explained(value, str(fault))
        return replace(transport, fault=says, correct=correct)


def _split(text: str) -> ParseResult:
    try:
        url = urlparse(text)
    except ValueError as problem:
        raise _UnreadableError("is not a URL: its brackets enclose no IPv6 address") from problem
    driver = url.scheme.partition("+")[0]
    if not driver or (driver not in DRIVERS and "://" not in text):
        raise _UnreadableError("has no scheme; RabbitMQ's is rabbit://")
    if driver not in DRIVERS:
        gone = ": its driver for AMQP 1.0 was removed in 2025.1" if driver == "amqp" else ""
        raise _UnreadableError(f"has the scheme {driver}, which oslo.messaging does not have{gone}")
    if url.scheme == "kombu":
        raise _UnreadableError("has the scheme kombu, which is not a transport of kombu")
    return url


def _connected(transport: Transport, url: ParseResult) -> Transport:
    """The transport with what oslo.messaging reads in the URL, and what kombu makes of that."""
    kombu = url.scheme.replace("kombu+", "").replace("rabbit", "amqp")
    given = tuple(_host(text) for text in url.netloc.split(",") if text)
    if kombu not in _RABBIT or (not given and url.scheme.startswith("kombu+")):
        return replace(transport, tls=False)
    if not all(map(_OPTION.fullmatch, transport.query)):
        raise _UnreadableError("has a query with an option that [oslo_messaging_rabbit] does not have")
    tls = transport.tls
    if "ssl" in transport.query:
        chosen = as_boolean(transport.query["ssl"])
        if chosen is None:
            raise _UnreadableError("has a query whose ssl is not a boolean")
        tls = chosen
    vhost = unquote(url.path[1:]) if url.path.startswith("/") else ""
    hosts = given or (BrokerHost("", 0, "", ""),)
    transport = replace(
        transport, hosts=tuple(map(_defaults, hosts)), vhost=vhost or "/", tls=tls or kombu == "amqps"
    )
    if any("/" in node.user + node.password for node in hosts):
        return replace(transport, fault=_SLASH)
    return _by_kombu(transport, hosts, vhost)


def _host(text: str) -> BrokerHost:
    """One host as oslo.messaging reads it; what it does not say is empty."""
    credentials, at, place = text.rpartition("@")
    user, _, password = credentials.partition(":") if at else ("", "", "")
    host, port = place, "0"
    if place.startswith("["):
        host, closed, after = place[1:].partition("]")
        if not closed or "]" in after:
            raise _UnreadableError("has a host whose brackets enclose no IPv6 address")
        port = after.split(":")[1] if ":" in after else "0"
    elif place.count(":") == 1:
        host, port = place.split(":")
    try:
        number = int(port)
    except ValueError as problem:
        raise _UnreadableError("has a host whose port is not a number") from problem
    return BrokerHost(host, number, unquote(user), unquote(password))


def _defaults(node: BrokerHost) -> BrokerHost:
    """The host with the defaults of what is not said."""
    port = node.port if 0 < node.port < 65536 else DEFAULT_PORT
    return BrokerHost(node.host or "localhost", port, node.user or "guest", node.password or "guest")


def _by_kombu(transport: Transport, hosts: tuple[BrokerHost, ...], vhost: str) -> Transport:
    """The transport after kombu has read the URLs that the driver writes.

    The driver encodes neither the virtual host nor a slash of the user or password.
    """
    seen, found = [], "/"
    for node in hosts:
        login = f"{_quoted(node.user)}:{_quoted(node.password)}"
        place = f"{_escaped(node.host)}:{node.port or DEFAULT_PORT}"
        try:
            parts = urlparse(f"http://{login}@{place}/{vhost}".partition(";")[0])
            port, host = parts.port or 0, unquote(parts.hostname or "")
        except ValueError as problem:
            raise _UnreadableError("has a host whose name or port cannot be read") from problem
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        seen.append(_defaults(BrokerHost(host, port, user, password)))
        found = unquote(parts.path.removeprefix("/")) or "/"
    return replace(transport, hosts=tuple(seen), vhost=found)


_DOLLAR = (
    "has a dollar sign in its user or password: oslo.config takes what follows for the name of an option, "
    "and no file sets one (write $$)"
)
_SLASH = (
    "has a user or password with a slash: oslo.messaging decodes %2F, and gives the slash to kombu, which "
    "takes it for the end of the host"
)


def _escaped(host: str) -> str:
    try:
        IPv6Address(host)
    except ValueError:
        return host
    return with_brackets(host)


def _explained(value: OptionValue, fault: str) -> tuple[str, str | None]:
    """The fault, extended by its reason if a character of the credentials is it; and the URL meant."""
    scheme, mark, rest = value.text.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not mark or not at or "://" in credentials:
        return fault, None
    culprits = [each for each in _SPECIAL if each in credentials]
    single = "," not in place and "@" not in credentials
    if not culprits or (culprits == [","] and not single):
        return fault, None
    names = " and ".join(f"{each} (write %{ord(each):02X})" for each in culprits)
    login = _CREDENTIALS.fullmatch(credentials)
    says = f"{fault}, because of a character in its user or password: {names}"
    if not single or login is None or "%" in credentials or "$" in value.entry.raw:
        return says, None
    user, password = (quote(part, safe="", errors="surrogateescape") for part in login.groups())
    correct = f"{scheme}://{user}:{password}@{place}"
    again = parse(replace(value, text=correct))
    return says, None if again.fault or len(value.text.splitlines()) > 1 else correct


def _dollar(value: OptionValue) -> bool:
    """Whether the users and passwords of a URL have a `$name` that no file sets."""
    credentials = value.text.partition("://")[2].rpartition("@")[0]
    return any(f"${name}" in credentials or f"${{{name}}}" in credentials for name in value.unresolved)


def _quoted(text: str) -> str:
    return quote(text, errors="surrogateescape")  # bytes that are not UTF-8 stay what they are
