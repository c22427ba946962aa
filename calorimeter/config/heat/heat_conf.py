"""What the files of a Heat process say of it, in old option names and new."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from calorimeter.config.heat import oslo
from calorimeter.config.heat.oslo import Options, Value

RPC_RESPONSE_TIMEOUT_S = 60
"""oslo.messaging's default of `rpc_response_timeout`."""

DEFAULT_PORTS = {"rest": 8004, "cfn": 8000}
GROUPS = {"rest": "heat_api", "cfn": "heat_api_cfn"}
WILDCARDS = frozenset({"0.0.0.0", "::", "*", ""})  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Listener:
    """Where an API listens; `value` is the line that says so, None where it is Heat's default."""

    host: str
    port: int
    value: Value | None

    @property
    def wildcard(self) -> bool:
        """Whether it listens at every address of its host."""
        return self.host in WILDCARDS

    @property
    def text(self) -> str:
        """`HOST:PORT`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BrokerHost:
    """One RabbitMQ node of a transport."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Transport:
    """How the process reaches RabbitMQ; `value` is the line that says so, None for the default.

    `old` tells that it is written with `rabbit_host` and the like, which today's Heat ignores.
    """

    hosts: tuple[BrokerHost, ...]
    vhost: str
    tls: bool
    value: Value | None
    old: bool = False


@dataclass(frozen=True, slots=True)
class HeatConf:
    """One Heat configuration: the host it is for, and its options."""

    host: str
    options: Options

    def get(self, key: str, group: str = "DEFAULT") -> Value | None:
        """The value in force, None where the files do not give it."""
        return self.options.get(key, group)

    @property
    def file(self) -> str:
        """The name of its first file."""
        return self.options.files[0].name if self.options.files else self.host

    def listener(self, api: str) -> Listener:
        """Where the API `rest` or `cfn` of this file listens."""
        group = GROUPS[api]
        # Both were once options of [DEFAULT], and Heat still takes them there.
        host = self.get("bind_host", group) or self.get("bind_host")
        port = self.get("bind_port", group) or self.get("bind_port")
        number = port.number if port else None
        return Listener(
            _bare(host.text.strip()) if host else "0.0.0.0",  # noqa: S104 - Heat's default
            DEFAULT_PORTS[api] if number is None else number,
            host or port,
        )

    def has_section(self, api: str) -> bool:
        """Whether the files say where the API listens."""
        return self.listener(api).value is not None

    @property
    def database(self) -> Value | None:
        """The database's URL, new name first."""
        return self.get("connection", "database") or self.get("sql_connection")

    @property
    def transport(self) -> Transport:
        """How it reaches RabbitMQ: `transport_url`, else the old `rabbit_*`, else the default."""
        url = self.get("transport_url")
        if url and url.text.strip():
            return _from_url(url)
        return _from_old(self)

    @property
    def rpc_response_timeout_s(self) -> int:
        """Seconds an API waits for an engine's answer."""
        value = self.get("rpc_response_timeout")
        number = value.number if value else None
        return RPC_RESPONSE_TIMEOUT_S if number is None else number

    @property
    def engine_workers(self) -> int | None:
        """`num_engine_workers`; None where Heat takes the number of processors, at least 4."""
        value = self.get("num_engine_workers")
        return value.number if value else None

    @property
    def keystone(self) -> Value | None:
        """Keystone's URL as this process knows it."""
        for key, group in (
            ("www_authenticate_uri", "keystone_authtoken"),
            ("auth_uri", "keystone_authtoken"),
            ("auth_uri", "clients_keystone"),
            ("auth_url", "keystone_authtoken"),
            ("identity_uri", "keystone_authtoken"),
            ("auth_uri", "ec2authtoken"),
        ):
            value = self.get(key, group)
            if value:
                return value
        return None


def read(host: str, paths: Sequence[Path]) -> HeatConf:
    """Read the files of one process; raises `InputError` where one cannot be read."""
    return HeatConf(host, oslo.read(paths))


def parse(host: str, *texts: tuple[str, str]) -> HeatConf:
    """The same from (file name, text) pairs; never raises."""
    return HeatConf(host, oslo.options(oslo.parse(name, text) for name, text in texts))


def loopback(host: str) -> bool:
    """Whether an address or name means the machine itself."""
    host = _bare(host).lower().rstrip(".")
    if host == "localhost" or host.startswith("localhost.") or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL, None where it is none."""
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None


def host_of(text: str) -> str:
    """The host of a URL, empty where it has none."""
    parts = split_url(text)
    return (parts.hostname or "") if parts else ""


def _from_url(value: Value) -> Transport:
    match = re.match(r"[^:]*://([^/?]*)(?:/([^?]*))?(?:\?(.*))?", value.text.strip())
    if not match:
        return Transport((), "/", False, value)
    hosts = tuple(_node(part) for part in match[1].split(",") if part)
    query = parse_qs(match[3] or "")
    tls = query.get("ssl", ["0"])[-1].lower() in ("1", "true", "on", "yes")
    return Transport(hosts or (_node(""),), unquote(match[2] or "") or "/", tls, value)


def _node(text: str, user: str = "guest", password: str = "guest") -> BrokerHost:  # noqa: S107 - RabbitMQ's
    credentials, at, place = text.rpartition("@")
    if at:
        user, _, password = (unquote(part) for part in credentials.partition(":"))
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        host, port = place, "5672"
    return BrokerHost(_bare(host) or "localhost", int(port[:6]), user, password)


def _from_old(conf: HeatConf) -> Transport:
    def old(key: str) -> Value | None:
        return conf.get(f"rabbit_{key}", "oslo_messaging_rabbit") or conf.get(f"rabbit_{key}")

    def text(key: str, default: str) -> str:
        value = old(key)
        return value.text.strip() if value else default

    user, password = text("userid", "guest"), text("password", "guest")
    port = text("port", "5672")
    places = [part.strip() for part in text("hosts", "").split(",") if part.strip()]
    places = places or [f"{text('host', 'localhost')}:{port}"]
    hosts = tuple(_node(place, user, password) for place in places)
    tls = old("use_ssl") or conf.get("ssl", "oslo_messaging_rabbit")
    value = old("hosts") or old("host") or old("password") or old("userid")
    return Transport(hosts, text("virtual_host", "/"), bool(tls and tls.true), value, old=value is not None)


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")
