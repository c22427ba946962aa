"""Resolves a parsed HAProxy configuration: every proxy section with the values in force.

Inheritance (manual, section 4 "Proxies"): a proxy inherits from the last `defaults` section before it, or
from the one that it names with `from`. A `defaults` section inherits only from one that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calorimeter.config.haproxy import servers as server_lines
from calorimeter.config.haproxy import stickiness
from calorimeter.config.haproxy.health_requests import (
    CHECK_OPTIONS,
    AcceptedStatuses,
    HealthRequest,
    HealthRules,
)
from calorimeter.config.haproxy.servers import Bind, HAProxyServer
from calorimeter.config.haproxy.stickiness import Stickiness
from calorimeter.config.haproxy.text import PROXIES, HAProxyFiles, HAProxyLine, HAProxySection
from calorimeter.config.haproxy.units import integer_or_none, seconds_or_none
from calorimeter.core.deployment import Checks

_INHERITED_LISTS = ("log", "default-server", "http-check", "stick")
_OWN_LISTS = ("bind", "server", "server-template", "use_backend", "acl", "stats", "errorfile")
_TWO_WORDS = ("timeout", "option")
_DEFAULTS = {"mode": "tcp", "balance": "roundrobin", "hash-type": "map-based", "retries": "3"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement in force: its words after the keyword, and its line."""

    words: tuple[str, ...]
    line: HAProxyLine

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Values:
    """The values in force in a section: `single` statements, and `lists` of statements that may repeat.

    Keys are the keyword of a statement (`balance`), `option NAME` and `timeout NAME`. An option that `no`
    switches off is absent.
    """

    single: Mapping[str, Statement] = field(default_factory=dict)
    lists: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    health: HealthRules = field(default_factory=HealthRules)

    def get(self, key: str) -> Statement | None:
        """The statement in force for `key`; None if there is none."""
        return self.single.get(key)

    def all(self, key: str) -> tuple[Statement, ...]:
        """All statements of a keyword that may repeat."""
        return self.lists.get(key, ())


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
    def maxconn(self) -> int | None:
        """The section's own or inherited `maxconn`."""
        return integer_or_none(self.word("maxconn") or None)


@dataclass(frozen=True, slots=True)
class ProxiedService:
    """A path from binds to servers: a `listen` section, or a frontend with a backend that it uses."""

    front: ProxySection
    back: ProxySection

    @property
    def name(self) -> str:
        """The name of the section with the servers."""
        return self.back.name


@dataclass(frozen=True, slots=True)
class HAProxyConfig:
    """A whole HAProxy configuration, resolved."""

    tree: HAProxyFiles
    globals: Values
    proxies: tuple[ProxySection, ...]

    @property
    def services(self) -> tuple[ProxiedService, ...]:
        """Every path from binds to servers, in the order of the `listen` and `frontend` sections."""
        by_name = {proxy.name: proxy for proxy in self.proxies if proxy.kind in ("backend", "listen")}
        found: list[ProxiedService] = []
        for proxy in self.proxies:
            if proxy.kind == "listen" and proxy.servers:
                found.append(ProxiedService(proxy, proxy))
            names = [proxy.word("default_backend")] if proxy.kind != "backend" else []
            names += [use.words[0] for use in proxy.values.all("use_backend") if use.words]
            for name in dict.fromkeys(names):
                back = by_name.get(name)
                if back and back is not proxy and back.servers:
                    found.append(ProxiedService(proxy, back))
        return tuple(found)

    @property
    def global_section(self) -> HAProxySection | None:
        """The first `global` section."""
        return next((section for section in self.tree.sections if section.kind == "global"), None)


def resolve(tree: HAProxyFiles) -> HAProxyConfig:
    """Resolve inheritance in a tree; never raises."""
    named: dict[str, Values] = {}
    latest = Values()
    globals_ = Values()
    proxies: list[ProxySection] = []
    for section in tree.sections:
        if section.kind == "global":
            globals_ = _merge(globals_, section)
        elif section.kind == "defaults":
            latest = _merge(named.get(section.parent or "", Values()), section)
            if section.name:
                named[section.name] = latest
        elif section.kind in PROXIES:
            inherited = named.get(section.parent, Values()) if section.parent else latest
            proxies.append(_proxy(section, inherited))
    return HAProxyConfig(tree, globals_, tuple(proxies))


def _proxy(section: HAProxySection, inherited: Values) -> ProxySection:
    values = _merge(replace(inherited, lists=_inheritable(inherited.lists)), section)
    binds = [server_lines.bind(setting.line) for setting in values.all("bind")]
    servers: list[HAProxyServer] = []
    defaults = [s.line for s in inherited.lists.get("default-server", ())]
    for line in section.statements:
        if line.keyword == "default-server":
            defaults.append(line)
        elif line.keyword in ("server", "server-template"):
            servers.extend(server_lines.servers(line, defaults))
    return ProxySection(section, values, tuple(bind for group in binds for bind in group), tuple(servers))


def _inheritable(lists: Mapping[str, tuple[Statement, ...]]) -> dict[str, tuple[Statement, ...]]:
    return {key: value for key, value in lists.items() if key in _INHERITED_LISTS}


def _merge(inherited: Values, section: HAProxySection) -> Values:
    single = dict(inherited.single)
    lists = dict(inherited.lists)
    health = inherited.health.inherited()
    for line in section.statements:
        words = line.words
        negated = words[0] in ("no", "default")
        if negated:
            words = words[1:]
        if not words:
            continue
        keyword = words[0]
        length = 2 if keyword in _TWO_WORDS and len(words) > 1 else 1
        key = " ".join(words[:length])
        if negated:
            single.pop(key, None)
            lists.pop(key, None)
        elif keyword in _INHERITED_LISTS or keyword in _OWN_LISTS:
            lists[keyword] = (*lists.get(keyword, ()), Statement(words[1:], line))
        else:
            single[key] = Statement(words[length:], line)
            if length == 2 and words[1] in CHECK_OPTIONS:
                for other in CHECK_OPTIONS - {words[1]}:
                    single.pop(f"option {other}", None)  # the last one wins
        if not negated:
            health = health.after(words, line)
    return Values(single, lists, health)
