"""A proxy section with the values in force: its binds, servers, checks, persistence and stats page."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.config.haproxy import servers as server_lines
from calorimeter.config.haproxy import stickiness
from calorimeter.config.haproxy.http_checks import AcceptedStatuses, HealthRequest
from calorimeter.config.haproxy.servers import Bind, HAProxyServer
from calorimeter.config.haproxy.stats_settings import ConfiguredStats, stats_page
from calorimeter.config.haproxy.stickiness import Stickiness
from calorimeter.config.haproxy.text import HAProxyLine, HAProxySection
from calorimeter.config.haproxy.units import integer_or_none, seconds_or_none
from calorimeter.config.haproxy.values import Statement, Values
from calorimeter.core.deployment import Checks

_DEFAULTS = {"mode": "tcp", "balance": "roundrobin", "hash-type": "map-based", "retries": "3"}


@dataclass(frozen=True, slots=True)
class ProxySection:
    """A `listen`, `frontend` or `backend` section; `values` include the inherited ones."""

    section: HAProxySection
    values: Values
    binds: tuple[Bind, ...] = ()
    servers: tuple[HAProxyServer, ...] = ()

    @property
    def name(self) -> str:
        """The name of the section."""
        return self.section.name

    @property
    def kind(self) -> str:
        """`listen`, `frontend` or `backend`."""
        return self.section.kind

    @property
    def line(self) -> HAProxyLine:
        """The line that starts the section."""
        return self.section.header

    def word(self, key: str) -> str:
        """The first word of a statement; HAProxy's default, or else empty, if the statement is absent."""
        setting = self.values.get(key)
        return setting.words[0] if setting and setting.words else _DEFAULTS.get(key, "")

    def text(self, key: str) -> str:
        """All words of a statement, joined by spaces; HAProxy's default, or else empty, if it is absent."""
        setting = self.values.get(key)
        return setting.text if setting and setting.words else _DEFAULTS.get(key, "")

    def option(self, *names: str) -> Statement | None:
        """The first of the options `names` that is on."""
        return next((found for name in names if (found := self.values.get(f"option {name}"))), None)

    def timeout_s(self, name: str) -> float | None:
        """A timeout in seconds; None if it is not set."""
        setting = self.values.get(f"timeout {name}")
        return seconds_or_none(setting.words[0]) if setting and setting.words else None

    def checks(self, server: HAProxyServer) -> Checks:
        """How HAProxy checks a server of this section."""
        return Checks(
            inter_s=server.inter_s,
            fall=server.fall,
            rise=server.rise,
            fastinter_s=server.time_s("fastinter") or None,
            downinter_s=server.time_s("downinter") or None,
            timeout_check_s=self.timeout_s("check") or None,
            timeout_connect_s=self.timeout_s("connect") or None,
        )

    @property
    def health_request(self) -> HealthRequest | None:
        """The HTTP request of the health checks; None if they are no HTTP, or send nothing."""
        return self.values.health.request

    @property
    def accepted_statuses(self) -> AcceptedStatuses:
        """The statuses that keep a checked server UP."""
        return self.values.health.accepted

    @property
    def persistence(self) -> Stickiness | None:
        """What keeps a client on one server, beside `balance`: one that works, or else why it does not."""
        table = self.values.get("stick-table")
        rules = [rule.line for rule in self.values.all("stick")]
        found = [stickiness.of_stick_rules(rules, table.line if table else None)]
        cookie = self.values.get("cookie")
        if cookie:
            http, key = self.word("mode") == "http", self.values.get("dynamic-cookie-key") is not None
            found.append(stickiness.of_cookie(cookie.line, self.servers, http=http, dynamic_key=key))
        return min(filter(None, found), key=lambda each: len(each.lacks), default=None)

    @property
    def disabled(self) -> bool:
        """Whether `disabled` switches the section off: it serves nobody and checks nothing."""
        return self.values.get("disabled") is not None

    @property
    def stats_page(self) -> ConfiguredStats | None:
        """Its own or inherited stats page; None without one, and in mode tcp, which serves none."""
        return stats_page(self.values.all("stats")) if self.word("mode") == "http" else None

    @property
    def maxconn(self) -> int | None:
        """The section's own or inherited `maxconn`."""
        return integer_or_none(self.word("maxconn") or None)


def resolved(section: HAProxySection, inherited: Values) -> ProxySection:
    """The section with the values that it inherits."""
    values = inherited.inheritable().extended(section)
    binds = server_lines.bind(section.header, 2) if section.has_address else []
    for setting in values.all("bind"):
        binds.extend(server_lines.bind(setting.line))
    servers: list[HAProxyServer] = []
    defaults = [s.line for s in inherited.lists.get("default-server", ())]
    for line in section.statements:
        if line.keyword == "default-server":
            defaults.append(line)
        elif line.keyword in ("server", "server-template"):
            servers.extend(server_lines.servers(line, defaults))
    return ProxySection(section, values, tuple(binds), tuple(servers))
