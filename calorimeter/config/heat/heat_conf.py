"""The configuration of a Heat process: where it listens and what it uses, in old and new option names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from calorimeter.config.heat import oslo, transport_url
from calorimeter.config.heat.oslo import OptionValue, OsloOptions
from calorimeter.config.heat.transport_url import BrokerHost, Transport
from calorimeter.config.hosts import WILDCARDS, host_port, without_brackets
from calorimeter.core.bounds import is_digits
from calorimeter.core.deployment import HeatRole

RPC_RESPONSE_TIMEOUT_S = 60
"""oslo.messaging's default of `rpc_response_timeout`."""

DEFAULT_PORTS = {"rest": 8004, "cfn": 8000}
OLD_BROKER_OPTIONS = tuple(
    f"rabbit_{name}" for name in ("host", "port", "hosts", "userid", "password", "virtual_host", "use_ssl")
)
"""Options that set the broker before `transport_url` did."""

MESSAGING = "oslo_messaging_rabbit"
"""The group of the options of RabbitMQ."""
EVERY_ROLE: frozenset[HeatRole] = frozenset(get_args(HeatRole))

GROUPS = {"rest": "heat_api", "cfn": "heat_api_cfn"}


@dataclass(frozen=True, slots=True)
class ApiListener:
    """The address at which an API listens; `value` is the option that sets it, None for Heat's default."""

    host: str
    port: int
    value: OptionValue | None

    @property
    def wildcard(self) -> bool:
        """Whether the API listens at every address of its host."""
        return self.host in WILDCARDS

    @property
    def text(self) -> str:
        """`HOST:PORT`."""
        return host_port(self.host, self.port)


@dataclass(frozen=True)
class HeatProcessConf:
    """The configuration of one Heat process: its host, its options, and what it is (`roles`)."""

    host: str
    options: OsloOptions
    roles: frozenset[HeatRole] = EVERY_ROLE

    def get(self, key: str, group: str = "DEFAULT") -> OptionValue | None:
        """The value in force; None if the files do not set the option."""
        return self.options.get(key, group)

    def integer(self, key: str, group: str = "DEFAULT") -> int | None:
        """The value in force as an integer; None if it is not set or not an integer."""
        value = self.get(key, group)
        return value.number if value else None

    @property
    def file(self) -> str:
        """The name of the first file."""
        return self.options.files[0].name if self.options.files else self.host

    def listener(self, api: str) -> ApiListener:
        """The address at which the API (`rest` or `cfn`) of this process listens."""
        group = GROUPS[api]
        # Both were options of [DEFAULT] once, and Heat still reads them there.
        host = self.get("bind_host", group) or self.get("bind_host")
        port = self.get("bind_port", group) or self.get("bind_port")
        number = port.number if port else None
        return ApiListener(
            without_brackets(host.text.strip()) if host else "0.0.0.0",  # noqa: S104 - Heat's default
            DEFAULT_PORTS[api] if number is None else number,
            host or port,
        )

    @property
    def database(self) -> OptionValue | None:
        """The URL of the database; the new option name has precedence."""
        return self.get("connection", "database") or self.get("sql_connection")

    @cached_property
    def transport(self) -> Transport:
        """How the process reaches RabbitMQ: `transport_url`, else the old `rabbit_*`, else the default."""
        url = self.get("transport_url")
        if url is None:
            return _from_old(self)
        tls = self.get("ssl", MESSAGING)
        return transport_url.parse(url, ssl=bool(tls and tls.true))

    def messaging(self, key: str) -> OptionValue | None:
        """The value in force of an option of [oslo_messaging_rabbit]: the URL's query has precedence."""
        url = self.get("transport_url")
        text = self.transport.query.get(key) if url and "?" in url.text else None
        return OptionValue(text, url.entry) if url and text is not None else self.get(key, MESSAGING)

    def messaging_number(self, key: str) -> float | None:
        """The number that an option of [oslo_messaging_rabbit] has; None if it is not set, or is none."""
        value = self.messaging(key)
        try:
            return float(value.text) if value else None
        except ValueError:
            return None

    @property
    def rpc_response_timeout_s(self) -> int:
        """Seconds that an API waits for an engine's answer."""
        number = self.integer("rpc_response_timeout")
        return RPC_RESPONSE_TIMEOUT_S if number is None else number

    @property
    def engine_workers(self) -> int | None:
        """`num_engine_workers`; if None (not set, or 0), Heat uses the number of processors, at least 4."""
        return self.integer("num_engine_workers") or None

    @property
    def keystone(self) -> OptionValue | None:
        """The URL of Keystone."""
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


def parse(host: str, *texts: tuple[str, str]) -> HeatProcessConf:
    """Parse the files of one process, given as (file name, text) pairs; never raises."""
    return HeatProcessConf(host, oslo.options(oslo.parse(name, text) for name, text in texts))


def _from_old(conf: HeatProcessConf) -> Transport:
    def old(key: str) -> OptionValue | None:
        return conf.get(f"rabbit_{key}", MESSAGING) or conf.get(f"rabbit_{key}")

    def text(key: str, default: str) -> str:
        value = old(key)
        return value.text.strip() if value else default

    user, password = text("userid", "guest"), text("password", "guest")
    port = text("port", "5672")
    places = [part.strip() for part in text("hosts", "").split(",") if part.strip()]
    places = places or [f"{text('host', 'localhost')}:{port}"]
    hosts = tuple(BrokerHost(*_place(place), user, password) for place in places)
    tls = old("use_ssl") or conf.get("ssl", MESSAGING)
    value = old("hosts") or old("host") or old("password") or old("userid")
    return Transport(hosts, text("virtual_host", "/"), bool(tls and tls.true), value, old=value is not None)


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not is_digits(port) or (":" in host and not host.startswith("[")):
        host, port = text, "5672"
    return without_brackets(host) or "localhost", int(port[:6])
